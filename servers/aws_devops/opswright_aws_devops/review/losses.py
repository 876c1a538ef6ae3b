"""What data a change costs: stateful resources that are deleted or replaced. Pure functions."""

from collections.abc import Mapping
from typing import Any

from opswright_aws_devops.cloudformation.change_sets import DATA_LOSS, STATEFUL
from opswright_aws_devops.review.findings import ReviewFinding, Rule
from opswright_aws_devops.review.resources import Change, Resource, plain
from opswright_core.verdicts import Verdict

_SAVED = {"Retain", "RetainExceptOnCreate", "Snapshot"}

LOSS = Rule(
    "data-loss", "data", "critical", DATA_LOSS,
    "Keep it: DeletionPolicy and UpdateReplacePolicy (Retain or Snapshot), a final snapshot, or "
    "a moved/removed block; back it up first otherwise", "CloudFormation and provider references",
    {}, lambda _: None,
)  # fmt: skip
GOES_WITH_STACK = Rule(
    "goes-with-the-stack", "data", "medium", "Its data goes when the stack or the resource goes",
    "Set DeletionPolicy and UpdateReplacePolicy to Retain (or Snapshot)",
    "CloudFormation DeletionPolicy attribute; cfn-lint I3011", {}, lambda _: None,
)  # fmt: skip

_SNAPSHOT = ("skip_final_snapshot", False, "without a final snapshot (skip_final_snapshot)")
_EMPTY = ("force_destroy", False, "with what is in it (force_destroy)")
_TERRAFORM: dict[str, tuple[str, Any, str]] = {
    "aws_db_instance": _SNAPSHOT,
    "aws_rds_cluster": _SNAPSHOT,
    "aws_docdb_cluster": _SNAPSHOT,
    "aws_neptune_cluster": _SNAPSHOT,
    "aws_redshift_cluster": _SNAPSHOT,
    "aws_s3_bucket": _EMPTY,
    "aws_backup_vault": _EMPTY,
    "aws_ecr_repository": ("force_delete", False, "with its images (force_delete)"),
    "aws_dynamodb_table": ("deletion_protection_enabled", True, "with its items"),
    "aws_ebs_volume": ("final_snapshot", True, "without a snapshot (final_snapshot)"),
    "aws_cloudwatch_log_group": ("skip_destroy", True, "with its logs"),
    **dict.fromkeys(
        (
            "aws_cognito_user_pool", "aws_efs_file_system", "aws_elasticache_cluster",
            "aws_elasticache_replication_group", "aws_fsx_lustre_file_system",
            "aws_fsx_ontap_file_system", "aws_fsx_openzfs_file_system",
            "aws_fsx_windows_file_system", "aws_kinesis_stream", "aws_kms_key",
            "aws_opensearch_domain", "aws_secretsmanager_secret", "aws_sqs_queue",
        ),
        ("", None, "with what it holds"),
    ),
}  # fmt: skip
"""By type: the argument that saves the data, its saving value, and how it goes otherwise."""


def loss_of(change: Change) -> ReviewFinding | None:
    """The data that a change costs, or may cost; None where nothing is lost."""
    resource = change.resource
    certain = change.verb in {"delete", "replace"}
    if not certain and not change.may_be_replaced:
        return None
    how = _how(change, resource)
    if how is None:
        return None
    verdict: Verdict = "FAIL" if certain else "UNKNOWN"
    done = {"delete": "is deleted", "replace": "is replaced"}.get(change.verb, "may be replaced")
    return LOSS.finding(resource, verdict, f"{resource.type} {done}, {how}")


def kept_with_stack(resource: Resource) -> bool | None:
    """Whether a template's stateful resource outlives its stack; None where it holds nothing."""
    if resource.type not in STATEFUL:
        return None
    return _policy(resource, "DeletionPolicy") in _SAVED


def _how(change: Change, resource: Resource) -> str | None:
    if resource.type in STATEFUL:
        if change.verb == "delete":
            saved = _policy(resource, "DeletionPolicy") in _SAVED
        else:
            saved = _policy(change.after or resource, "UpdateReplacePolicy") in _SAVED
        return None if saved else "with what it holds"
    if resource.type not in _TERRAFORM:
        return None
    name, saving, how = _TERRAFORM[resource.type]
    value = plain(resource.properties.get(name))
    # Of what was imported the state may have none, which is the provider's default, false.
    value = False if value is None else value
    return None if name and value is saving else how


def _policy(resource: Resource, name: str) -> str:
    """DeletionPolicy and its like, with the default of databases of their own."""
    attributes: Mapping[str, Any] = resource.attributes
    if said := attributes.get(name):
        return str(said)
    alone = resource.type == "AWS::RDS::DBCluster" or (
        resource.type == "AWS::RDS::DBInstance"
        and not resource.properties.get("DBClusterIdentifier")
    )
    return "Snapshot" if alone and name == "DeletionPolicy" else "Delete"
