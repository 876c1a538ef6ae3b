"""Stacks: what will change is shown first, what failed says why, and undo returns to what was."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.aws_devops.conftest import Agent
from tests.conftest import need

from opswright_aws_devops.cloudformation.change_sets import actions, warnings
from opswright_aws_devops.cloudformation.failures import root_cause
from opswright_aws_devops.cloudformation.graph import NESTED, StackGraph, graph_of
from opswright_aws_devops.cloudformation.lint import is_installed
from opswright_aws_devops.cloudformation.templates import keep, kept
from opswright_aws_devops.drawing.stack import stack_as_mermaid
from opswright_core.errors import NotFoundError

QUEUES = """
Parameters:
  Stage: {Type: String, Default: dev}
Resources:
  Jobs:
    Type: AWS::SQS::Queue
    Properties: {QueueName: !Sub "jobs-${Stage}"}
Outputs:
  Url: {Value: !Ref Jobs}
"""
MORE = """
  Late:
    Type: AWS::SQS::Queue
    Properties: {QueueName: late}
Outputs:"""
FAILING = """
  Door:
    Type: AWS::Lambda::Url
    DependsOn: Jobs
    Properties: {TargetFunctionArn: nobody, AuthType: NONE}
Outputs:"""
LARGER = QUEUES.replace("\nOutputs:", MORE)
BROKEN = QUEUES.replace("\nOutputs:", FAILING)


Clients = Callable[[str], Any]


def queues(clients: Clients) -> list[str]:
    urls = clients("sqs").list_queues().get("QueueUrls", [])
    return sorted(url.rpartition("/")[2] for url in urls)


async def test_a_plan_shows_the_change_set_and_leaves_nothing_behind(
    stacks: Agent, stack_cloud: Clients
) -> None:
    planned = await stacks.call("deploy_stack", name="shop", template=QUEUES, dry_run=True)
    assert [(a["verb"], a["type"], a["name"]) for a in planned["plan"]["actions"]] == [
        ("create", "AWS::SQS::Queue", "Jobs")
    ]
    assert queues(stack_cloud) == []
    assert "no stack 'shop'" in await stacks.refused("get_stack", name="shop")


async def test_a_stack_is_deployed_once_however_often_it_is_asked_for(
    stacks: Agent, stack_cloud: Clients
) -> None:
    first = await stacks.call("deploy_stack", name="shop", template=QUEUES)
    assert first["outputs"]["outputs"]["Url"].endswith("/jobs-dev")
    assert {c["verdict"] for c in first["checks"]} == {"PASS"}
    again = await stacks.call("deploy_stack", name="shop", template=QUEUES)
    assert again["reused"]
    assert again["change_id"] == first["change_id"]


async def test_a_plan_tells_what_cfn_lint_finds(stacks: Agent) -> None:
    need("cfn-lint", is_installed(), "the extra lint is not installed")
    odd = QUEUES.replace("Parameters:", "Parameters:\n  Unused: {Type: String, Default: x}")
    planned = await stacks.call("deploy_stack", name="shop", template=odd, dry_run=True)
    (told,) = planned["plan"]["warnings"]
    assert told.startswith("cfn-lint: W2001 Parameters/Unused (line 3)")


async def test_what_happens_in_a_stack_is_told_while_it_is_waited_for(stacks: Agent) -> None:
    told: list[str] = []

    async def hear(done: float, total: float | None, message: str | None) -> None:
        told.append(message or "")

    arguments = {"name": "shop", "template": LARGER}
    await stacks.client.call_tool("deploy_stack", arguments, progress_handler=hear)
    for queue in ("Jobs", "Late"):
        begun, ended = f"{queue}: create in progress", f"{queue}: create complete"
        assert told.index(begun) < told.index(ended)


async def test_undoing_a_new_stack_deletes_it(stacks: Agent, stack_cloud: Clients) -> None:
    made = await stacks.call("deploy_stack", name="shop", template=QUEUES)
    undone = await stacks.call("undo_change", change_id=made["change_id"])
    assert {c["verdict"] for c in undone["checks"]} == {"PASS"}
    assert queues(stack_cloud) == []


async def test_undoing_an_update_gives_the_stack_back_what_it_was(
    stacks: Agent, stack_cloud: Clients
) -> None:
    await stacks.call("deploy_stack", name="shop", template=QUEUES)
    updated = await stacks.call("deploy_stack", name="shop", template=LARGER)
    assert updated["summary"] == "Update stack shop: 1 to create"
    assert queues(stack_cloud) == ["jobs-dev", "late"]
    undone = await stacks.call("undo_change", change_id=updated["change_id"])
    assert {c["verdict"] for c in undone["checks"]} == {"PASS"}
    assert queues(stack_cloud) == ["jobs-dev"]


async def test_a_replacement_is_named_with_the_data_that_it_costs(stacks: Agent) -> None:
    await stacks.call("deploy_stack", name="shop", template=QUEUES)
    planned = await stacks.call(
        "deploy_stack", name="shop", template=QUEUES, parameters={"Stage": "prod"}, dry_run=True
    )
    assert [a["verb"] for a in planned["plan"]["actions"]] == ["replace"]
    assert planned["plan"]["warnings"][0].startswith("DATA LOSS: Jobs (AWS::SQS::Queue)")
    assert planned["plan"]["reversible"] is False


async def test_a_new_stack_that_fails_says_why_and_leaves_nothing(
    stacks: Agent, stack_cloud: Clients
) -> None:
    said = await stacks.refused("deploy_stack", name="shop", template=BROKEN)
    assert "Door (AWS::Lambda::Url) failed" in said
    assert "nobody" in said
    assert queues(stack_cloud) == []
    repaired = await stacks.call("deploy_stack", name="shop", template=QUEUES)
    assert repaired["status"] == "done"


async def test_what_the_validation_before_a_deployment_found_is_told(
    stacks: Agent, stack_cloud: Clients
) -> None:
    there = {"LocationConstraint": "eu-west-1"}
    stack_cloud("s3").create_bucket(Bucket="taken", CreateBucketConfiguration=there)
    taken = ADOPTING.replace("BucketName: files", "BucketName: taken")
    said = await stacks.refused("deploy_stack", name="shop", template=taken)
    assert "Files (AWS::S3::Bucket) failed" in said
    assert "taken" in said
    assert "import_resources" in said
    assert queues(stack_cloud) == []


async def test_an_update_that_fails_leaves_the_stack_as_it_was(
    stacks: Agent, stack_cloud: Clients
) -> None:
    await stacks.call("deploy_stack", name="shop", template=QUEUES)
    assert "Door" in await stacks.refused("deploy_stack", name="shop", template=BROKEN)
    assert queues(stack_cloud) == ["jobs-dev"]
    seen = await stacks.call("get_stack", name="shop")
    assert seen["outputs"]["Url"].endswith("/jobs-dev")
    larger = await stacks.call("deploy_stack", name="shop", template=LARGER)
    assert larger["status"] == "done"


async def test_drift_names_the_property_that_was_changed_by_hand(
    stacks: Agent, stack_cloud: Clients
) -> None:
    template = QUEUES.replace('jobs-${Stage}"}', 'jobs-${Stage}", VisibilityTimeout: 30}')
    made = await stacks.call("deploy_stack", name="shop", template=template)
    untouched = await stacks.call("find_stack_drift", name="shop")
    assert (untouched["total"], untouched["summary"][:15]) == (0, "shop is IN_SYNC")
    url = made["outputs"]["outputs"]["Url"]
    stack_cloud("sqs").set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "77"})
    drifted = await stacks.call("find_stack_drift", name="shop")
    (found,) = drifted["items"]
    assert (found["resource"], found["status"]) == ("Jobs", "MODIFIED")
    (difference,) = found["differences"]
    assert (difference["path"], difference["expected"], difference["actual"]) == (
        "/VisibilityTimeout", "30", "77",
    )  # fmt: skip


async def test_moto_deploys_too_and_its_missing_drift_is_said(agent: Agent) -> None:
    made = await agent.call("deploy_stack", name="shop", template=QUEUES)
    assert made["status"] == "done"
    said = await agent.refused("find_stack_drift", name="shop")
    assert "does not implement" in said
    gone = await agent.call("delete_stack", name="shop")
    assert gone["checks"][0]["verdict"] == "PASS"


async def test_a_template_may_be_a_file(agent: Agent, tmp_path: Path) -> None:
    file = tmp_path / "queues.yaml"
    file.write_text(QUEUES)
    planned = await agent.call("deploy_stack", name="shop", template=str(file), dry_run=True)
    assert planned["summary"] == "Create stack shop: 1 to create"


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("nowhere.yaml", "no file here"),
        ("Resources: [\n1", "no YAML or JSON"),
        ("a: 1\nb: 2", "no Resources"),
        ("{" + " " * 52_000 + "}", "takes 51200"),
        ("Resources: {}\n" + "&a " * 3, "no YAML or JSON"),
    ],
)
async def test_what_is_no_template_is_refused_before_anything_is_sent(
    agent: Agent, template: str, said: str
) -> None:
    assert said in await agent.refused("deploy_stack", name="shop", template=template)


async def test_a_secret_parameter_is_not_taken_in_plain_text(agent: Agent) -> None:
    secret = QUEUES.replace("Default: dev}", "NoEcho: true}")
    said = await agent.refused(
        "deploy_stack", name="shop", template=secret, parameters={"Stage": "hunter2"}
    )
    assert "resolve:secretsmanager" in said
    assert "hunter2" not in said


async def test_iam_in_a_template_has_to_be_acknowledged(stacks: Agent) -> None:
    role = """
