"""Which IAM actions a server's tools need: the policy that grants them, and what grants them now.

A server declares them as `{tool: (action, …)}`; a changing tool's include those of its inverse.
"""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

Permissions = Mapping[str, tuple[str, ...]]

_PREFIXES = {"monitoring": "cloudwatch", "tagging": "tag"}
"""Where the prefix of a service's actions is not the name that its requests are signed with."""

_ACTIONS = {
    ("budgets", "CreateBudget"): "ModifyBudget",
    ("budgets", "DeleteBudget"): "ModifyBudget",
    ("budgets", "DescribeBudget"): "ViewBudget",
    ("budgets", "DescribeBudgets"): "ViewBudget",
    ("budgets", "DescribeNotificationsForBudget"): "ViewBudget",
    ("budgets", "UpdateBudget"): "ModifyBudget",
    ("cloudfront", "CreateDistributionWithTags"): "CreateDistribution",
    ("s3", "CopyObject"): "PutObject",
    ("s3", "DeleteBucketEncryption"): "PutEncryptionConfiguration",
    ("s3", "DeleteBucketLifecycle"): "PutLifecycleConfiguration",
    ("s3", "DeleteBucketTagging"): "PutBucketTagging",
    ("s3", "DeleteObjects"): "DeleteObject",
    ("s3", "DeletePublicAccessBlock"): "PutBucketPublicAccessBlock",
    ("s3", "GetBucketCors"): "GetBucketCORS",
    ("s3", "GetBucketEncryption"): "GetEncryptionConfiguration",
    ("s3", "GetBucketNotificationConfiguration"): "GetBucketNotification",
    ("s3", "GetBucketLifecycleConfiguration"): "GetLifecycleConfiguration",
    ("s3", "GetBucketReplication"): "GetReplicationConfiguration",
    ("s3", "GetPublicAccessBlock"): "GetBucketPublicAccessBlock",
    ("s3", "HeadBucket"): "ListBucket",
    ("s3", "HeadObject"): "GetObject",
    ("s3", "ListBuckets"): "ListAllMyBuckets",
    ("s3", "ListObjectVersions"): "ListBucketVersions",
    ("s3", "ListObjectsV2"): "ListBucket",
    ("s3", "PutBucketEncryption"): "PutEncryptionConfiguration",
    ("s3", "PutBucketLifecycleConfiguration"): "PutLifecycleConfiguration",
    ("s3", "PutPublicAccessBlock"): "PutBucketPublicAccessBlock",
    ("s3control", "DeletePublicAccessBlock"): "PutAccountPublicAccessBlock",
    ("s3control", "GetPublicAccessBlock"): "GetAccountPublicAccessBlock",
    ("s3control", "PutPublicAccessBlock"): "PutAccountPublicAccessBlock",
}
"""Operations that another action allows (service authorization reference, as of 2026-11)."""

_NAMED_IN_API_GATEWAY = re.compile(r"Portal|Product|RoutingRule|AccessAssociation")
"""The operations of API Gateway with actions of their own; all others' are their requests' verbs,
like `apigateway:POST`."""

NEEDS_NONE = frozenset({"sts:GetCallerIdentity"})
"""What AWS allows everyone, even where a policy denies it."""

DOCUMENT_CHARACTERS = 6_144
"""The longest managed policy, white space not counted (IAM quotas)."""

PASSED_TO = ("ec2.amazonaws.com", "ecs-tasks.amazonaws.com", "lambda.amazonaws.com")
"""The services that opswright passes roles to."""

_BATCH = 50


def action_of(service_model: Any, operation: str) -> str:
    """The IAM action that allows one operation of a botocore service model."""
    signing, service = service_model.signing_name, service_model.service_name
    if signing == "apigateway" and not _NAMED_IN_API_GATEWAY.search(operation):
        return f"apigateway:{service_model.operation_model(operation).http['method']}"
    return f"{_PREFIXES.get(signing, signing)}:{_ACTIONS.get((service, operation), operation)}"


def actions_of(permissions: Permissions, tools: Iterable[str]) -> list[str]:
    """What some tools need together, sorted; tools that are not declared need nothing."""
    return sorted({action for tool in tools for action in permissions.get(tool, ())} - NEEDS_NONE)


def policies(reads: Iterable[str], changes: Iterable[str]) -> list[dict[str, Any]]:
    """The least IAM policy for those actions, as documents that each fit a managed policy.

    Resources are not narrowed: their names are not known before. `iam:PassRole` is held to the
    services that opswright passes roles to.
    """
    reading = sorted(set(reads))
    changing = sorted({*changes} - {*reads, "iam:PassRole"})
    statements = [*_statements("Read", reading), *_statements("Change", changing)]
    if "iam:PassRole" in changes:
        (passing,) = _statements("PassRole", ["iam:PassRole"])
        condition = {"StringEquals": {"iam:PassedToService": list(PASSED_TO)}}
        statements.append({**passing, "Condition": condition})
    documents = [_document([])]
    for statement in statements:
        longer = _document([*documents[-1]["Statement"], statement])
        if len(json.dumps(longer, separators=(",", ":"))) > DOCUMENT_CHARACTERS:
            documents.append(_document([statement]))
        else:
            documents[-1] = longer
    return documents


def _document(statements: list[dict[str, Any]]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": statements}


def _statements(sid: str, actions: list[str]) -> list[dict[str, Any]]:
    """As few statements as hold the actions, each fitting a document: Change, Change2 and so on."""
    chunks: list[list[str]] = []
    left = 0
    for action in actions:
        left -= len(action) + 3
        if left < 0:
            chunks.append([])
            left = DOCUMENT_CHARACTERS - 200 - len(action)  # what is around the actions: 200
        chunks[-1].append(action)
    return [
        {"Sid": f"{sid}{n}" if n > 1 else sid, "Effect": "Allow", "Action": chunk, "Resource": "*"}
        for n, chunk in enumerate(chunks, 1)
    ]


def principal_arn(iam: Any, caller_arn: str) -> str | None:
    """The user or role whose policies decide for a caller; None where no policy can be asked."""
    if ":user/" in caller_arn:
        return caller_arn
    if session := re.fullmatch(r"arn:[^:]+:sts::\d+:assumed-role/([^/]+)/.+", caller_arn):
        arn: str = iam.get_role(RoleName=session.group(1))["Role"]["Arn"]  # it may have a path
        return arn
    return None


def denied_actions(iam: Any, principal: str, actions: list[str]) -> list[str]:
    """Those of `actions` that IAM's simulator does not find allowed on every resource.

    It weighs the principal's own policies, its boundary and the organization's; not the policies
    of resources, nor those of a session.
    """
    denied = []
    simulation = iam.get_paginator("simulate_principal_policy")
    for start in range(0, len(actions), _BATCH):
        batch = actions[start : start + _BATCH]
        for answer in simulation.paginate(PolicySourceArn=principal, ActionNames=batch):
            denied += [
                result["EvalActionName"]
                for result in answer["EvaluationResults"]
                if result["EvalDecision"] != "allowed"
            ]
    return sorted(denied)
