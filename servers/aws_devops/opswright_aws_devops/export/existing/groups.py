"""Existing security groups as parts: rules may name other groups, but in no circle."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from opswright_aws_devops.export.existing.described import Parts, own_tags
from opswright_aws_devops.export.model import NOTHING
from opswright_core.verdicts import Unread, attempt

ALL = {"IpProtocol": "-1", "CidrIp": "0.0.0.0/0"}


RuleIds = Mapping[tuple[str, str, str], str]
"""What each rule is called, by its group, its way and `_ends`; Terraform imports it by that."""


def security_groups(it: Parts, items: list[dict[str, Any]], rule_ids: RuleIds) -> None:
    """All groups at once: a rule that would close a circle becomes a part of its own."""
    needs: dict[str, set[str]] = defaultdict(set)
    mine = {item["GroupId"] for item in items if item["GroupName"] != "default"}
    for item in items:
        group_id = item["GroupId"]
        if group_id not in mine:
            if any(rule for rule in _rules(item["IpPermissions"], "Source")
                   if rule.get("SourceSecurityGroupId") != group_id):  # fmt: skip
                it.leave_out(group_id, "a VPC's default group, which has rules of its own")
            continue
        inside: list[dict[str, Any]] = []
        apart: list[dict[str, Any]] = []
        for rule in _rules(item["IpPermissions"], "Source"):
            source = rule.get("SourceSecurityGroupId")
            closes = source == group_id or (source in mine and _reaches(needs, source, group_id))
            (apart if closes else inside).append(rule)
            if source in mine and not closes:
                needs[group_id].add(str(source))
        outward = list(_rules(item.get("IpPermissionsEgress", []), "Destination"))
        out = [rule for rule in outward if "DestinationSecurityGroupId" not in rule]
        to_groups = [rule for rule in outward if "DestinationSecurityGroupId" in rule]
        it.add(
            "EC2::SecurityGroup",
            item["GroupName"],
            {
                "GroupName": item["GroupName"],
                "GroupDescription": item["Description"],
                "VpcId": item.get("VpcId"),
                "SecurityGroupIngress": inside,
                "SecurityGroupEgress": None if out == [ALL] else out or [NOTHING],
                "Tags": own_tags(item.get("Tags")),
            },
            ids={"GroupId": group_id},
            import_ids={
                f"{way} {number}": rule_ids[key]
                for way, rules in (("ingress", inside), ("egress", out))
                for number, rule in enumerate(rules, 1)
                if (key := (group_id, way, _ends(rule))) in rule_ids
            },
        )
        for rules, kind in ((apart, "Ingress"), (to_groups, "Egress")):
            for number, rule in enumerate(rules, 1):
                it.add(
                    f"EC2::SecurityGroup{kind}",
                    f"{item['GroupName']} {number}",
                    {"GroupId": group_id, **rule},
                    import_ids={
                        "SecurityGroupRuleId": rule_ids.get(
                            (group_id, kind.lower(), _ends(rule)), ""
                        )
                    },
                )


def load_rule_ids(it: Parts, items: list[dict[str, Any]]) -> RuleIds:
    """The ids of all rules of groups; none, and told so, where they may not be read."""
    filters = [{"Name": "group-id", "Values": [item["GroupId"] for item in items]}]
    found = attempt(
        lambda: list(
            it.a.pages(
                "ec2", "describe_security_group_rules", "SecurityGroupRules", Filters=filters
            )
        )
    )
    if isinstance(found, Unread):
        it.leave_out("security group rules", f"their ids for Terraform's import: {found.reason}")
        return {}
    ids = {}
    for rule in found:
        way = "egress" if rule["IsEgress"] else "ingress"
        other = rule.get("ReferencedGroupInfo", {}).get("GroupId")
        end = rule.get("CidrIpv4") or rule.get("CidrIpv6") or rule.get("PrefixListId") or other
        ports = "" if rule["IpProtocol"] == "-1" else f"{rule.get('FromPort')}-{rule.get('ToPort')}"
        key = f"{rule['IpProtocol']} {ports} {end}"
        ids[rule["GroupId"], way, key] = str(rule["SecurityGroupRuleId"])
    return ids


def _ends(rule: dict[str, Any]) -> str:
    """What a rule is about, without its description; no group has two alike."""
    ends = ("CidrIp", "CidrIpv6", "SourcePrefixListId", "DestinationPrefixListId",
            "SourceSecurityGroupId", "DestinationSecurityGroupId")  # fmt: skip
    end = next(rule[key] for key in ends if key in rule)
    ports = "" if rule["IpProtocol"] == "-1" else f"{rule.get('FromPort')}-{rule.get('ToPort')}"
    return f"{rule['IpProtocol']} {ports} {end}"


def _reaches(needs: dict[str, set[str]], start: str | None, end: str) -> bool:
    waiting, seen = [str(start)], set()
    while waiting:
        group = waiting.pop()
        if group == end:
            return True
        if group not in seen:
            seen.add(group)
            waiting += needs[group]
    return False


def _rules(permissions: list[dict[str, Any]], end: str) -> Iterator[dict[str, Any]]:
    """EC2's permissions as CloudFormation's rules, one for each range or group."""
    for permission in permissions:
        ports: dict[str, Any] = {
            k: permission[k] for k in ("IpProtocol", "FromPort", "ToPort") if k in permission
        }
        if ports["IpProtocol"] == "-1":
            ports = {"IpProtocol": "-1"}
        origins = (
            [({"CidrIp": x["CidrIp"]}, x) for x in permission.get("IpRanges", [])]
            + [({"CidrIpv6": x["CidrIpv6"]}, x) for x in permission.get("Ipv6Ranges", [])]
            + [({f"{end}PrefixListId": x["PrefixListId"]}, x)
               for x in permission.get("PrefixListIds", [])]
            + [({f"{end}SecurityGroupId": x["GroupId"]}, x)
               for x in permission.get("UserIdGroupPairs", [])]
        )  # fmt: skip
        for origin, told in origins:
            said = {"Description": told["Description"]} if told.get("Description") else {}
            yield {**ports, **origin, **said}
