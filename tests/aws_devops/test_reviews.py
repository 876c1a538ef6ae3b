"""Reviews of templates and Terraform plans, through a client."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.aws_devops.plans import DATABASE, change, plan

from opswright_core.canonical import size_bytes
from opswright_core.pages import BUDGET_BYTES

Clients = Callable[[str], Any]

TEMPLATE = """
Parameters:
  Class: {Type: String, Default: db.t4g.medium}
  Password: {Type: String, NoEcho: true}
Resources:
  Data:
    Type: AWS::RDS::DBInstance
    Properties:
      Engine: postgres
      DBInstanceClass: !Ref Class
      AllocatedStorage: '20'
      StorageType: gp3
      StorageEncrypted: true
      MultiAZ: true
      PubliclyAccessible: false
      BackupRetentionPeriod: 7
      DeletionProtection: true
      MasterUserPassword: !Ref Password
    DeletionPolicy: Snapshot
  Firewall:
    Type: AWS::EC2::SecurityGroup
    Properties:
      GroupDescription: web
      SecurityGroupIngress:
        - {IpProtocol: tcp, FromPort: 443, ToPort: 443, CidrIp: 0.0.0.0/0}
  Servers:
    Type: AWS::AutoScaling::AutoScalingGroup
    Properties:
      MinSize: '2'
      MaxSize: '4'
      VPCZoneIdentifier: [subnet-a, subnet-b]
      LaunchTemplate:
        LaunchTemplateId: !Ref Template
        Version: !GetAtt Template.LatestVersionNumber
  Template:
    Type: AWS::EC2::LaunchTemplate
    Properties:
      LaunchTemplateData:
        InstanceType: t3.small
        MetadataOptions: {HttpTokens: required}
        BlockDeviceMappings:
          - {DeviceName: /dev/xvda, Ebs: {VolumeSize: 30, VolumeType: gp3, Encrypted: true}}
"""

COMPONENTS = [
    {"kind": "rds", "type": "db.t4g.medium", "count": 1, "multi_az": True, "engine": "postgres",
     "storage_gb": 20, "storage_type": "gp3"},
    {"kind": "ec2", "type": "t3.small", "count": 2, "multi_az": False, "engine": None,
     "storage_gb": 0, "storage_type": "gp3"},
    {"kind": "ebs", "type": "gp3", "count": 2, "multi_az": False, "engine": None,
     "storage_gb": 30, "storage_type": "gp3"},
]  # fmt: skip


def rules(review: dict[str, Any], verdict: str = "FAIL") -> set[str]:
    return {f["rule"] for f in review["findings"] if f["verdict"] == verdict}


async def test_a_sound_template_passes_and_its_parts_can_be_priced(
    agent: Any, tmp_path: Path
) -> None:
    file = tmp_path / "shop.yaml"
    file.write_text(TEMPLATE)
    review = await agent.call("review_template", template=str(file))
    assert review["findings"] == []
    assert review["verdict"] == "PASS"
    assert review["counts"] == {"create": 4}
    assert review["components"] == COMPONENTS
    assert review["components_before"] == []
    assert "everything counts as new" in review["unread"][0]


async def test_parameters_stand_in_the_place_of_their_references(agent: Any) -> None:
    review = await agent.call(
        "review_template", template=TEMPLATE, parameters={"Class": "db.r6g.large"}
    )
    assert review["components"][0]["type"] == "db.r6g.large"
    said = await agent.refused("review_template", template=TEMPLATE, parameters={"Clas": "x"})
    assert "declares no 'Clas'; it has Class, Password" in said


async def test_a_password_that_is_a_parameters_default_is_found_and_not_shown(agent: Any) -> None:
    spoilt = TEMPLATE.replace("NoEcho: true}", "Default: correct-horse}")
    review = await agent.call("review_template", template=spoilt)
    assert rules(review) == {"secret-in-clear-text"}
    assert review["findings"][0]["severity"] == "high"
    assert "correct-horse" not in json.dumps(review)


BEFORE = """
Parameters: {Name: {Type: String, Default: shop-old}}
Resources:
  Same: {Type: AWS::SQS::Queue, Properties: {QueueName: shop-same}}
  Renamed: {Type: AWS::SQS::Queue, Properties: {QueueName: !Ref Name}}
  Changed: {Type: AWS::SQS::Queue, Properties: {QueueName: shop-changed}}
  Gone: {Type: AWS::SQS::Queue}
