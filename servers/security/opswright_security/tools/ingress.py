"""Closes inbound rules of security groups, and can open them again."""

import ipaddress
import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from opswright_core.aws import HERE, Target, is_absent
from opswright_core.changes import Action, ChangePlan, ResourceRef, Scope, Work
from opswright_core.errors import BadInputError, NotFoundError
from opswright_core.recorder import Recorder
from opswright_core.runtime import aws
from opswright_core.tools import write_tool
from opswright_core.undo import aws_undo
from opswright_core.verdicts import Check, attempt, check
from opswright_security.exposure import Opening, openings

Protocol = Literal["tcp", "udp", "icmp", "all"]


class ClosedRule(BaseModel):
    """A rule that was closed."""

    model_config = ConfigDict(frozen=True)
    group_id: str
    rule: str


@write_tool()
def close_security_group_rule(
    group_id: Annotated[str, Field(pattern=r"^sg-[0-9a-f]+$", description="Security group")],
    protocol: Annotated[Protocol, Field(description="Of the rule")],
    port: Annotated[str, Field(description="22, 8000-8100 or all", max_length=11)],
    cidr: Annotated[str, Field(description="Source as in the rule, like 0.0.0.0/0", max_length=43)],
    target: Target = HERE,
) -> Work[ClosedRule]:
    """Close one inbound rule of a security group."""
    a = aws(target)
    ec2 = a.client("ec2")
    wanted = _wanted(protocol, port, cidr)

    def rule() -> dict[str, Any] | None:
        return _find(_group(ec2, group_id), wanted)

    def plan() -> ChangePlan:
        group = _group(ec2, group_id)
        found = _find(group, wanted)
        if found is None:
            _refuse_if_covered(group, wanted)
            summary = f"{group_id} lets in no {wanted}; nothing to close."
            return ChangePlan(summary=summary, actions=[])
        return ChangePlan(
            summary=f"Close {wanted} on {group_id} ({group['GroupName']})",
            actions=[Action(verb="delete", type="ec2:security-group-rule", name=str(wanted))],
            warnings=[
                "Whoever comes in through this rule is cut off from new connections at once."
            ],
            observed={"rule": found},
        )

    def apply(rec: Recorder) -> ClosedRule:
        permission = rule()
        if permission is not None:
            params = {"GroupId": group_id, "IpPermissions": [permission]}
            undo = aws_undo(
                f"open {wanted} on {group_id} again",
                "ec2",
                "authorize_security_group_ingress",
                params,
                target=target,
                region=a.region,
                gone=("describe_security_groups", {"GroupIds": [group_id]}, _absent(permission)),
            )
            rec.step(
                f"revoke {wanted} on {group_id}",
                lambda: {"revoked": bool(ec2.revoke_security_group_ingress(**params))},
                undo=[undo],
                resource=ResourceRef(
                    type="ec2:security-group", id=group_id, name=str(wanted), action="modified"
                ),
            )
        return ClosedRule(group_id=group_id, rule=str(wanted))

    def verify(_: ClosedRule) -> list[Check]:
        closed = attempt(lambda: rule() is None)
        return [check("The rule is closed", closed, f"{wanted} on {group_id}", group_id)]

    return Work(
        scope=Scope.of(a),
        plan=plan,
        apply=apply,
        verify=verify,
        existing=lambda: ClosedRule(group_id=group_id, rule=str(wanted)),
        outputs=ClosedRule,
    )


def _wanted(protocol: Protocol, port: str, cidr: str) -> Opening:
    """The rule asked for. Raises BadInputError for a port or CIDR that is none."""
    try:
        network = ipaddress.ip_network(cidr)
    except ValueError as exc:
        raise BadInputError(
            f"cidr {cidr!r} is no address range ({exc}); give it as in the rule, "
            "like 0.0.0.0/0 or ::/0."
        ) from exc
    if protocol == "all":
        if port != "all":
            raise BadInputError("A rule for all protocols has no port: pass port='all'.")
        return Opening("-1", 0, 65535, str(network))
    if port == "all":
        first, last = (-1, -1) if protocol == "icmp" else (0, 65535)
        return Opening(protocol, first, last, str(network))
    match = re.fullmatch(r"(\d{1,5})(?:-(\d{1,5}))?", port)
    low, high = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
    if not low <= high <= 65535:
        raise BadInputError(f"port {port!r} is none: pass 22, 8000-8100 or all.")
    return Opening(protocol, low, high, str(network))


def _group(ec2: Any, group_id: str) -> dict[str, Any]:
    try:
        group: dict[str, Any] = ec2.describe_security_groups(GroupIds=[group_id])["SecurityGroups"][
            0
        ]
    except Exception as exc:
        if is_absent(exc):
            raise NotFoundError(
                f"No security group {group_id} here; audit_security_groups lists what is open, and "
                "target names another region."
            ) from exc
        raise
    return group


def _find(group: dict[str, Any], wanted: Opening) -> dict[str, Any] | None:
    """The one permission that is exactly the wanted opening, as AWS takes it; or None."""
    for rule in group.get("IpPermissions") or []:
        for kind, key in (("IpRanges", "CidrIp"), ("Ipv6Ranges", "CidrIpv6")):
            for source in rule.get(kind) or []:
                single = {k: rule[k] for k in ("IpProtocol", "FromPort", "ToPort") if k in rule}
                single[kind] = [{k: source[k] for k in (key, "Description") if k in source}]
                if openings({"IpPermissions": [single]}) == [wanted]:
                    return single
    return None


def _refuse_if_covered(group: dict[str, Any], wanted: Opening) -> None:
    for opening in openings(group):
        if opening.source == wanted.source and (
            opening.protocol == "-1"
            or (
                opening.protocol == wanted.protocol
                and opening.first <= wanted.first <= opening.last
            )
        ):
            protocol = "all" if opening.protocol == "-1" else opening.protocol
            raise BadInputError(
                f"{group['GroupId']} has no rule for exactly {wanted}, but a wider one "
                f"lets it in: close protocol={protocol!r}, port={opening.ports!r}, "
                f"cidr={opening.source!r}."
            )


def _absent(permission: dict[str, Any]) -> str:
    """A JMESPath that finds the group for as long as it lacks the permission."""
    tests = [f"IpProtocol=='{permission['IpProtocol']}'"]
    tests += [f"{k}==`{permission[k]}`" for k in ("FromPort", "ToPort") if k in permission]
    for kind, key in (("IpRanges", "CidrIp"), ("Ipv6Ranges", "CidrIpv6")):
        tests += [f"{kind}[?{key}=='{source[key]}']" for source in permission.get(kind, [])]
    return f"SecurityGroups[?!(IpPermissions[?{' && '.join(tests)}])]"