Resources:
  Role:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument: {Version: "2012-10-17", Statement: []}
"""
    said = await stacks.refused("deploy_stack", name="shop", template=role)
    assert "CAPABILITY_IAM" in said
    assert "capabilities" in said


ADOPTING = """
Resources:
  Jobs:
    Type: AWS::SQS::Queue
    DeletionPolicy: Retain
    UpdateReplacePolicy: Retain
    Properties: {QueueName: jobs}
  Files:
    Type: AWS::S3::Bucket
    DeletionPolicy: Retain
    UpdateReplacePolicy: Retain
    Properties: {BucketName: files}
"""


async def test_what_exists_is_taken_into_a_stack_and_left_there_when_that_is_undone(
    stacks: Agent, stack_cloud: Clients
) -> None:
    url = stack_cloud("sqs").create_queue(QueueName="jobs")["QueueUrl"]
    stack_cloud("sqs").send_message(QueueUrl=url, MessageBody="kept")
    there = {"LocationConstraint": "eu-west-1"}
    stack_cloud("s3").create_bucket(Bucket="files", CreateBucketConfiguration=there)
    both = {"Jobs": {"QueueUrl": url}, "Files": {"BucketName": "files"}}
    asked = {"name": "adopted", "template": ADOPTING, "resources": both}
    planned = await stacks.call("import_resources", **asked, dry_run=True)
    assert planned["summary"].startswith("Import 2 resources that exist into stack adopted")
    assert {a["detail"] for a in planned["plan"]["actions"]} == {
        f"imported: {url}", "imported: files",
    }  # fmt: skip
    assert "no stack 'adopted'" in await stacks.refused("get_stack", name="adopted")

    made = await stacks.call("import_resources", **asked)
    assert made["outputs"]["status"] == "IMPORT_COMPLETE"
    assert set(made["outputs"]["resources"]) == {"Jobs", "Files"}
    assert {c["verdict"] for c in made["checks"]} == {"PASS"}
    assert (await stacks.call("import_resources", **asked))["reused"]

    more = (
        ADOPTING
        + "  Late: {Type: AWS::SQS::Queue, DeletionPolicy: Retain, Properties: {QueueName: late}}"
    )
    late = {"Late": {"QueueUrl": stack_cloud("sqs").create_queue(QueueName="late")["QueueUrl"]}}
    added = await stacks.call("import_resources", name="adopted", template=more, resources=late)
    assert set(added["outputs"]["resources"]) == {"Jobs", "Files", "Late"}
    for change in (added, made):
        undone = await stacks.call("undo_change", change_id=change["change_id"])
        assert {c["verdict"] for c in undone["checks"]} == {"PASS"}
    assert "no stack 'adopted'" in await stacks.refused("get_stack", name="adopted")
    assert queues(stack_cloud) == ["jobs", "late"]
    (message,) = stack_cloud("sqs").receive_message(QueueUrl=url)["Messages"]
    assert message["Body"] == "kept"


async def test_what_was_exported_is_taken_into_a_stack_as_it_stands(
    stacks: Agent, stack_cloud: Clients
) -> None:
    url = stack_cloud("sqs").create_queue(
        QueueName="jobs", Attributes={"VisibilityTimeout": "77"}, tags={"app": "shop"}
    )["QueueUrl"]
    template = (await stacks.call("export_resources", resource_ids=["jobs"]))["text"]
    asked = {"name": "adopted", "template": template, "resources": {"JobsQueue": {"QueueUrl": url}}}
    made = await stacks.call("import_resources", **asked)
    assert {c["verdict"] for c in made["checks"]} == {"PASS"}
    attributes = stack_cloud("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
    assert attributes["Attributes"]["VisibilityTimeout"] == "77"
    again = await stacks.call("deploy_stack", name="adopted", template=template, dry_run=True)
    assert again["summary"].endswith("nothing changes")


async def test_a_change_set_that_cannot_be_executed_says_why_and_leaves_nothing(
    stacks: Agent, stack_cloud: Clients
) -> None:
    stack_cloud("cloudwatch").put_metric_alarm(
        AlarmName="errors", Namespace="AWS/Lambda", MetricName="Errors", Statistic="Sum",
        Period=60, EvaluationPeriods=1, Threshold=1, ComparisonOperator="GreaterThanThreshold",
    )  # fmt: skip
    template = (await stacks.call("export_resources", resource_ids=["errors"]))["text"]
    asked = {"template": template, "resources": {"ErrorsAlarm": {"AlarmName": "errors"}}}
    said = await stacks.refused("import_resources", name="adopted", **asked)
    assert "cannot be executed: Resource import is not supported by this emulator" in said
    assert "no stack 'adopted'" in await stacks.refused("get_stack", name="adopted")


async def test_a_stack_of_which_only_a_change_set_was_made_is_deleted(
    stacks: Agent, stack_cloud: Clients
) -> None:
    body = "Resources: {Q: {Type: AWS::SQS::Queue}}"
    stack_cloud("cloudformation").create_change_set(
        StackName="half", ChangeSetName="first", ChangeSetType="CREATE", TemplateBody=body
    )
    assert (await stacks.call("get_stack", name="half"))["status"] == "REVIEW_IN_PROGRESS"
    gone = await stacks.call("delete_stack", name="half")
    assert {c["verdict"] for c in gone["checks"]} == {"PASS"}
    assert "no stack 'half'" in await stacks.refused("get_stack", name="half")


async def test_an_import_that_could_lose_or_miss_something_is_refused(
    stacks: Agent, stack_cloud: Clients
) -> None:
    async def refused(template: str = ADOPTING, **resources: dict[str, str]) -> str:
        arguments = {"name": "adopted", "template": template, "resources": resources}
        return await stacks.refused("import_resources", **arguments)

    url = stack_cloud("sqs").create_queue(QueueName="jobs")["QueueUrl"]
    jobs = {"QueueUrl": url}
    losing = ADOPTING.replace("Retain", "Delete", 1)
    assert "Jobs needs DeletionPolicy: Retain" in await refused(losing, Jobs=jobs)
    assert "the template has no Other" in await refused(Other=jobs)
    assert "Files" in await refused(Jobs=jobs)  # it would be made
    assert "Expected [QueueUrl]" in await refused(
        Jobs={"QueueName": "jobs"}, Files={"BucketName": "files"}
    )
    gone = {"BucketName": "no-such"}
    assert "Bucket not found" in await refused(Jobs=jobs, Files=gone)
    assert "no stack 'adopted'" in await stacks.refused("get_stack", name="adopted")


async def test_a_backend_that_would_make_what_is_to_be_imported_is_found_out(
    agent: Agent, client_of: Clients
) -> None:
    url = client_of("sqs").create_queue(QueueName="jobs")["QueueUrl"]
    both = {"Jobs": {"QueueUrl": url}, "Files": {"BucketName": "files"}}
    said = await agent.refused(
        "import_resources", name="adopted", template=ADOPTING, resources=both
    )
    assert "does not implement import" in said
    assert client_of("s3").list_buckets()["Buckets"] == []
    assert client_of("cloudformation").list_stacks()["StackSummaries"] in ([], None) or all(
        s["StackStatus"] == "DELETE_COMPLETE"
        for s in client_of("cloudformation").list_stacks()["StackSummaries"]
    )


def change(action: str, kind: str = "AWS::S3::Bucket", **more: Any) -> dict[str, Any]:
    own = {"Action": action, "LogicalResourceId": "It", "ResourceType": kind, **more}
    return {"Type": "Resource", "ResourceChange": own}


@pytest.mark.parametrize(
    ("made", "verb", "warning"),
    [
        (change("Add"), "create", ""),
        (change("Modify", Replacement="False"), "modify", ""),
        (change("Modify", Replacement="True"), "replace", "DATA LOSS: It (AWS::S3::Bucke"),
        (change("Modify", Replacement="Conditional"), "replace", "DATA LOSS: It (AWS::S3::Buck"),
        (change("Modify", Replacement="True", PolicyAction="ReplaceAndRetain"), "replace", "It (A"),
        (change("Modify", "AWS::EC2::Instance", Replacement="True"), "replace", "It (AWS::EC2"),
        (change("Remove"), "delete", "DATA LOSS: It (AWS::S3::Bucket) is deleted"),
        (change("Remove", PolicyAction="Retain"), "delete", ""),
        (change("Remove", "AWS::EC2::Route"), "delete", ""),
        (change("Import", PhysicalResourceId="old"), "create", ""),
    ],
)  # fmt: skip
def test_a_change_is_told_by_what_it_does_to_the_resource(
    made: dict[str, Any], verb: str, warning: str
) -> None:
    assert [action.verb for action in actions([made])] == [verb]
    told = warnings([made])
    assert [text.startswith(warning) for text in told] == ([True] if warning else [])


def event(resource: str, status: str, reason: str = "", **more: Any) -> dict[str, Any]:
    return {
        "LogicalResourceId": resource, "ResourceStatus": status, "ResourceStatusReason": reason,
        "ResourceType": "AWS::EC2::VPC", "StackId": "top", "PhysicalResourceId": "x", **more,
    }  # fmt: skip


BEGUN = event("shop", "UPDATE_IN_PROGRESS", PhysicalResourceId="top")


def test_the_cause_is_the_first_that_failed_by_itself_in_the_last_operation() -> None:
    newest_first = [
        event("shop", "UPDATE_ROLLBACK_COMPLETE"),
        event("B", "UPDATE_FAILED", "Resource update cancelled"),
        event("C", "CREATE_FAILED", "later"),
        event("A", "CREATE_FAILED", "User is not authorized to perform: ec2:CreateVpc"),
        BEGUN,
        event("Old", "CREATE_FAILED", "an earlier deployment's"),
    ]
    cause = root_cause(newest_first)
    assert cause is not None
    assert cause.resource == "A"
    assert "Grant the permission" in str(cause)


@pytest.mark.parametrize(
    ("reason", "mend"),
    [
        ("The bucket you tried to delete is not empty (Service: S3, Status Code: 409)", "Empty it"),
        ("Error Code: DependencyViolation; The vpc has dependencies", "explain_resource names"),
    ],
)
def test_what_is_in_use_is_the_cause_of_a_deletion_that_failed(reason: str, mend: str) -> None:
    begun = event("shop", "DELETE_IN_PROGRESS", PhysicalResourceId="top")
    cause = root_cause([event("A", "DELETE_FAILED", reason), begun])
    assert cause is not None
    assert mend in cause.mend


def test_nothing_failed_has_no_cause() -> None:
    assert root_cause([event("shop", "UPDATE_COMPLETE"), BEGUN]) is None


def test_the_cause_inside_a_nested_stack_is_found_there() -> None:
    arn = "arn:aws:cloudformation:eu-west-1:123456789012:stack/inner/1-2"
    outer = [
        event("Inner", "CREATE_FAILED", f"Embedded stack {arn} was not successfully created",
              ResourceType="AWS::CloudFormation::Stack"),
        BEGUN,
    ]  # fmt: skip
    inner = [event("Disk", "CREATE_FAILED", "Limit of volumes reached", StackId=arn)]
    cause = root_cause(outer, lambda asked: inner if asked == arn else [])
    assert cause is not None
    assert cause.resource == "Inner/Disk"
    assert "quota" in cause.mend


def test_a_kept_template_that_was_changed_is_not_restored(tmp_path: Path) -> None:
    name = keep(QUEUES, tmp_path)
    assert kept(name, tmp_path) == QUEUES
    (tmp_path / "templates" / name).write_text("Resources: {}")
    with pytest.raises(NotFoundError, match="changed since"):
        kept(name, tmp_path)
    (tmp_path / "templates" / name).unlink()
    with pytest.raises(NotFoundError, match="no longer"):
        kept(name, tmp_path)


SHARING = """
Resources:
  Jobs: {Type: AWS::SQS::Queue}
  Policy:
    Type: AWS::SQS::QueuePolicy
    Properties: {Queues: [!Ref Jobs], PolicyDocument: {Resource: !GetAtt Jobs.Arn}}
