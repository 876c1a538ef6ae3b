"""Any AWS operation: reads at once, changes through the protocol, secrets never."""

import dataclasses
import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.stub import Stubber
from fastmcp import Client

from opswright_aws_devops.api import disclosure
from opswright_aws_devops.server import create_server
from opswright_core.aws import HERE
from opswright_core.canonical import size_bytes
from opswright_core.pages import BUDGET_BYTES
from opswright_core.settings import Settings

Clients = Callable[[str], Any]


def asked(service: str, operation: str, /, **parameters: Any) -> dict[str, Any]:
    """The arguments of a call."""
    return {"service": service, "operation": operation, "parameters": parameters}


@pytest.mark.parametrize(
    ("service", "operation", "key"),
    [
        ("ec2", "DescribeVpcs", "Vpcs"),
        ("s3", "ListBuckets", "Buckets"),
        ("iam", "ListRoles", "Roles"),
        ("sqs", "ListQueues", "QueueUrls"),
        ("sns", "ListTopics", "Topics"),
        ("dynamodb", "ListTables", "TableNames"),
        ("lambda", "ListFunctions", "Functions"),
        ("kms", "ListKeys", "Keys"),
        ("logs", "DescribeLogGroups", "logGroups"),
        ("cloudwatch", "DescribeAlarms", "MetricAlarms"),
        ("route53", "ListHostedZones", "HostedZones"),
        ("ecr", "DescribeRepositories", "repositories"),
        ("ecs", "ListClusters", "clusterArns"),
        ("rds", "DescribeDBInstances", "DBInstances"),
        ("cloudformation", "DescribeStacks", "Stacks"),
        ("stepfunctions", "ListStateMachines", "stateMachines"),
        ("elbv2", "DescribeLoadBalancers", "LoadBalancers"),
        ("resourcegroupstaggingapi", "GetResources", "ResourceTagMappingList"),
    ],
)
async def test_reads_of_many_services(agent: Any, service: str, operation: str, key: str) -> None:
    answer = await agent.call("read_aws", **asked(service, operation))
    assert isinstance(answer["data"].get(key, []), list)
    assert answer["access"] in {"List", "Read"}
    assert answer["region"] == "eu-west-1"


async def test_pages_follow_each_other_without_a_gap(agent: Any, client_of: Clients) -> None:
    names = [f"/shop/{n:03}" for n in range(120)]
    for name in names:
        client_of("ssm").put_parameter(Name=name, Value="x", Type="String")
    seen: list[str] = []
    cursor, calls = None, 0
    while calls == 0 or cursor:
        answer = await agent.call(
            "read_aws",
            **asked("ssm", "DescribeParameters"),
            query="Parameters[].Name",
            limit=35,
            cursor=cursor,
        )
        seen, cursor, calls = seen + answer["data"], answer["cursor"], calls + 1
        assert len(answer["data"]) <= 35
    assert sorted(seen) == names
    assert calls == 4


async def test_what_does_not_fit_comes_with_the_cursor(agent: Any, client_of: Clients) -> None:
    s3 = client_of("s3")
    where = {"LocationConstraint": "eu-west-1"}
    s3.create_bucket(Bucket="shop", CreateBucketConfiguration=where)
    names = [f"{n:03}-{'x' * 200}" for n in range(150)]
    for name in names:
        s3.put_object(Bucket="shop", Key=name, Body=b"")
    seen: list[str] = []
    cursor, calls = None, 0
    while calls == 0 or cursor:
        answer = await agent.call(
            "read_aws", **asked("s3", "ListObjectsV2", Bucket="shop"), limit=500, cursor=cursor
        )
        assert size_bytes(answer) <= BUDGET_BYTES
        assert "shortened" not in answer
        seen += [item["Key"] for item in answer["data"]["Contents"]]
        cursor, calls = answer["cursor"], calls + 1
    assert seen == names
    assert calls > 2


