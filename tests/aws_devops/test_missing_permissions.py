"""Each permission that a tool needs is taken away in turn: nothing passes or is orphaned."""

import functools
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import pytest
from fastmcp import Client
from tests.aws_devops import test_stack_permissions as stacks
from tests.aws_devops.account import SERVICES, account
from tests.aws_devops.conftest import Watched
from tests.aws_devops.ground import IMAGE, lay
from tests.aws_devops.refusing import RefusingSessions
from tests.aws_devops.stripping import Account, Stripped, distinct, filled, names, said
from tests.conftest import empty

from opswright.router import COMMON_TOOLS
from opswright.sandbox import Sandbox
from opswright_aws_devops.server import create_server
from opswright_core.settings import Settings

TEMPLATE = '{"Resources": {"Q": {"Type": "AWS::SQS::Queue"}}}'
READS_ORDERS = [{"actions": ["s3:GetObject"], "resources": ["arn:aws:s3:::shop-files/*"]}]
RELEASED = IMAGE.replace("1.0", "1.1")
NIGHT = {"name": "night", "recurrence": "0 20 * * *", "min_size": 0, "desired": 0}

READS: dict[str, dict[str, Any]] = {
    "list_resources": {},
    "get_resource": {"resource_id": "VPC"},
    "verify_high_availability": {"vpc_id": "VPC"},
    "check_reachability": {"source": "internet", "destination": "BALANCER", "port": 80},
    "draw_topology": {"vpc": "VPC"},
    "check_quota": {"build": {"vpcs": 1, "nat_gateways_per_zone": 1, "instances": 1}},
    "review_template": {"template": TEMPLATE, "stack": "shop"},
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

OF_MANY = {
    "list_resources", "get_resource", "explain_resource", "export_resources", "plan_evacuation",
    "preview_teardown", "draw_topology", "check_backend", "find_drift",
}  # fmt: skip
"""They read many services, each for itself: what is refused at once must be named at once."""

CHANGES: dict[str, dict[str, Any]] = {
    "create_network": {"name": "blog", "nat": "single", "cidr": "10.1.0.0/16"},
    "create_security_groups": {"name": "blog", "vpc_id": "VPC"},
    "create_vpc_endpoints": {"name": "blog", "vpc_id": "VPC", "services": ["s3", "ssm"]},
    "enable_ipv6": {"vpc_id": "VPC"},
    "create_flow_logs": {"name": "blog", "vpc_id": "VPC"},
    "create_database": {"name": "blog", "subnet_ids": "DATA", "security_group_ids": ["DATA_SG"]},
    "create_aurora_cluster": {
        "name": "blog-#", "subnet_ids": "DATA", "security_group_ids": ["DATA_SG"],
        "final_snapshot": False,
    },
    "restore_database": {"name": "copy-#", "source_id": "orders", "final_snapshot": False},
    "update_database": {"db_instance_id": "shop", "multi_az": True},
    "create_load_balancer": {
        "name": "blog", "vpc_id": "VPC", "subnet_ids": "PUBLIC",
        "security_group_ids": ["FRONT_SG"],
    },
    "set_listener_certificate": {"listener_arn": "ENCRYPTED", "certificate_arn": "CERTIFICATE"},
    "create_web_tier": {
        "name": "blog", "subnet_ids": "PRIVATE", "security_group_ids": ["APP_SG"],
        "target_group_arn": "TARGETS",
    },
    "create_instance": {
        "name": "blog", "subnet_id": "A_PRIVATE", "security_group_ids": ["APP_SG"],
    },
    "resize_instance": {"instance_id": "SERVER", "instance_type": "t3.large"},
    "set_scaling": {"asg_name": "shop", "cpu_percent": 50, "scheduled": [NIGHT]},
    "update_auto_scaling_group": {
        "asg_name": "shop", "instance_type": "t3.large", "max_size": 6, "refresh": False,
    },
    "create_bucket": {"name": "blog-files"},
    "configure_bucket": {
        "bucket": "shop-files", "ia_after_days": 30, "log_bucket": "shop-logs", "kms_key": "KEY",
        "versioned": True, "block_public_access": True,
    },
    "create_static_website": {"name": "blog-site"},
    "deploy_website": {"folder": "SITE", "bucket": "shop-site"},
    "create_certificate": {"name": "blog", "domain_names": ["blog.shop.example"]},
    "create_hosted_zone": {"name": "blog.example"},
    "create_health_check": {"name": "blog", "endpoint": "blog.example.com"},
    "set_dns_record": {"name": "www.shop.example", "values": ["192.0.2.1"]},
    "create_queue": {"name": "blog"},
    "configure_queue": {"queue": "jobs", "retention_days": 2, "max_receives": 3},
    "create_topic": {"name": "blog", "queue_arns": ["QUEUE"]},
    "create_container_repository": {"name": "blog"},
    "create_service_role": {
        "name": "blog", "service": "ecs-tasks", "statements": READS_ORDERS,
    },
    "create_container_service": {
        "name": "blog", "image": IMAGE, "subnet_ids": "PRIVATE",
        "security_group_ids": ["APP_SG"], "listener_arn": "LISTENER", "max_count": 4,
    },
    "update_container_service": {
        "cluster": "shop", "service": "shop", "image": RELEASED,
    },
    "create_function": {
        "name": "blog", "code": "CODE", "runtime": "python3.13", "handler": "app.handler",
        "queue_arn": "QUEUE", "schedule": "rate(5 minutes)", "function_url": True,
        "reserved_concurrency": 5,
    },
    "update_function": {"function": "hello", "timeout_seconds": 60, "alias": "live"},
    "create_api": {
        "name": "blog", "function_name": "hello", "jwt_issuer": "https://login.example.com",
        "jwt_audience": ["shop"],
    },
    "create_private_api": {
        "name": "blog", "function_name": "hello", "vpc_endpoint_ids": ["ENDPOINT"],
    },
    "change_aws": {
        "service": "iam", "operation": "CreateUser", "parameters": {"UserName": "blog-#"},
    },
}  # fmt: skip

STACKS = {tool for tool, _ in stacks.CHANGES} | {*stacks.READS, *stacks.UNDONE_BY_NOTHING}
"""Where the other emulator knows them."""


@dataclass
class Ground:
    """An account with one of each thing to change, all that it holds, and a client."""

    watched: Watched
    known: dict[str, Any]
    read: Account
    holds: dict[str, list[Any]]


@pytest.fixture(scope="module")
async def ground(
    emulator: Sandbox, _clients: Callable[[str], Any], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Ground]:
    """A server whose calls can be refused, in an account with one of each; made once."""
    folder = tmp_path_factory.mktemp("ground")
    with pytest.MonkeyPatch.context() as environment:
        for name, value in emulator.environment().items():
            environment.setenv(name, value)
        empty(emulator)
        settings = Settings(
            allow_writes=True, approvals="auto", mind="skills", state_dir=folder / "state",
            toolsets=frozenset({"all"}),
        )  # fmt: skip
        server, sessions = create_server(settings), RefusingSessions()
        server.opswright_runtime.aws_sessions = sessions  # type: ignore[attr-defined]
        async with Client(server) as client:
            watched = Watched(client, sessions=sessions)
            known = await lay(watched, _clients, folder)
            read = functools.partial(account, _clients)
            yield Ground(watched, known, read, read(SERVICES))


@pytest.fixture
def at_it(emulator: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment points at the emulator, with what is in it."""
    for name, value in emulator.environment().items():
        monkeypatch.setenv(name, value)


async def test_every_tool_is_stripped_of_its_permissions(ground: Ground) -> None:
    tools = {tool.name for tool in await ground.watched.client.list_tools()} - COMMON_TOOLS
    assert tools == {*READS, *OFFLINE, *CHANGES, *STACKS}


async def refused(ground: Ground, tool: str, operations: list[str]) -> tuple[list[str], Any, str]:
    """Refuse operations to a read: those it tried, what it answers, and that in words."""
    sessions, arguments = ground.watched.sessions, filled(READS[tool], ground.known)
    start = len(sessions.denied)
    sessions.refused.update(dict.fromkeys(operations, 0))
    answer = await ground.watched.client.call_tool(tool, arguments, raise_on_error=False)
    sessions.refused.clear()
    return distinct(sessions.denied[start:]), answer.structured_content or {}, said(answer)


@pytest.mark.usefixtures("at_it")
@pytest.mark.parametrize("tool", READS)
async def test_what_a_read_may_not_see_is_named_and_never_passes(ground: Ground, tool: str) -> None:
    sent = ground.watched.sessions.sent
    silent: list[tuple[str, str]] = []
    start = len(sent)
    await ground.watched.call(tool, **filled(READS[tool], ground.known))
    left = distinct(sent[start:])
    while left:
        denied, content, told = await refused(ground, tool, left if tool in OF_MANY else left[:1])
        checks = [*content.get("checks", []), *content.get("readiness", [])]
        unknown = any(c["verdict"] == "UNKNOWN" for c in checks)
        if content.get("verdict") == "PASS" and not unknown:
            silent.append((f"{denied} passed", told[:300]))
        silent += [(o, told) for o in denied if not names(told, o)]
        # What depends on an answer that was refused is not asked for before it is allowed.
        left = [o for o in left if o not in denied] if denied else []
    assert start < len(sent)
    assert silent == [], "\n".join(map(str, silent))


@pytest.mark.usefixtures("at_it")
@pytest.mark.parametrize("tool", CHANGES)
async def test_a_change_without_one_of_its_permissions_leaves_no_trace(
    ground: Ground, tool: str
) -> None:
    stripped = Stripped(ground.watched, ground.read, ground.holds)
    try:
        await stripped.strip(tool, filled(CHANGES[tool], ground.known))
    finally:
        if stripped.wrong:
            ground.holds = ground.read(SERVICES)  # the next is to blame for its own alone
    assert stripped.wrong == [], "\n".join(stripped.wrong)