Outputs:
  Url: {Value: !Ref Jobs, Export: {Name: jobs-url}}
"""
USING = """
Resources:
  Address:
    Type: AWS::SSM::Parameter
    Properties: {Type: String, Name: address, Value: !ImportValue jobs-url}
"""


async def test_a_drawn_stack_shows_what_refers_to_what_and_who_imports(stacks: Agent) -> None:
    await stacks.call("deploy_stack", name="sharing", template=SHARING)
    await stacks.call("deploy_stack", name="using", template=USING)
    drawn = await stacks.call("draw_stack", name="sharing")
    assert drawn["unread"] == []
    assert "2 resources, 1 references, 0 nested stacks, 1 stacks import" in drawn["summary"]
    assert "sr1 --> sr0" in drawn["mermaid"]
    assert 'se0(["jobs-url"])' in drawn["mermaid"]
    assert 'su0x0["using"] -.-> se0' in drawn["mermaid"]
    using = await stacks.call("draw_stack", name="using")
    assert "sr0 -.-> si0" in using["mermaid"]


def test_references_are_found_in_every_form() -> None:
    graph = graph_of(
        "it",
        {
            "Resources": {
                "A": {"Type": "T", "DependsOn": "B", "Properties": {"X": {"Ref": "AWS::Region"}}},
                "B": {"Type": "T", "Properties": {"X": {"Fn::GetAtt": ["C", "Arn"]}}},
                "C": {"Type": "T", "Properties": {"X": {"Fn::Sub": "${D.Arn}-${AWS::Region}"}}},
                "D": {"Type": "T", "Properties": {"X": [{"!Sub": ["${V}", {"V": {"!Ref": "A"}}]}]}},
                "E": {"Type": "T", "Properties": {"X": {"Fn::ImportValue": {"!Ref": "D"}}}},
            }
        },
    )
    assert graph.references == [("A", "B"), ("B", "C"), ("C", "D"), ("D", "A"), ("E", "D")]
    assert graph.imports == [("E", "(worked out when deployed)")]


def test_nested_stacks_are_drawn_inside() -> None:
    inner = StackGraph("inner", {"Q": "AWS::SQS::Queue"}, [], [])
    outer = StackGraph("outer", {"Part": NESTED}, [], [], nested={"Part": inner})
    drawn = stack_as_mermaid(outer)
    assert 'subgraph sr0s["inner"]' in drawn
    assert "sr0 --> sr0s" in drawn


async def test_a_nested_stack_is_read_and_drawn_with_what_is_in_it(
    agent: Agent, client_of: Clients
) -> None:
    s3 = client_of("s3")
    s3.create_bucket(Bucket="parts", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    s3.put_object(Bucket="parts", Key="queues.yaml", Body=QUEUES.encode())
    outer = {
        "Type": NESTED,
        "Properties": {"TemplateURL": "https://parts.s3.amazonaws.com/queues.yaml"},
    }
    await agent.call(
        "deploy_stack", name="outer", template=json.dumps({"Resources": {"Part": outer}})
    )
    drawn = await agent.call("draw_stack", name="outer")
    assert drawn["unread"] == []
    assert "1 nested stacks" in drawn["summary"]
    assert 'sr0sr0["Jobs<br/>SQS::Queue"]' in drawn["mermaid"]
