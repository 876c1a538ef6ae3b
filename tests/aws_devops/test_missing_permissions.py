"""Each permission that a tool needs is taken away in turn: nothing passes or is orphaned."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from opswright.router import COMMON_TOOLS

VPC_CIDR = "10.0.0.0/16"
READS: dict[str, dict[str, Any]] = {
    "list_resources": {},
    "get_resource": {"resource_id": "VPC"},
    "verify_high_availability": {"vpc_id": "VPC"},
    "check_reachability": {"source": "internet", "destination": "BALANCER", "port": 80},
    "draw_topology": {"vpc": "VPC"},
    "check_quota": {"build": {"vpcs": 1, "nat_gateways_per_zone": 1, "instances": 1}},
    "review_template": {"template": '{"Resources": {"Q": {"Type": "AWS::SQS::Queue"}}}',
                        "stack": "shop"},
    "get_stack": {"name": "shop"},
    "find_drift": {},
    "read_aws": {"service": "ec2", "operation": "DescribeVpcs"},
    "explain_resource": {"resource_id": "BALANCER"},
    "check_session_access": {"vpc_id": "VPC"},
    "draw_stack": {"name": "shop"},
    "export_resources": {"vpc_id": "VPC"},
    "preview_teardown": {"application": "shop"},
    "plan_evacuation": {"to_region": "eu-central-1"},
    "preview_undo": {"last": 1},
    "check_backend": {"fresh": True},
}  # fmt: skip
OFFLINE = {"find_operation", "describe_operation", "export_application", "review_terraform_plan"}
"""They ask AWS nothing."""

ELSEWHERE = {"find_stack_drift"}
"""Where the other emulator knows it: tests/aws_devops/test_stacks.py."""

OF_MANY = {
    "list_resources", "get_resource", "explain_resource", "export_resources", "plan_evacuation",
    "preview_teardown", "draw_topology", "check_backend",
}  # fmt: skip
"""Their reads are all made one way: a few stand for the rest."""
CHANGES: dict[str, dict[str, Any]] = {
    "create_network": {"name": "blog", "nat": "single"},
    "create_security_groups": {"name": "blog", "vpc_id": "VPC"},
    "create_database": {"name": "blog", "subnet_ids": "DATA", "security_group_ids": ["DATA_SG"]},
    "create_load_balancer": {
        "name": "blog", "vpc_id": "VPC", "subnet_ids": "PUBLIC",
        "security_group_ids": ["FRONT_SG"],
    },
    "create_web_tier": {
        "name": "blog", "subnet_ids": "PRIVATE", "security_group_ids": ["APP_SG"],
        "target_group_arn": "TARGETS",
    },
    "create_bucket": {"name": "blog-files"},
    "create_queue": {"name": "blog"},
    "create_topic": {"name": "blog"},
    "change_aws": {
        "service": "iam", "operation": "CreateUser", "parameters": {"UserName": "blog"},
    },
}  # fmt: skip

ONE_STEP: dict[str, tuple[str, dict[str, Any]]] = {
    "set_dns_record": (
        "ChangeResourceRecordSets", {"name": "www.shop.example", "values": ["192.0.2.1"]},
    ),
    "update_database": ("ModifyDBInstance", {"db_instance_id": "shop", "multi_az": True}),
    "set_listener_certificate": (
        "ModifyListener", {"listener_arn": "LISTENER", "certificate_arn": "CERTIFICATE"},
    ),
    "deploy_stack": (
        "CreateChangeSet",
        {"name": "blog", "template": '{"Resources": {"Q": {"Type": "AWS::SQS::Queue"}}}'},
    ),
    "delete_stack": ("DeleteStack", {"name": "shop"}),
}  # fmt: skip
"""Changes of one call, which is refused; and what they are called with."""

INSIDE = ("create_security_groups", "create_database", "create_load_balancer", "create_web_tier")
"""Of the changes those that need a network; it is made once for all of them."""


def filled(value: Any, known: dict[str, Any]) -> Any:
    """Arguments with the ids of what is there in the place of their names."""
    if isinstance(value, dict):
        return {key: filled(inner, known) for key, inner in value.items()}
    if isinstance(value, list):
        return [filled(inner, known) for inner in value]
    return known.get(value, value) if isinstance(value, str) else value


@pytest.fixture
async def known(watched: Any, client_of: Callable[[str], Any]) -> dict[str, Any]:
    """The ids of a network, its groups and its balancer, and a stack."""
    network = (await watched.call("create_network", name="shop", nat="none"))["outputs"]
    vpc = network["vpc_id"]
    groups = (await watched.call("create_security_groups", name="shop", vpc_id=vpc))["outputs"]
    balancer = (
        await watched.call(
            "create_load_balancer", name="shop", vpc_id=vpc,
            subnet_ids=network["public_subnet_ids"],
            security_group_ids=[groups["load_balancer_sg_id"]],
        )
    )["outputs"]  # fmt: skip
    body = json.dumps({"Resources": {"Q": {"Type": "AWS::SQS::Queue"}}})
    client_of("cloudformation").create_stack(StackName="shop", TemplateBody=body)
    return {
        "VPC": vpc, "PUBLIC": network["public_subnet_ids"],
        "PRIVATE": network["private_subnet_ids"], "DATA": network["database_subnet_ids"],
        "FRONT_SG": groups["load_balancer_sg_id"], "APP_SG": groups["app_sg_id"],
        "DATA_SG": groups["database_sg_id"], "BALANCER": balancer["load_balancer_arn"],
        "TARGETS": balancer["target_group_arn"],
    }  # fmt: skip


async def used(watched: Any, tool: str, arguments: dict[str, Any]) -> tuple[list[str], Any]:
    """The operations that a call uses, in order, without repeats; and its answer."""
    before = len(watched.sessions.sent)
    answer = await watched.call(tool, **arguments)
    return list(dict.fromkeys(watched.sessions.sent[before:])), answer


async def refuse(watched: Any, tool: str, operation: str, arguments: dict[str, Any]) -> Any:
    """What a call answers when one operation is refused."""
    watched.sessions.refused[operation] = 0
    answer = await watched.client.call_tool(tool, arguments, raise_on_error=False)
    watched.sessions.refused.clear()
    return answer


def said(answer: Any) -> str:
    return json.dumps(answer.structured_content or answer.content[0].text)


FREE = {"GetCallerIdentity", "DescribeSecret"}
"""AWS allows the first to everyone; the second is asked of emulators alone, to say a gap."""

_READ = ("Describe", "Get", "Head", "List", "Validate")


async def tools_of(watched: Any, *, reading: bool) -> set[str]:
    return {
        tool.name
        for tool in await watched.client.list_tools()
        if tool.annotations.read_only_hint == reading and tool.name not in COMMON_TOOLS
    }


async def test_every_tool_that_reads_is_looked_at(watched: Any) -> None:
    reads = await tools_of(watched, reading=True)
    assert reads | {"export_application", "export_resources"} == {*READS, *OFFLINE, *ELSEWHERE}


async def test_every_tool_that_changes_is_cut_off_here_or_in_its_own_tests(watched: Any) -> None:
    tests = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))
    cut_off = {*CHANGES, *ONE_STEP, *re.findall(r'cut_off\(\s*"(\w+)"', tests)}
    writes_files_alone = {"export_application", "export_resources"}
    assert await tools_of(watched, reading=False) - cut_off == writes_files_alone


async def test_what_a_read_may_not_see_is_named_and_never_passes(
    watched: Any, known: dict[str, Any]
) -> None:
    silent, seen = [], set()
    for tool, given in READS.items():
        arguments = filled(given, known)
        operations, _ = await used(watched, tool, arguments)
        few = operations[:6] if tool in OF_MANY else operations
        for operation in [o for o in few if o not in FREE]:
            answer = await refuse(watched, tool, operation, arguments)
            told, content = said(answer), answer.structured_content or {}
            checks = [*content.get("checks", []), *content.get("readiness", [])]
            unknown = any(c["verdict"] == "UNKNOWN" for c in checks)
            passed = content.get("verdict") == "PASS" and not unknown
            if operation not in told or passed:
                silent.append((tool, operation, told[:300]))
            seen.add(operation)
    assert silent == [], "\n".join(map(str, silent))
    assert len(seen) > 20


class Stripped:
    """Takes a tool's permissions away one by one; `wrong` has what was not as it must be."""

    def __init__(self, watched: Any, inventory: Callable[[], Any]) -> None:
        self.watched, self.inventory = watched, inventory
        self.wrong: list[tuple[str, ...]] = []
        self._planned: set[str] = set()

    async def strip(self, tool: str, arguments: dict[str, Any]) -> None:
        """Refuse each operation of the tool; resume every fifth change, undo all."""
        before = self.inventory()
        operations, whole = await used(self.watched, tool, arguments)
        await self.watched.call("undo_change", change_id=whole["change_id"])
        assert self.inventory() == before
        for number, operation in enumerate(o for o in operations if o not in FREE):
            if operation in self._planned:
                continue  # of what several tools read first, once is enough
            sent = len(self.watched.sessions.sent)
            answer = await refuse(self.watched, tool, operation, arguments)
            told, content = said(answer), answer.structured_content or {}
            if operation not in told:
                self._note(tool, operation, "is not named", told)
            if "change_id" not in content:  # refused while planning
                self._planned.add(operation)
                written = self.watched.sessions.sent[sent:]
                if any(not name.startswith(_READ) for name in written):
                    self._note(tool, operation, "changed something while planning", told)
                continue
            if content["status"] == "done" and {c["verdict"] for c in content["checks"]} == {
                "PASS"
            }:
                self._note(tool, operation, "passed", told)
            if number % 5 == 0:
                resumed = await self.watched.call(tool, **arguments)
                same = resumed["change_id"] == content["change_id"]
                if resumed["status"] != "done" or not same:
                    self._note(tool, operation, "was not resumed", str(resumed))
            undone = await self.watched.call("undo_change", change_id=content["change_id"])
            if undone["status"] != "done" or any(c["verdict"] != "PASS" for c in undone["checks"]):
                self._note(tool, operation, "is not undone", str(undone))
        if (left := self.inventory()) != before:
            self._note(tool, "one of them", "left something", str(left))

    def _note(self, *said: str) -> None:
        self.wrong.append(tuple(text[:300] for text in said))


