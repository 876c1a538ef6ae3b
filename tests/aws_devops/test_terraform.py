"""Exported Terraform, run by Terraform itself with the provider hashicorp/aws."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.aws_devops.conftest import Agent
from tests.aws_devops.services import SECRET, lay_services
from tests.aws_devops.terraform import Terraform
from tests.aws_devops.test_export_script import (
    SESSIONS,
    build,
    differences,
    emptied,
    settings_of,
)
from tests.aws_devops.test_exports import WHOLE, text_of

from opswright.sandbox import Sandbox
from opswright_aws_devops.cloudformation.lint import lint
from opswright_core.verdicts import Unread

NOT_KEPT = {
    "aws_autoscaling_group": {"capacity_reservation_specification", "default_instance_warmup"},
    "aws_autoscaling_policy": {"enabled", "predictive_scaling_configuration"},
    "aws_lb": {
        "client_keep_alive", "connection_logs", "desync_mitigation_mode", "enable_http2",
        "enable_tls_version_and_cipher_suite_headers", "enable_waf_fail_open",
        "enable_xff_client_port", "enable_zonal_shift", "idle_timeout", "preserve_host_header",
        "xff_header_processing_mode",
    },
    "aws_ecs_service": {
        "availability_zone_rebalancing", "deployment_maximum_percent",
        "deployment_minimum_healthy_percent",
    },
    "aws_rds_cluster": {"scaling_configuration"},  # told of one that has none
    "aws_sqs_queue": {"redrive_policy"},  # told with spaces, which SQS takes away
}  # fmt: skip
"""What the emulator does not keep or tell of a resource, and Terraform so takes for a change."""

MIXED_UP = {
    "aws_launch_template": {"latest_version", "tag_specifications"},
    "aws_autoscaling_group": {"launch_template"},  # its version
}
"""The emulator writes the tags of a launch template itself into the data of its first version."""

WAITED_FOR = {
    "aws_db_instance",
    "aws_lb",
    "aws_lb_listener",
    "aws_s3_bucket_lifecycle_configuration",
}
"""The provider waits a minute for each before it looks whether it is there."""


def beyond(changes: dict[str, set[str]], *gaps: dict[str, set[str]]) -> dict[str, set[str]]:
    """The changes that no gap of the emulator explains."""
    rest = {
        address: arguments.difference(*(gap.get(address.partition(".")[0], set()) for gap in gaps))
        for address, arguments in changes.items()
    }
    return {address: arguments for address, arguments in rest.items() if arguments}


ELSEWHERE = {
    "LoadBalancerArns",  # not applied here
    "AvailableIpAddressCount",  # where the emulator placed the servers
    "ConnectivityType",  # sent or not, it is public
    "DisableScaleIn",  # sent or not, it is off
}


def applied(settings: str) -> str:
    """What is applied here, without what may differ."""

    def own(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: own(inner) for key, inner in value.items() if key not in ELSEWHERE}
        return [own(item) for item in value] if isinstance(value, list) else value

    ours = own(json.loads(settings))
    for name in ("DBInstances", "LoadBalancers", "Listeners", "get_bucket_lifecycle_configuration"):
        del ours[name]
    return json.dumps(ours, indent=1)


@pytest.mark.timeout(400)
async def test_an_exported_application_is_applied_as_the_tools_build_it_and_destroyed_whole(
    agent: Agent,
    cloud: Sandbox,
    client_of: Callable[[str], Any],
    inventory: Callable[[], dict[str, list[str]]],
    tmp_path: Path,
) -> None:
    """All of it is planned; what the provider waits a minute for is not applied."""
    terraform = Terraform(tmp_path / "tf", cloud.endpoint)
    text = await text_of(agent, terraform.main, WHOLE, format="terraform")
    await build(agent, WHOLE)
    by_tools = settings_of(client_of)
    sessions = emptied(cloud, client_of)
    empty = inventory()
    # What guards data from `destroy`, which is tried here.
    text = text.replace(SESSIONS, sessions).replace("destroy = true", "destroy = false")
    terraform.main.write_text(text)
    assert terraform.run("fmt", "-check", "-diff") == ""
    terraform.run("init", "-input=false")
    plan = terraform.plan()
    addresses = [change["address"] for change in plan["resource_changes"]]
    assert {change["change"]["actions"][0] for change in plan["resource_changes"]} == {"create"}
    chosen = [
        f"-target={address}" for address in addresses if address.partition(".")[0] not in WAITED_FOR
    ]
    assert len(addresses) - len(chosen) == len(WAITED_FOR)
    terraform.run("apply", "-input=false", "-auto-approve", *chosen)
    assert "\n".join(differences(applied(by_tools), applied(settings_of(client_of)))) == ""
    assert beyond(terraform.changes(terraform.plan(*chosen)), NOT_KEPT, MIXED_UP) == {}
    terraform.run("destroy", "-input=false", "-auto-approve")
    assert inventory() == empty


def _as_people_set_them(client_of: Callable[[str], Any]) -> None:
    """Settings that are no default, of which none may be missed."""
    elb = client_of("elbv2")
    (group,) = elb.describe_target_groups()["TargetGroups"]
    given = {"deregistration_delay.timeout_seconds": "30", "stickiness.enabled": "true",
             "stickiness.type": "lb_cookie",
             "stickiness.lb_cookie.duration_seconds": "600"}  # fmt: skip
    elb.modify_target_group_attributes(
        TargetGroupArn=group["TargetGroupArn"],
        Attributes=[{"Key": key, "Value": value} for key, value in given.items()],
    )
    client_of("autoscaling").update_auto_scaling_group(
        AutoScalingGroupName="shop", NewInstancesProtectedFromScaleIn=True
    )
    client_of("rds").modify_db_instance(
        DBInstanceIdentifier="shop", MaxAllocatedStorage=200, EnablePerformanceInsights=True,
        CloudwatchLogsExportConfiguration={"EnableLogTypes": ["postgresql"]},
    )  # fmt: skip
    client_of("lambda").put_function_concurrency(
        FunctionName="blog-resize", ReservedConcurrentExecutions=5
    )


async def test_terraform_takes_over_what_exists_and_changes_nothing_of_it(
    agent: Agent, cloud: Sandbox, client_of: Callable[[str], Any], tmp_path: Path
) -> None:
    terraform = Terraform(tmp_path / "tf", cloud.endpoint)
    await build(agent, WHOLE)
    ec2 = client_of("ec2")
    vpc = next(v["VpcId"] for v in ec2.describe_vpcs()["Vpcs"] if not v["IsDefault"])
    here = [{"Name": "vpc-id", "Values": [vpc]}]
    subnets = [subnet["SubnetId"] for subnet in ec2.describe_subnets(Filters=here)["Subnets"]]
    group = ec2.describe_security_groups(Filters=here)["SecurityGroups"][-1]["GroupId"]
    named = lay_services(client_of, vpc, subnets[:2], [group])
    _as_people_set_them(client_of)
    chosen = {"vpc_id": vpc, "resource_ids": ["shop-releases-1", "shop", *named]}
    template = tmp_path / "all.yaml"
    told = await agent.call("export_resources", **chosen, path=str(template))
    assert not [said for said in told["left_out"] if "not exported yet" in said]
    assert "blog-resize: the values of its environment, which may hold secrets" in told["left_out"]
    found = lint(template.read_text(), ["eu-west-1"])
    assert not isinstance(found, Unread), found
    assert [str(f) for f in found if f.level == "error"] == []
    await agent.call("export_resources", **chosen, format="terraform", path=str(terraform.main))
    assert SECRET not in template.read_text() + terraform.main.read_text()
    assert terraform.run("fmt", "-check", "-diff") == ""
    # The emulator does not tell of a NAT gateway whether it is public.
    text, gateways = re.subn(
        r'(resource "aws_nat_gateway" .*?prevent_destroy = true\n)',
        r"\1    ignore_changes  = [connectivity_type]\n",
        terraform.main.read_text(),
        flags=re.DOTALL,
    )
    assert gateways == 2
    terraform.main.write_text(text)
    terraform.run("init", "-input=false")
    plan = terraform.plan()
    assert beyond(terraform.changes(plan), NOT_KEPT) == {}
    new = [c["address"] for c in plan["resource_changes"] if "importing" not in c["change"]]
    assert new == []
    assert len(plan["resource_changes"]) > 80
