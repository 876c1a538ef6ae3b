"""Change sets in words: what is created, modified, replaced or deleted, and what data it costs."""

from collections.abc import Iterable
from typing import Any

from opswright_core.changes import Action, Verb
from opswright_core.text import clean

STATEFUL = frozenset(
    {
        "AWS::Backup::BackupVault",
        "AWS::Cognito::UserPool",
        "AWS::DocDB::DBCluster",
        "AWS::DynamoDB::GlobalTable",
        "AWS::DynamoDB::Table",
        "AWS::EC2::Volume",
        "AWS::ECR::Repository",
        "AWS::EFS::FileSystem",
        "AWS::ElastiCache::CacheCluster",
        "AWS::ElastiCache::ReplicationGroup",
        "AWS::FSx::FileSystem",
        "AWS::KMS::Key",
        "AWS::Kinesis::Stream",
        "AWS::Logs::LogGroup",
        "AWS::Neptune::DBCluster",
        "AWS::OpenSearchService::Domain",
        "AWS::RDS::DBCluster",
        "AWS::RDS::DBInstance",
        "AWS::Redshift::Cluster",
        "AWS::S3::Bucket",
        "AWS::SQS::Queue",
        "AWS::SecretsManager::Secret",
    }
)
"""Types whose deletion or replacement loses what they hold."""

DATA_LOSS = "DATA LOSS"
"""How a warning begins that undoing does not bring back what was held."""

_SAVED = {"Retain", "Snapshot", "ReplaceAndRetain", "ReplaceAndSnapshot"}
_VERBS: dict[str, Verb] = {"Add": "create", "Import": "create", "Remove": "delete"}


def actions(changes: Iterable[dict[str, Any]]) -> list[Action]:
    """The resource changes of `describe_change_set`, in its order."""
    return [_action(c["ResourceChange"]) for c in changes if c.get("Type") == "Resource"]


def warnings(changes: Iterable[dict[str, Any]]) -> list[str]:
    """What a person should know before approving: data that is lost, and replacements."""
    found = []
    for change in (c["ResourceChange"] for c in changes if c.get("Type") == "Resource"):
        action, kind = _action(change), change["ResourceType"]
        if action.verb not in {"delete", "replace"}:
            continue
        name = f"{change['LogicalResourceId']} ({kind})"
        may = "may be" if change.get("Replacement") == "Conditional" else "is"
        done = "is deleted" if action.verb == "delete" else f"{may} replaced"
        if kind in STATEFUL and change.get("PolicyAction") not in _SAVED:
            found.append(f"{DATA_LOSS}: {name} {done}, and what it holds goes with it.")
        elif action.verb == "replace":
            found.append(f"{name} {done}: a new one takes its place, with a new id.")
    return found


def _action(change: dict[str, Any]) -> Action:
    verb = _VERBS.get(change["Action"], "modify")
    if verb == "modify" and change.get("Replacement") in {"True", "Conditional"}:
        verb = "replace"
    return Action(
        verb=verb,
        type=change["ResourceType"],
        name=clean(change["LogicalResourceId"], 255),
        detail=_detail(change),
    )


def _detail(change: dict[str, Any]) -> str:
    """What changes of it: the properties, and what is kept."""
    said = []
    if change["Action"] == "Import":
        said.append(f"imported: {clean(change.get('PhysicalResourceId', ''), 100)}")
    if change.get("Replacement") == "Conditional":
        said.append("replaced only if a value turns out to differ")
    targets = [d["Target"] for d in change.get("Details", []) if d.get("Target")]
    names = [t.get("Name") or t.get("Attribute", "") for t in targets]
    if names:
        said.append(", ".join(dict.fromkeys(clean(name, 60) for name in names)))
    policy = change.get("PolicyAction", "")
    if policy in _SAVED:
        said.append("a snapshot is kept" if policy.endswith("Snapshot") else "it is retained")
    return "; ".join(said)