@pytest.mark.parametrize("tool", [t for t in CHANGES if t not in INSIDE])
async def test_a_change_without_one_of_its_permissions_leaves_no_trace(
    watched: Any, inventory: Callable[[], Any], tool: str
) -> None:
    stripped = Stripped(watched, inventory)
    await stripped.strip(tool, CHANGES[tool])
    assert stripped.wrong == [], "\n".join(map(str, stripped.wrong))


async def test_a_change_inside_a_network_without_one_of_its_permissions_leaves_no_trace(
    watched: Any, known: dict[str, Any], inventory: Callable[[], Any]
) -> None:
    stripped = Stripped(watched, inventory)
    for tool in INSIDE:
        await stripped.strip(tool, filled(CHANGES[tool], known))
    assert stripped.wrong == [], "\n".join(map(str, stripped.wrong))


@pytest.fixture
def one_of_each(client_of: Callable[[str], Any]) -> dict[str, str]:
    """A zone, a database, a stack, an HTTPS listener and another certificate for it."""
    client_of("route53").create_hosted_zone(Name="shop.example", CallerReference="shop")
    client_of("rds").create_db_instance(
        DBInstanceIdentifier="shop", Engine="postgres", DBInstanceClass="db.t4g.micro",
        AllocatedStorage=20, MasterUsername="shop", MasterUserPassword="not-a-secret",
    )  # fmt: skip
    body = json.dumps({"Resources": {"Q": {"Type": "AWS::SQS::Queue"}}})
    client_of("cloudformation").create_stack(StackName="shop", TemplateBody=body)
    acm, elb = client_of("acm"), client_of("elbv2")
    first, second = (
        acm.request_certificate(DomainName=name, ValidationMethod="DNS")["CertificateArn"]
        for name in ("a.shop.example", "b.shop.example")
    )
    zones = client_of("ec2").describe_subnets()["Subnets"][:2]
    balancer = elb.create_load_balancer(Name="shop", Subnets=[z["SubnetId"] for z in zones])
    target = elb.create_target_group(
        Name="shop", Protocol="HTTP", Port=80, VpcId=zones[0]["VpcId"], TargetType="instance"
    )
    listener = elb.create_listener(
        LoadBalancerArn=balancer["LoadBalancers"][0]["LoadBalancerArn"], Protocol="HTTPS", Port=443,
        Certificates=[{"CertificateArn": first}],
        DefaultActions=[
            {"Type": "forward", "TargetGroupArn": target["TargetGroups"][0]["TargetGroupArn"]}
        ],
    )  # fmt: skip
    for _ in range(3):  # issued after some looks
        acm.describe_certificate(CertificateArn=second)
    return {"LISTENER": listener["Listeners"][0]["ListenerArn"], "CERTIFICATE": second}


async def test_a_change_of_one_step_that_is_refused_changed_nothing_and_is_made_when_allowed(
    watched: Any, one_of_each: dict[str, str]
) -> None:
    wrong = []
    for tool, (operation, given) in ONE_STEP.items():
        arguments = filled(given, one_of_each)
        sent = len(watched.sessions.sent)
        answer = await refuse(watched, tool, operation, arguments)
        written = [o for o in watched.sessions.sent[sent:] if not o.startswith(_READ)]
        content = answer.structured_content or {}
        if operation not in said(answer) or content.get("status") == "done":
            wrong.append((tool, said(answer)[:300]))
        if written:
            wrong.append((tool, f"sent {written}"))
        made = await watched.call(tool, **arguments)
        if made["status"] != "done":
            wrong.append((tool, str(made)[:300]))
    assert wrong == []