async def test_one_huge_answer_without_pages_is_shortened_and_kept_whole(
    agent: Any, client_of: Clients
) -> None:
    ec2, ssm = client_of("ec2"), client_of("ssm")
    for _ in range(200):
        ec2.allocate_address(Domain="vpc")
    steps = [{"action": "aws:sleep", "name": f"s{n}", "inputs": {"Duration": "P1D"}}
             for n in range(900)]  # fmt: skip
    document = json.dumps({"schemaVersion": "0.3", "mainSteps": steps})
    ssm.create_document(Name="long", DocumentType="Automation", Content=document)
    for one in (asked("ec2", "DescribeAddresses"), asked("ssm", "GetDocument", Name="long")):
        answer = await agent.call("read_aws", **one)
        assert size_bytes(answer) <= BUDGET_BYTES
        assert answer["cursor"] is None
        (kept,) = await agent.client.read_resource(answer["shortened"]["whole"])
        whole = json.loads(kept.text)["data"]
        assert len(whole.get("Addresses", range(200))) == 200
        assert whole.get("Content", document) == document
    few = await agent.call(
        "read_aws", **asked("ec2", "DescribeAddresses"), query="Addresses[].AllocationId"
    )
    assert ("shortened" in few, len(few["data"])) == (False, 200)


async def test_a_huge_answer_to_a_change_says_what_was_left_out(agent: Any) -> None:
    asked_for = asked(
        "ec2", "RunInstances", ImageId="ami-12c6146b", MinCount=40, MaxCount=40,
        InstanceType="t3.micro",
    )  # fmt: skip
    change = await agent.call("change_aws", **asked_for)
    assert size_bytes(change) <= BUDGET_BYTES
    shown = len(change["outputs"]["answer"]["Instances"])
    assert shown < 40
    assert f"Instances: {shown} of 40 shown" in change["outputs"]["left_out"]
    assert change["outputs"]["left_out"][-1].startswith("read_aws reads")
    again = await agent.call("get_change", change_id=change["change_id"])
    assert again["outputs"]["left_out"] == change["outputs"]["left_out"]


@pytest.mark.parametrize("cursor", ["x", "bm9wZQ==", "W3siTmV4dFRva2VuIjogMX0sIC0xXQ=="])
async def test_a_made_up_cursor_is_refused(agent: Any, cursor: str) -> None:
    said = await agent.refused("read_aws", **asked("ec2", "DescribeVpcs"), cursor=cursor)
    assert "Call again without a cursor" in said


async def test_an_answer_in_one_piece_takes_no_cursor(agent: Any) -> None:
    said = await agent.refused("read_aws", **asked("sts", "GetCallerIdentity"), cursor="x")
    assert "takes no cursor" in said


@pytest.mark.parametrize(("query", "said"), [("Vpcs[", "not JMESPath"), ("abs(Vpcs)", "not fit")])
async def test_a_wrong_query_is_explained(agent: Any, query: str, said: str) -> None:
    assert said in await agent.refused("read_aws", **asked("ec2", "DescribeVpcs"), query=query)


async def test_what_changes_is_not_read_and_what_reads_is_not_changed(agent: Any) -> None:
    said = await agent.refused("read_aws", **asked("ec2", "DeleteVpc", VpcId="vpc-1"))
    assert "is for change_aws: its IAM access level is Write" in said
    said = await agent.refused("read_aws", **asked("sqs", "ReceiveMessage", QueueUrl="u"))
    assert "may do more than read" in said
    said = await agent.refused("change_aws", **asked("ec2", "DescribeVpcs"))
    assert "read_aws calls it" in said


