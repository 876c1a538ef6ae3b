"""Security groups of three tiers, each letting in only the one before it."""

from typing import Annotated, Any

from pydantic import BaseModel, Field

from opswright_aws_devops.networking.parts import Ec2Maker, known_parts
from opswright_aws_devops.networking.placement import VpcId, must_find_vpc
from opswright_aws_devops.ownership import Request, ResourceName, outstanding
from opswright_core.aws import HERE, Aws, AwsTarget, Target, tags_of
from opswright_core.changes import Action, ChangePlan, Scope, Work
from opswright_core.errors import BadInputError
from opswright_core.recorder import Recorder
from opswright_core.runtime import aws
from opswright_core.tools import write_tool
from opswright_core.verdicts import Check, check

KIND = "ec2:security-group"
ADMIN_PORTS = {22: "SSH", 3389: "RDP", 5985: "WinRM", 5986: "WinRM"}


class SecurityGroups(BaseModel):
    """The groups of a three-tier application."""

    load_balancer_sg_id: str
    app_sg_id: str
    database_sg_id: str


@write_tool()
def create_security_groups(
    name: ResourceName,
    vpc_id: VpcId,
    app_port: Annotated[int, Field(description="Of the servers", ge=1, le=65535)] = 8080,
    database_port: Annotated[int, Field(description="Of the database", ge=1, le=65535)] = 5432,
    target: Target = HERE,
) -> Work[SecurityGroups]:
    """Create chained groups: internet to load balancer 80/443, then app, then database."""
    for port in (app_port, database_port):
        if port in ADMIN_PORTS:
            raise BadInputError(
                f"Port {port} is {ADMIN_PORTS[port]}'s. Administer with SSM Session Manager, which "
                "needs no open port, and choose another port for the application."
            )
    if name.startswith("sg-"):
        raise BadInputError(f"name {name!r}: AWS refuses group names that begin with sg-.")
    a = aws(target)
    request = Request.of(
        "create_security_groups", name, vpc_id=vpc_id, app=app_port, database=database_port
    )
    return Work(
        scope=Scope.of(a),
        plan=lambda: _plan(a, request, vpc_id, app_port, database_port),
        apply=lambda rec: _apply(a, rec, request, vpc_id, app_port, database_port, target),
        verify=lambda made: judge_groups(made, app_port, database_port, _load(a, made)),
        outputs=SecurityGroups,
    )


def _wanted(name: str, app_port: int, database_port: int) -> list[Action]:
    details = {
        "lb": "80 and 443 from the internet",
        "app": f"{app_port} from {name}-lb",
        "db": f"{database_port} from {name}-app",
    }
    return [
        Action(verb="create", type=KIND, name=f"{name}-{tier}", detail=detail)
        for tier, detail in details.items()
    ]


def _plan(a: Aws, request: Request, vpc_id: str, app_port: int, database_port: int) -> ChangePlan:
    must_find_vpc(a, vpc_id)
    wanted = _wanted(request.name, app_port, database_port)
    names = {action.name for action in wanted}
    here = [{"Name": "vpc-id", "Values": [vpc_id]}]
    for group in a.pages("ec2", "describe_security_groups", "SecurityGroups", Filters=here):
        if group["GroupName"] in names:
            what = f"security group {group['GroupName']} ({group['GroupId']})"
            request.claim(what, tags_of(group.get("Tags")))
    known = known_parts(a, request, [KIND])
    return ChangePlan(
        summary=f"Create the security groups of {request.name} in {vpc_id}",
        actions=outstanding(wanted, known),
        observed={"known": known},
    )


def _apply(
    a: Aws,
    rec: Recorder,
    request: Request,
    vpc_id: str,
    app_port: int,
    database_port: int,
    target: AwsTarget,
) -> SecurityGroups:
    known = known_parts(a, request, [KIND])
    ec2, maker = a.client("ec2"), Ec2Maker(a, rec, request, target, known)

    def group(tier: str, purpose: str, ports: list[int], source: str | None) -> str:
        part, described = f"{request.name}-{tier}", f"{purpose} of {request.name}"
        group_id = maker.make(KIND, part, GroupName=part, Description=described, VpcId=vpc_id)
        # The rules go with their group, so they need no undo of their own.
        rec.step(f"inbound rules of {part}", lambda: _allow(ec2, group_id, ports, source))
        return group_id

    balancer = group("lb", "Load balancer", [80, 443], None)
    app = group("app", "Application servers", [app_port], balancer)
    database = group("db", "Database", [database_port], app)
    return SecurityGroups(load_balancer_sg_id=balancer, app_sg_id=app, database_sg_id=database)


def _allow(ec2: Any, group_id: str, ports: list[int], source: str | None) -> dict[str, Any]:
    """Let in the ports that are not let in yet, from a group, or from anywhere without one."""
    (group,) = ec2.describe_security_groups(GroupIds=[group_id])["SecurityGroups"]
    there = {rule[1] for rule in inbound(group)}
    missing = [port for port in ports if port not in there]
    origin: dict[str, Any] = (
        {"UserIdGroupPairs": [{"GroupId": source}]}
        if source
        else {"IpRanges": [{"CidrIp": "0.0.0.0/0", "Description": "internet"}]}
    )
    rules = [{"IpProtocol": "tcp", "FromPort": p, "ToPort": p, **origin} for p in missing]
    if rules:
        ec2.authorize_security_group_ingress(GroupId=group_id, IpPermissions=rules)
    return {"ports": ports}


def inbound(group: dict[str, Any]) -> set[tuple[str, int, int, str]]:
    """A group's inbound rules: (protocol, from port, to port, CIDR, group id or prefix list)."""
    rules: set[tuple[str, int, int, str]] = set()
    for permission in group.get("IpPermissions", []):
        sources = [
            *(r["CidrIp"] for r in permission.get("IpRanges", [])),
            *(r["CidrIpv6"] for r in permission.get("Ipv6Ranges", [])),
            *(r["GroupId"] for r in permission.get("UserIdGroupPairs", [])),
            *(r["PrefixListId"] for r in permission.get("PrefixListIds", [])),
        ]
        first, last = permission.get("FromPort", -1), permission.get("ToPort", -1)
        rules |= {(permission["IpProtocol"], first, last, source) for source in sources}
    return rules


def _load(a: Aws, made: SecurityGroups) -> dict[str, dict[str, Any]]:
    wanted = [{"Name": "group-id", "Values": list(made.model_dump().values())}]
    groups = a.pages("ec2", "describe_security_groups", "SecurityGroups", Filters=wanted)
    return {group["GroupId"]: group for group in groups}


def judge_groups(
    made: SecurityGroups, app_port: int, database_port: int, groups: dict[str, dict[str, Any]]
) -> list[Check]:
    """Whether each group lets in exactly what it should."""
    wanted = {
        made.load_balancer_sg_id: {("tcp", port, port, "0.0.0.0/0") for port in (80, 443)},
        made.app_sg_id: {("tcp", app_port, app_port, made.load_balancer_sg_id)},
        made.database_sg_id: {("tcp", database_port, database_port, made.app_sg_id)},
    }
    return [
        check(
            "Security group lets in exactly what it should",
            group_id in groups and inbound(groups[group_id]) == rules,
            f"{sorted(inbound(groups[group_id]))}" if group_id in groups else "it does not exist",
            group_id,
        )
        for group_id, rules in wanted.items()
    ]