"""
AFTER = """
Resources:
  Same: {Type: AWS::SQS::Queue, Properties: {QueueName: shop-same}}
  Renamed: {Type: AWS::SQS::Queue, Properties: {QueueName: shop-new}}
  Changed: {Type: AWS::SQS::Queue, Properties: {QueueName: shop-changed, VisibilityTimeout: 60}}
  New: {Type: AWS::SQS::Queue}
"""


async def test_a_template_is_compared_with_the_stack_that_it_is_to_update(
    agent: Any, client_of: Clients
) -> None:
    client_of("cloudformation").create_stack(StackName="shop", TemplateBody=BEFORE)
    review = await agent.call("review_template", template=AFTER, stack="shop")
    assert [(c["verb"], c["resource"], c["because"]) for c in review["changes"]] == [
        ("delete", "Gone", []), ("replace", "Renamed", ["QueueName"]),
        ("update", "Changed", ["VisibilityTimeout"]), ("create", "New", []),
    ]  # fmt: skip
    losses = {f["resource"] for f in review["findings"] if f["rule"] == "data-loss"}
    assert losses == {"Gone", "Renamed"}
    assert "DATA LOSS in 2" in review["summary"]
    assert review["verdict"] == "FAIL"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"template": "/nowhere.yaml"}, "no file here and no template"),
        ({"template": "Resources: [\nA"}, "no YAML or JSON"),
        ({"template": '{"Resources": {"A": {}}}'}, "'A' has no Type"),
        ({"template": TEMPLATE, "stack": "nowhere"}, "nowhere"),
    ],
)
async def test_a_template_that_cannot_be_reviewed_is_refused(
    agent: Any, arguments: dict[str, Any], said: str
) -> None:
    assert said in await agent.refused("review_template", **arguments)


DOOMED = {**DATABASE, "skip_final_snapshot": True, "deletion_protection": False}
PLAN = plan(
    change("module.shop.aws_db_instance.data", "delete", "create", before=DOOMED,
           after={**DATABASE, "storage_encrypted": True}, unknown={"endpoint": True},
           replace_paths=[["storage_encrypted"]]),
    change("module.shop.aws_autoscaling_group.web", "create",
           after={"min_size": 2, "desired_capacity": 3, "health_check_type": "ELB",
                  "launch_template": [{"version": "$Latest"}]},
           unknown={"vpc_zone_identifier": True, "launch_template": [{"id": True}]}),
    change("module.shop.aws_launch_template.web[0]", "create",
           after={"instance_type": "t3.large", "metadata_options": [{"http_tokens": "required"}]}),
    change("aws_security_group.admin", "update",
           before={"name": "admin", "ingress": []},
           after={"name": "admin", "ingress": [
               {"protocol": "tcp", "from_port": 22, "to_port": 22, "cidr_blocks": ["0.0.0.0/0"]}]}),
    change("aws_s3_bucket.logs", "no-op", before={"bucket": "l"}, after={"bucket": "l"}),
    change("aws_eip.kept", "no-op", before={"id": "e"}, after={"id": "e"},
           importing={"id": "eipalloc-1"}),
    change("aws_sqs_queue.left", "forget", before={"name": "q"}, reason="delete_because_removed"),
    change("data.aws_ami.latest", "read", after={}, mode="data"),
    configuration={"root_module": {"module_calls": {"shop": {"module": {"resources": [
        {"address": "aws_autoscaling_group.web", "expressions": {"launch_template": [
            {"id": {"references": ["aws_launch_template.web[0].id", "aws_launch_template.web[0]",
                                   "aws_launch_template.web"]}}]}},
    ]}}}}},
)  # fmt: skip


async def test_a_plan_is_told_by_resource_and_its_data_loss_named(
    agent: Any, tmp_path: Path
) -> None:
    file = tmp_path / "plan.json"
    file.write_text(PLAN)
    review = await agent.call("review_terraform_plan", plan=str(file))
    assert {(c["verb"], c["resource"]): c["because"] for c in review["changes"]} == {
        ("replace", "module.shop.aws_db_instance.data"): ["storage_encrypted"],
        ("forget", "aws_sqs_queue.left"): ["delete_because_removed"],
        ("update", "aws_security_group.admin"): ["ingress"],
        ("import", "aws_eip.kept"): [],
        ("create", "module.shop.aws_autoscaling_group.web"): [],
        ("create", "module.shop.aws_launch_template.web[0]"): [],
    }
    assert rules(review) == {"data-loss", "open-to-the-internet"}
    assert review["findings"][0]["rule"] == "data-loss"
    assert review["findings"][0]["severity"] == "critical"
    assert rules(review, "UNKNOWN") == {"group-one-zone"}
    priced = {(c["kind"], c["type"], c["count"]) for c in review["components"]}
    assert ("ec2", "t3.large", 3) in priced
    assert ("elastic_ip", None, 1) in priced
    assert [c["kind"] for c in review["components_before"]] == ["rds", "elastic_ip"]


async def test_a_plan_that_is_sound_but_not_whole_is_unknown(agent: Any) -> None:
    sound = change("aws_db_instance.data", "create", after=DATABASE)
    assert (await agent.call("review_terraform_plan", plan=plan(sound)))["verdict"] == "PASS"
    doubts: list[dict[str, Any]] = [
        {"complete": False}, {"errored": True}, {"deferred_changes": [{}]},
    ]  # fmt: skip
    for more in doubts:
        review = await agent.call("review_terraform_plan", plan=plan(sound, **more))
        assert review["verdict"] == "UNKNOWN"
        assert review["unread"]


async def test_a_value_that_decides_and_is_not_known_yet_makes_the_review_unknown(
    agent: Any,
) -> None:
    for name in ("storage_encrypted", "publicly_accessible", "multi_az"):
        after = {key: value for key, value in DATABASE.items() if key != name}
        one = change("aws_db_instance.data", "create", after=after, unknown={name: True})
        review = await agent.call("review_terraform_plan", plan=plan(one))
        assert review["verdict"] == "UNKNOWN"
        (finding,) = review["findings"]
        assert "not known yet" in finding["problem"]


async def test_what_was_changed_outside_of_terraform_is_told(agent: Any) -> None:
    was, became = {"instance_type": "t3.micro", "tags": None}, {"instance_type": "t3.large"}
    drift = change("aws_instance.web", "update", before=was, after={**became, "tags": {}})
    gone = change("aws_eip.gone", "delete", before={})
    told = [
        drift,
        gone,
        change("aws_vpc.same", "update", before={"tags": None}, after={"tags": {}}),
    ]
    review = await agent.call("review_terraform_plan", plan=plan(resource_drift=told))
    (said,) = [said for said in review["unread"] if "outside of Terraform" in said]
    assert said.endswith("its last run: aws_instance.web: instance_type, aws_eip.gone: deleted")
    assert review["verdict"] == "UNKNOWN"


async def test_plans_that_terraform_itself_made_are_judged_by_what_they_do(agent: Any) -> None:
    """Made by Terraform 1.11 with hashicorp/aws 5.100 on the emulator; cut to a few resources."""
    plans = Path(__file__).parent / "terraform_plans"

    async def reviewed(name: str) -> tuple[dict[str, list[str]], set[tuple[str, str]], list[str]]:
        review = await agent.call("review_terraform_plan", plan=str(plans / f"{name}.json"))
        changes = {f"{c['verb']} {c['resource']}": c["because"] for c in review["changes"]}
        lost = {(f["resource"], f["problem"]) for f in review["findings"]
                if f["rule"] == "data-loss"}  # fmt: skip
        return changes, lost, [f"{f['verdict']} {f['rule']}" for f in review["findings"]]

    changes, lost, found = await reviewed("create")
    assert {change.split()[0] for change in changes} == {"create"}
    # An ACL that nobody asked for is private; rules of a group may still come from a block.
    assert (lost, found) == (set(), ["UNKNOWN open-to-the-internet"])
    changes, lost, _ = await reviewed("replace")
    assert changes == {
        "replace aws_db_instance.main": ["storage_encrypted"],
        "replace aws_dynamodb_table.carts": ["hash_key"],
        "replace aws_s3_bucket.old": ["bucket"],
    }
    assert {resource for resource, _ in lost} == {
        "aws_db_instance.main",
        "aws_dynamodb_table.carts",
    }
    changes, lost, found = await reviewed("remove")
    assert {*changes} == {
        "forget aws_dynamodb_table.carts", "update aws_security_group.front",
        "delete aws_s3_bucket.old", "delete aws_sqs_queue.jobs",
    }  # fmt: skip
    assert {resource for resource, _ in lost} == {"aws_sqs_queue.jobs"}
    assert "FAIL open-to-the-internet" in found


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("/nowhere.json", "terraform show -json tfplan"),
        ("{", "not JSON"),
        ("{}", "no format_version"),
        (json.dumps({"format_version": "2.0", "resource_changes": []}), "only 1.x"),
        (json.dumps({"format_version": "1.0", "values": {}}), "this is a state"),
        (plan({"address": "a.b", "type": "a"}), "the change of a.b is not of the format"),
        (plan(change("aws_eip.a", "explode")), "unknown actions"),
    ],
)
async def test_what_is_no_plan_is_refused_with_how_to_make_one(
    agent: Any, text: str, said: str
) -> None:
    assert said in await agent.refused("review_terraform_plan", plan=text)


async def test_the_binary_plan_file_is_told_apart(agent: Any, tmp_path: Path) -> None:
    file = tmp_path / "tfplan"
    file.write_bytes(b"PK\x03\x04\xff\xfe\x00")
    said = await agent.refused("review_terraform_plan", plan=str(file))
    assert "terraform show -json" in said


async def test_a_large_plan_keeps_to_the_budget_with_the_worst_first(
    agent: Any, tmp_path: Path
) -> None:
    many = [change(f"aws_ebs_volume.d[{n}]", "create", after={"size": 1}) for n in range(2_000)]
    lost = change("aws_efs_file_system.data", "delete", before={})
    file = tmp_path / "plan.json"
    file.write_text(plan(*many, lost))
    review = await agent.call("review_terraform_plan", plan=str(file))
    assert size_bytes(review) <= BUDGET_BYTES
    assert review["counts"] == {"create": 2_000, "delete": 1}
    assert review["changes"][0]["verb"] == "delete"
    assert review["findings"][0]["rule"] == "data-loss"
    assert review["components"] == [
        {**COMPONENTS[2], "type": "gp2", "storage_gb": 1, "count": 2_000}
    ]


async def test_what_cfn_lint_says_is_in_the_review_and_its_errors_fail_it(agent: Any) -> None:
    spoilt = TEMPLATE.replace("MaxSize: '4'", "MaxSiez: '4'")
    review = await agent.call("review_template", template=spoilt)
    assert any(said.startswith("error: E3") and "MaxSiez" in said for said in review["lint"])
    assert review["verdict"] == "FAIL"
    assert "cfn-lint: " in review["summary"]


async def test_without_cfn_lint_the_review_says_that_it_was_not_linted(
    agent: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "cfnlint", None)  # as where it is not installed
    review = await agent.call("review_template", template=TEMPLATE)
    assert review["lint"] == []
    assert any("cfn-lint is not installed" in said for said in review["unread"])
    assert review["verdict"] == "PASS"