async def test_secrets_are_masked_in_answers(agent: Any, client_of: Clients) -> None:
    client_of("ssm").put_parameter(Name="/plain", Value="eu-west-1", Type="String")
    client_of("ssm").put_parameter(Name="/secret", Value="hunter2hunter2", Type="SecureString")
    plain = await agent.call("read_aws", **asked("ssm", "GetParameter", Name="/plain"))
    assert plain["data"]["Parameter"]["Value"] == "eu-west-1"
    denied = await agent.refused(
        "read_aws", **asked("ssm", "GetParameter", Name="/secret", WithDecryption=True)
    )
    assert "denied here by built-in rule 5: answers a secret in the clear" in denied
    role = client_of("iam").create_role(RoleName="f", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    client_of("lambda").create_function(
        FunctionName="f", Runtime="python3.12", Role=role, Handler="a.b", Code={"ZipFile": b"x"},
        Environment={"Variables": {"PLAIN_LOOKING": "hunter2hunter2"}},
    )  # fmt: skip
    answer = await agent.call(
        "read_aws", **asked("lambda", "GetFunctionConfiguration", FunctionName="f")
    )
    assert "hunter2" not in json.dumps(answer)
    assert answer["data"]["Environment"]["Variables"] == "[redacted]"


@pytest.mark.parametrize(
    ("service", "operation", "parameters"),
    [
        ("secretsmanager", "GetSecretValue", {"SecretId": "x"}),
        ("secretsmanager", "BatchGetSecretValue", {"SecretIdList": ["x"]}),
        ("ecr", "GetAuthorizationToken", {}),
        ("codeartifact", "GetAuthorizationToken", {"domain": "xyz"}),
        ("sts", "GetSessionToken", {}),
        ("sts", "AssumeRole", {"RoleArn": "arn:aws:iam::1:role/abcdef", "RoleSessionName": "ab"}),
        ("sso", "GetRoleCredentials", {"roleName": "a", "accountId": "1", "accessToken": "x"}),
        ("ec2", "GetPasswordData", {"InstanceId": "i-1"}),
        ("kms", "Decrypt", {"CiphertextBlob": "x"}),
        ("iam", "CreateAccessKey", {}),
        ("organizations", "CloseAccount", {"AccountId": "123456789012"}),
        ("cloudtrail", "StopLogging", {"Name": "x"}),
        ("guardduty", "DeleteDetector", {"DetectorId": "x"}),
        ("kms", "ScheduleKeyDeletion", {"KeyId": "x"}),
    ],
)
async def test_what_is_denied_by_default_is_not_sent_by_either_tool(
    agent: Any, service: str, operation: str, parameters: dict[str, Any]
) -> None:
    said = [
        await agent.refused(tool, **asked(service, operation, **parameters))
        for tool in ("read_aws", "change_aws")
    ]
    assert any("denied here by built-in rule" in one for one in said)


async def test_an_object_is_shown_as_text_or_as_size_and_digest(
    agent: Any, client_of: Clients
) -> None:
    s3 = client_of("s3")
    s3.create_bucket(Bucket="shop", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    bodies = {
        "text": b"hello \xe2\x80\xaeworld", "binary": b"\x00\xff" * 8, "long": b"a" * (3 << 20),
    }  # fmt: skip
    for key, body in bodies.items():
        s3.put_object(Bucket="shop", Key=key, Body=body)
    shown = {
        key: (await agent.call("read_aws", **asked("s3", "GetObject", Bucket="shop", Key=key)))[
            "data"
        ]["Body"]
        for key in bodies
    }
    assert shown["text"]["text"] == "hello world"
    digest = hashlib.sha256(bodies["binary"]).hexdigest()
    assert shown["binary"] == {"size_bytes": 16, "sha256": digest}
    assert shown["long"]["first_bytes"] == 1 << 20
    assert len(shown["long"]["text"]) < BUDGET_BYTES


async def test_a_change_says_what_it_sends_where_and_that_it_cannot_be_undone(
    agent: Any,
) -> None:
    change = await agent.call(
        "change_aws", **asked("sqs", "CreateQueue", QueueName="jobs"), dry_run=True
    )
    (action,) = change["plan"]["actions"]
    assert change["plan"]["summary"] == "sqs CreateQueue in 123456789012 eu-west-1"
    assert (action["verb"], action["type"], action["name"]) == (
        "create", "sqs:CreateQueue", "jobs",
    )  # fmt: skip
    assert '{"QueueName":"jobs"}' in action["detail"]
    assert "sqs:CreateQueue, access level Write, on queue" in action["detail"]
    assert not change["plan"]["reversible"]
    assert "Irreversible here" in change["plan"]["warnings"][0]


@pytest.mark.parametrize(
    ("service", "operation", "parameters", "read"),
    [
        ("ec2", "CreateVpc", {"CidrBlock": "10.0.0.0/16"}, "describe_vpcs"),
        ("dynamodb", "CreateTable", {
            "TableName": "jobs", "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
            "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
        }, "list_tables"),
        ("iam", "CreateUser", {"UserName": "someone"}, "list_users"),
        ("ecr", "CreateRepository", {"repositoryName": "shop"}, "describe_repositories"),
        ("ec2", "CreateVolume", {"AvailabilityZone": "eu-west-1a", "Size": 1}, "describe_volumes"),
        ("rds", "CreateDBParameterGroup", {
            "DBParameterGroupName": "shop", "DBParameterGroupFamily": "postgres16",
            "Description": "of shop",
        }, "describe_db_parameter_groups"),
    ],
)  # fmt: skip
async def test_a_create_with_a_certain_inverse_is_verified_and_undone(
    agent: Any,
    client_of: Clients,
    service: str,
    operation: str,
    parameters: dict[str, Any],
    read: str,
) -> None:
    def there() -> Any:
        answer = getattr(client_of(service), read)()
        return {k: v for k, v in answer.items() if k != "ResponseMetadata"}

    before = there()
    change = await agent.call("change_aws", **asked(service, operation, **parameters))
    assert change["status"] == "done"
    assert [c["verdict"] for c in change["checks"]] == ["PASS"]
    assert there() != before
    assert (await agent.call("change_aws", **asked(service, operation, **parameters)))["reused"]
    undone = await agent.call("undo_change", change_id=change["change_id"])
    assert [c["verdict"] for c in undone["checks"]] == ["PASS"]
    assert there() == before


async def test_a_delete_is_verified_and_what_no_read_tells_is_unknown(
    agent: Any, client_of: Clients
) -> None:
    vpc = client_of("ec2").create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    gone = await agent.call("change_aws", **asked("ec2", "DeleteVpc", VpcId=vpc))
    assert [c["verdict"] for c in gone["checks"]] == ["PASS"]
    assert gone["resources"][0]["action"] == "deleted"
    queue = await agent.call("change_aws", **asked("sqs", "CreateQueue", QueueName="jobs"))
    assert [c["verdict"] for c in queue["checks"]] == ["UNKNOWN"]
    assert queue["outputs"]["answer"]["QueueUrl"].endswith("/jobs")
    nothing = await agent.call("undo_change", change_id=queue["change_id"])
    assert "nothing that can be reversed" in nothing["summary"]


async def test_a_token_of_the_model_makes_a_call_that_is_sent_again_the_same_call(
    agent: Any, client_of: Clients
) -> None:
    change = await agent.call(
        "change_aws", **asked("ec2", "CreateVolume", AvailabilityZone="eu-west-1a", Size=1),
        dry_run=True,
    )  # fmt: skip
    assert not any("Sent twice" in warning for warning in change["plan"]["warnings"])
    once = await agent.call(
        "change_aws",
        **asked("sqs", "SendMessage", QueueUrl="http://x/q", MessageBody="hi"),
        dry_run=True,
    )
    assert any("Sent twice" in warning for warning in once["plan"]["warnings"])


async def test_a_secret_that_is_sent_reaches_neither_the_plan_nor_the_journal(
    agent: Any, settings: Settings
) -> None:
    secret = "plain looking words"
    parameters = {"Name": "shop", "SecretString": secret}
    planned = await agent.call(
        "change_aws", **asked("secretsmanager", "CreateSecret", **parameters), dry_run=True
    )
    assert secret not in json.dumps(planned)
    made = await agent.call("change_aws", **asked("secretsmanager", "CreateSecret", **parameters))
    assert made["status"] == "done"
    stored = (settings.state_dir / "journal.db").read_bytes()
    wal = settings.state_dir / "journal.db-wal"
    stored += wal.read_bytes() if wal.exists() else b""
    assert secret.encode() not in stored
    assert b"CreateSecret" in stored


async def test_an_operation_that_an_emulator_lacks_is_said_to_be_a_gap(agent: Any) -> None:
    said = await agent.refused(
        "read_aws", **asked("compute-optimizer", "GetEC2InstanceRecommendations")
    )
    assert "does not implement" in said or "not AWS's" in said


def test_a_presigned_address_opens_nothing_any_more() -> None:
    signed = "https://b.s3.amazonaws.com/k?X-Amz-Credential=AB%2F1&X-Amz-Signature=abc&v=1"
    assert disclosure.shown({"Location": signed}, None) == {
        "Location": "https://b.s3.amazonaws.com/k?X-Amz-Credential=[redacted]"
        "&X-Amz-Signature=[redacted]&v=1"
    }


async def test_event_streams_are_refused(agent: Any) -> None:
    parameters = {
        "Bucket": "b", "Key": "k", "Expression": "x", "ExpressionType": "SQL",
        "InputSerialization": {}, "OutputSerialization": {},
    }  # fmt: skip
    said = await agent.refused("change_aws", **asked("s3", "SelectObjectContent", **parameters))
    assert "event stream" in said


async def test_names_with_injection_are_values_and_nothing_else(
    agent: Any, client_of: Clients
) -> None:
    name = "x'; DROP TABLE operations; --${jndi:ldap://a}"
    change = await agent.call("change_aws", **asked("iam", "CreateUser", UserName=name))
    assert [user["UserName"] for user in client_of("iam").list_users()["Users"]] == [name]
    await agent.call("undo_change", change_id=change["change_id"])
    assert client_of("iam").list_users()["Users"] == []


async def test_another_partition_is_another_scope(agent: Any) -> None:
    change = await agent.call(
        "change_aws",
        **asked("sns", "CreateTopic", Name="jobs"),
        target={"region": "cn-north-1"},
        dry_run=True,
    )
    assert change["where"] == "aws-cn:123456789012:cn-north-1"


@pytest.mark.parametrize("region", ["eu-west-99", "all", "nowhere"])
async def test_a_wrong_region_is_said(agent: Any, region: str) -> None:
    answer = await agent.client.call_tool(
        "read_aws",
        {**asked("ec2", "DescribeVpcs"), "target": {"region": region}},
        raise_on_error=False,
    )
    # The emulator takes any region that looks like one; there is nothing in it.
    assert answer.is_error or answer.structured_content["region"] == region


@pytest.mark.usefixtures("cloud")
async def test_what_the_emulator_lacks_is_read_by_the_model(settings: Settings) -> None:
    server: Any = create_server(settings)
    client = server.opswright_runtime.aws_sessions.open(HERE).client("compute-optimizer")
    summary = {"recommendationResourceType": "Ec2Instance", "accountId": "1" * 12}
    with Stubber(client) as stub:
        stub.add_response(
            "get_recommendation_summaries",
            {"recommendationSummaries": [summary], "nextToken": "more"},
            {"accountIds": ["1" * 12]},
        )
        stub.add_response(
            "get_recommendation_summaries",
            {"recommendationSummaries": [summary]},
            {"accountIds": ["1" * 12], "nextToken": "more"},
        )
        async with Client(server) as session:
            answer = await session.call_tool(
                "read_aws",
                asked("compute-optimizer", "GetRecommendationSummaries", accountIds=["1" * 12]),
            )
        stub.assert_no_pending_responses()
    assert len(answer.structured_content["data"]["recommendationSummaries"]) == 2


@pytest.mark.usefixtures("cloud")
async def test_a_refused_call_names_the_permission(settings: Settings) -> None:
    server: Any = create_server(settings)
    client = server.opswright_runtime.aws_sessions.open(HERE).client("sqs")
    with Stubber(client) as stub:
        stub.add_client_error("create_queue", "AccessDenied", "no", 403)
        async with Client(server) as session:
            answer = await session.call_tool(
                "change_aws", asked("sqs", "CreateQueue", QueueName="jobs"), raise_on_error=False
            )
    assert answer.structured_content["status"] == "failed"
    assert "Grant sqs:CreateQueue" in answer.structured_content["error"] or (
        "Grant" in answer.structured_content["error"]
    )


@pytest.mark.usefixtures("cloud")
async def test_an_ask_rule_needs_a_person_whatever_the_approvals_policy(
    settings: Settings,
) -> None:
    role = asked(
        "iam", "PutRolePolicy", RoleName="r", PolicyName="p",
        PolicyDocument='{"Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}',
    )  # fmt: skip
    for approvals in ("auto", "token", "elicit"):
        chosen = dataclasses.replace(settings, approvals=approvals)
        async with Client(create_server(chosen)) as session:
            answer = (await session.call_tool("change_aws", role)).structured_content
        assert answer["status"] == "needs_approval"
        assert answer["approval"]["token"] is None
        assert "A person runs `opswright-aws-devops approve" in answer["approval"]["how"]
        assert any("A person has to approve it" in w for w in answer["plan"]["warnings"])
