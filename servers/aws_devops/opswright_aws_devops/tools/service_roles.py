"""Service roles: what a Lambda function, an ECS task or another service's work runs with."""

from typing import Annotated

from pydantic import BaseModel, Field

from opswright_aws_devops.access.roles import (
    ROLE,
    ServiceRole,
    find_role,
    judge_role,
    load_role,
    make_role,
)
from opswright_aws_devops.access.statements import (
    NAMES_SOURCE_ACCOUNT,
    Statements,
    review_statements,
)
from opswright_aws_devops.lookup import must_exist
from opswright_aws_devops.ownership import Request, ResourceName, key, outstanding
from opswright_core.aws import HERE, Aws, Target
from opswright_core.changes import Action, ChangePlan, Scope, Work
from opswright_core.runtime import aws
from opswright_core.tools import write_tool


class Role(BaseModel):
    """A role that one service takes."""

    role_name: str
    role_arn: str
    service: str


@write_tool(toolset="apps")
def create_service_role(
    name: ResourceName,
    service: Annotated[
        str, Field(description="That takes it: lambda, ecs-tasks, ec2…", pattern=r"^[a-z0-9-]+$")
    ],
    statements: Statements,
    boundary_arn: Annotated[str, Field(description="Permissions boundary: a policy's ARN")]
    | None = None,
    target: Target = HERE,
) -> Work[Role]:
    """Create an IAM role that one AWS service takes, with least privilege."""
    a = aws(target)
    role = ServiceRole(
        name=name,
        service=service,
        statements=[statement.as_policy() for statement in statements],
        boundary_arn=boundary_arn,
    )
    request = Request.of(
        "create_service_role",
        name,
        service=service,
        statements=role.statements,
        boundary=boundary_arn,
    )

    def plan() -> ChangePlan:
        where = {"partition": a.partition, "account_id": a.account_id}
        warnings = review_statements(statements, **where)
        if boundary_arn:
            iam = a.client("iam")
            must_exist(f"Policy {boundary_arn}", lambda: iam.get_policy(PolicyArn=boundary_arn))
        if not statements:
            warnings.append("No statements: the role may do nothing.")
        return _plan(a, request, role, warnings)

    return Work(
        scope=Scope.of(a),
        plan=plan,
        apply=lambda rec: Role(
            role_name=name, role_arn=make_role(a, rec, request, role, target), service=service
        ),
        verify=lambda made: judge_role(
            role, load_role(a, made.role_name), partition=a.partition, account_id=a.account_id
        ),
        outputs=Role,
    )


def _plan(a: Aws, request: Request, role: ServiceRole, warnings: list[str]) -> ChangePlan:
    taken_by = f"taken by {role.service}"
    if role.service in NAMES_SOURCE_ACCOUNT:
        taken_by += f" for account {a.account_id} alone"
    allowed = sum(len(statement["Action"]) for statement in role.statements)
    detail = f"{taken_by}, {allowed} actions allowed"
    wanted = Action(verb="create", type=ROLE, name=role.name, detail=detail)
    known = [key(ROLE, role.name)] if find_role(a, request, role.name) else []
    return ChangePlan(
        summary=f"Create role {role.name}, {taken_by}",
        actions=outstanding([wanted], known),
        warnings=warnings,
        observed={"known": known},
    )
