"""Roles that AWS services take: made with their permissions, taken back, and judged."""

import json
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from opswright_aws_devops.access.statements import document, trust_policy
from opswright_aws_devops.lookup import if_exists
from opswright_aws_devops.ownership import Request
from opswright_aws_devops.steps import send
from opswright_core.aws import Aws, AwsTarget, tags_of
from opswright_core.changes import ResourceRef
from opswright_core.recorder import Recorder
from opswright_core.undo import UndoStep, aws_undo
from opswright_core.verdicts import Check, check

ROLE = "iam:role"
POLICY = "permissions"
"""The name of the one inline policy of a role."""


@dataclass(frozen=True)
class ServiceRole:
    """A role to make: `service` like ecs-tasks, `statements` in IAM's policy language."""

    name: str
    service: str
    statements: list[dict[str, Any]] = field(default_factory=list)
    boundary_arn: str | None = None
    by_account: bool = True
    """Whether it is asked which account the service acts for, where the service says so."""

    def trust(self, a: Aws) -> str:
        """Who may take it, as a policy document."""
        return trust_policy(self.service, a.partition, a.account_id if self.by_account else None)


class RoleState(BaseModel):
    """What was read of a role."""

    trust: dict[str, Any]
    policies: dict[str, dict[str, Any]]
    """Inline policies by name."""
    attached: list[str]
    """ARNs of managed policies."""
    boundary_arn: str | None


def find_role(a: Aws, request: Request, name: str) -> bool:
    """Whether the request made that role before. Raises ConflictError when another did."""
    iam = a.client("iam")
    there = if_exists(lambda: iam.get_role(RoleName=name)["Role"])
    if there is None:
        return False
    request.claim(f"role {name}", tags_of(there.get("Tags")))
    return True


def role_arn(a: Aws, name: str) -> str:
    """The ARN of a role of this account that has no path."""
    return f"arn:{a.partition}:iam::{a.account_id}:role/{name}"


def make_role(a: Aws, rec: Recorder, request: Request, role: ServiceRole, target: AwsTarget) -> str:
    """Make the role with its permissions, or take up the one made before; returns its ARN."""
    iam, which = a.client("iam"), {"RoleName": role.name}
    more = {"PermissionsBoundary": role.boundary_arn} if role.boundary_arn else {}

    def make() -> dict[str, str]:
        if not find_role(a, request, role.name):
            iam.create_role(
                **which,
                **more,
                AssumeRolePolicyDocument=role.trust(a),
                Tags=request.tag_list(role.name),
            )
        return {"role": role.name}

    rec.step(
        f"role {role.name}",
        make,
        undo=[
            _undo(
                f"delete role {role.name}",
                "delete_role",
                which,
                ("get_role", which, "Role"),
                a,
                target,
            )
        ],
        resource=ResourceRef(type=ROLE, id=role.name, name=role.name),
    )
    if role.statements:
        put_policy(a, rec, role.name, POLICY, document(role.statements), target)
    return role_arn(a, role.name)


def put_policy(
    a: Aws, rec: Recorder, role: str, policy: str, policy_document: str, target: AwsTarget
) -> None:
    """Give a role that was made here an inline policy."""
    iam, which = a.client("iam"), {"RoleName": role, "PolicyName": policy}
    rec.step(
        f"policy {policy} of {role}",
        lambda: send(iam.put_role_policy, **which, PolicyDocument=policy_document),
        undo=[
            _undo(
                f"delete policy {policy} of {role}",
                "delete_role_policy",
                which,
                ("get_role_policy", which, "PolicyName"),
                a,
                target,
            )
        ],
    )


def _undo(
    what: str,
    operation: str,
    params: dict[str, str],
    gone: tuple[str, dict[str, Any], str],
    a: Aws,
    target: AwsTarget,
) -> UndoStep:
    return aws_undo(what, "iam", operation, params, target=target, region=a.region, gone=gone)


def load_role(a: Aws, name: str) -> RoleState | None:
    """What a role is and may do, or None when there is none."""
    iam, which = a.client("iam"), {"RoleName": name}
    role = if_exists(lambda: iam.get_role(**which)["Role"])
    if role is None:
        return None
    names = a.pages("iam", "list_role_policies", "PolicyNames", **which)
    attached = a.pages("iam", "list_attached_role_policies", "AttachedPolicies", **which)
    return RoleState(
        trust=_decoded(role["AssumeRolePolicyDocument"]),
        policies={
            policy: _decoded(iam.get_role_policy(**which, PolicyName=policy)["PolicyDocument"])
            for policy in names
        },
        attached=[policy["PolicyArn"] for policy in attached],
        boundary_arn=(role.get("PermissionsBoundary") or {}).get("PermissionsBoundaryArn"),
    )


def _decoded(policy: Any) -> dict[str, Any]:
    decoded: dict[str, Any] = json.loads(policy) if isinstance(policy, str) else policy
    return decoded


def judge_role(
    role: ServiceRole, state: RoleState | None, *, partition: str, account_id: str
) -> list[Check]:
    """Whether a role is taken by its service alone and may do what was asked for, no more."""
    if state is None:
        return [check("Role exists", False, "IAM knows none of that name", role.name)]
    wanted = {POLICY: json.loads(document(role.statements))} if role.statements else {}
    others = sorted({*state.policies} - {*wanted}) + state.attached
    facts = [
        (
            "Only its service may take the role",
            state.trust == json.loads(trust_policy(role.service, partition, account_id)),
            json.dumps(state.trust),
        ),
        (
            "The role may do what was asked for",
            all(state.policies.get(name) == policy for name, policy in wanted.items()),
            "",
        ),
        ("It may do nothing else", not others, ", ".join(others)),
        (
            "Its permissions boundary is set",
            state.boundary_arn == role.boundary_arn,
            str(state.boundary_arn),
        ),
    ]
    if role.boundary_arn is None:
        facts.pop()
    return [check(name, ok, evidence, role.name) for name, ok, evidence in facts]
