"""Finding and describing operations: offline, by words, and which of them only read."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from opswright_aws_devops.api import catalogue
from opswright_aws_devops.api.access import access_of
from opswright_aws_devops.api.inverses import CERTAIN, inverse_of
from opswright_aws_devops.api.models import find, services
from opswright_aws_devops.api.parameters import prepared, shape_of
from opswright_aws_devops.server import create_server
from opswright_core.errors import BadInputError, OpswrightError


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("how do I rotate a secret", "secretsmanager RotateSecret"),
        ("list ec2 instances", "ec2 DescribeInstances"),
        ("stop an rds instance", "rds StopDBInstance"),
        ("who am I", "sts GetCallerIdentity"),
        ("attach a policy to a role", "iam AttachRolePolicy"),
        ("create a dns record", "route53 ChangeResourceRecordSets"),
        ("copy an AMI to another region", "ec2 CopyImage"),
        ("invalidate the cloudfront cache", "cloudfront CreateInvalidation"),
        ("run a command on an instance", "ssm SendCommand"),
        ("request a certificate", "acm RequestCertificate"),
        ("make a queue", "sqs CreateQueue"),
        ("get cost and usage", "ce GetCostAndUsage"),
    ],
)
def test_words_find_the_operation_that_is_meant(asked: str, found: str) -> None:
    (best,) = catalogue.search(asked, 1)
    assert f"{best.service} {best.operation}" == found


@pytest.mark.parametrize(("phrases", "first", "offered"), [("tuned", 38, 47), ("held_out", 38, 48)])
def test_of_fifty_phrases_most_find_what_is_meant(phrases: str, first: int, offered: int) -> None:
    asked = yaml.safe_load(Path(__file__).with_name("asked_operations.yaml").read_text())[phrases]
    found = {
        query: [f"{e.service} {e.operation}" for e in catalogue.search(query, 8)] for query in asked
    }
    assert len(asked) == 50
    assert sum(found[query][:1] == [meant] for query, meant in asked.items()) >= first
    assert sum(meant in found[query] for query, meant in asked.items()) >= offered


async def test_finding_needs_neither_credentials_nor_a_region(connect: Any) -> None:
    async with connect(create_server) as client:
        answer = await client.call_tool("find_operation", {"query": "rotate a secret"})
    first = answer.structured_content["operations"][0]
    assert first["required"] == ["SecretId"]
    assert first["tool"] == "change_aws"
    assert first["access"] == "Write"
    assert first["summary"].startswith("Configures and starts the asynchronous process")


async def test_what_fits_nothing_says_so_and_a_service_narrows(connect: Any) -> None:
    async with connect(create_server) as client:
        none = await client.call_tool("find_operation", {"query": '" OR 1=1; -- NEAR(* zzqx'})
        only = await client.call_tool(
            "find_operation", {"query": "delete", "service": "sqs", "limit": 30}
        )
    assert "zzqx" not in str(none.structured_content)
    assert {o["service"] for o in only.structured_content["operations"]} == {"sqs"}


def test_the_index_is_whole_or_not_there_and_a_damaged_one_is_built_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "deep" / "index.db"
    catalogue.build(path, ["sqs", "sns"])
    assert [p.name for p in path.parent.iterdir()] == ["index.db"]
    monkeypatch.setattr(catalogue, "index_path", lambda: path)
    monkeypatch.setattr(catalogue, "services", lambda: ["sqs"])
    assert catalogue.search("send a message", 1)[0].operation == "SendMessage"
    path.write_bytes(b"damaged" * 1000)
    monkeypatch.setattr(catalogue, "_build_aside", lambda p: catalogue.build(p, ["sqs"]))
    assert catalogue.search("send a message", 1)[0].operation == "SendMessage"


def test_an_index_that_cannot_be_written_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(catalogue, "index_path", lambda: tmp_path / "file" / "index.db")
    with pytest.raises(OpswrightError, match="Make the folder writable"):
        catalogue.search("send a message", 1)


def test_searching_and_reading_about_many_services_stays_below_150_megabytes() -> None:
    catalogue.search("warm", 1)
    code = (
        "from pathlib import Path\n"
        "from opswright_aws_devops.api import catalogue\n"
        "from opswright_aws_devops.api.models import find, services\n"
        "catalogue.search('rotate a secret', 8)\n"
        "for service in services()[:60]:\n"
        "    try: find(service, 'nothing')\n"
        "    except Exception: pass\n"
        "print(Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) / 1024 <= 150  # VmHWM is the peak, in kilobytes


@pytest.mark.parametrize(
    ("service", "operation", "level", "only_reads"),
    [
        ("ec2", "DescribeInstances", "List", True),
        ("s3", "GetObject", "Read", True),
        ("s3", "HeadObject", "Read", True),
        ("s3", "ListBuckets", "List", True),
        ("apigateway", "GetRestApis", "Read", True),
        ("apigatewaymanagementapi", "GetConnection", "unknown", True),
        ("dynamodb", "Scan", "Read", True),
        ("secretsmanager", "RotateSecret", "Write", False),
        ("ec2", "CreateTags", "Tagging", False),
        ("iam", "PutRolePolicy", "Permissions management", False),
        # Reads to IAM that do more than read:
        ("sqs", "ReceiveMessage", "Read", False),
        ("bedrock-runtime", "InvokeModel", "Read", False),
        ("sagemaker-runtime", "InvokeEndpoint", "Read", False),
        # Reads by their names that are none to IAM:
        ("stepfunctions", "GetActivityTask", "Write", False),
        ("redshift", "GetClusterCredentials", "Write", False),
        ("lightsail", "GetInstanceAccessDetails", "Write", False),
        # What the reference does not know is a change, unless it surely reads:
        ("account-access-runtime", "GetRoleCredentials", "unknown", False),
        ("neptunedata", "ExecuteGremlinQuery", "unknown", False),
    ],
)
def test_only_what_surely_reads_is_a_read(
    service: str, operation: str, level: str, only_reads: bool
) -> None:
    access = access_of(find(service, operation))
    assert (access.level, access.only_reads) == (level, only_reads)


def test_nothing_that_creates_deletes_or_changes_counts_as_a_read() -> None:
    changing = ("Create", "Delete", "Put", "Update", "Modify", "Run", "Start", "Stop", "Terminate")
    for service in ("ec2", "iam", "lambda", "rds", "s3", "glue", "connect", "apigateway"):
        for name in names_of(service):
            if name.startswith(changing):
                assert not access_of(find(service, name)).only_reads, f"{service}:{name}"


def names_of(service: str) -> list[str]:
    """Every operation of a service."""
    from opswright_core.service_models import service_models

    return list(service_models(None).load_service_model(service, "service-2")["operations"])


@pytest.mark.parametrize(
    ("service", "operation", "said"),
    [
        ("secretmanager", "RotateSecret", "Nearest: secretsmanager"),
        ("../../etc", "passwd", "no AWS service"),
        ("s3; drop table", "x", "no AWS service"),
        ("secretsmanager", "RotateSecrets", "Nearest: RotateSecret"),
        ("ec2", "__class__", "no operation"),
    ],
)
def test_a_wrong_name_is_answered_with_the_nearest(service: str, operation: str, said: str) -> None:
    with pytest.raises(BadInputError, match=said):
        find(service, operation)


def test_names_are_taken_as_the_command_line_and_boto3_write_them() -> None:
    assert find("secretsmanager", "rotate_secret").name == "RotateSecret"
    assert find("secretsmanager", "rotatesecret").name == "RotateSecret"
    assert "ec2" in services()


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({}, 'Missing required parameter in input: "SecretId"'),
        (
            {"SecretID": "x", "SecretId": "x"},
            "unknown parameter 'SecretID' in input; nearest: Secr",
        ),
        ({"SecretId": 7}, r"Invalid type for parameter SecretId \(sent int\), valid types"),
        (
            {"SecretId": "x", "RotationRules": {"Days": 1}},
            "unknown parameter 'Days' in RotationRul",
        ),
        ({"SecretId": ""}, "Invalid length for parameter SecretId"),
        ({"SecretId": "x\u0000\u202e", "Foo\u202e": 1}, "unknown parameter 'Foo' in input"),
    ],
)
def test_wrong_parameters_are_refused_before_anything_is_sent(
    parameters: dict[str, Any], said: str
) -> None:
    with pytest.raises(BadInputError, match=said):
        prepared(find("secretsmanager", "RotateSecret"), parameters)


def test_binary_is_given_as_text_or_base64() -> None:
    invoke = find("lambda", "Invoke")
    given = {"FunctionName": "f", "Payload": {"base64": "aGk="}}
    assert prepared(invoke, given)["Payload"] == b"hi"
    assert prepared(invoke, {**given, "Payload": "{}"})["Payload"] == "{}"
    with pytest.raises(BadInputError, match="not base64"):
        prepared(invoke, {**given, "Payload": {"base64": "!"}})


def test_a_shape_is_short_and_names_what_is_deeper() -> None:
    shape = find("secretsmanager", "RotateSecret").model.input_shape
    assert shape_of(shape)["SecretId*"] == "string 1..2048"
    assert set(shape_of(shape)["RotationRules"]) == {
        "AutomaticallyAfterDays", "Duration", "ScheduleExpression",
    }  # fmt: skip
    assert shape_of(shape, 1)["RotationRules"] == "structure RotationRulesType"
    recursive = find("dynamodb", "PutItem").model.input_shape
    assert "structure AttributeValue" in str(shape_of(recursive, 9))


async def test_a_description_tells_parameters_access_and_the_tool(connect: Any) -> None:
    asked = {"service": "ec2", "operation": "run_instances"}
    async with connect(create_server) as client:
        whole = (await client.call_tool("describe_operation", asked)).structured_content
        one = await client.call_tool(
            "describe_operation", {**asked, "parameter": "NetworkInterfaces.Groups"}
        )
        wrong = await client.call_tool(
            "describe_operation",
            {**asked, "parameter": "NetworkInterface"},
            raise_on_error=False,
        )
    assert whole["operation"] == "RunInstances"
    assert whole["action"] == "ec2:RunInstances"
    assert whole["tool"] == "change_aws"
    assert [p["name"] for p in whole["parameters"] if p["required"]] == ["MaxCount", "MinCount"]
    assert one.structured_content["parameters"][0]["shape"] == ["string"]
    assert "NetworkInterfaces" in wrong.content[0].text


@pytest.mark.parametrize(("service", "nouns"), CERTAIN.items())
def test_every_certain_inverse_is_a_pair_in_botocore_with_its_names_known(
    service: str, nouns: tuple[str, ...]
) -> None:
    for noun in nouns:
        create = find(service, f"Create{noun}")
        output = create.model.output_shape
        inner = output.members.get(noun) if output else None
        names = {
            **(inner.members if inner is not None and inner.type_name == "structure" else {}),
            **(output.members if output else {}),
        }
        given = dict.fromkeys(create.required, "name")
        inverse = inverse_of(create, given, dict.fromkeys(names, "name"))
        assert inverse is not None, f"{service} {noun}"
        assert inverse.operation == f"Delete{noun}"
        assert inverse.parameters
        prepared(find(service, inverse.operation), inverse.parameters)
        if inverse.look:
            prepared(find(service, inverse.look.operation), inverse.look.parameters)


def test_an_inverse_that_would_need_more_is_not_certain() -> None:
    create = find("ecr", "CreateRepository")
    assert inverse_of(create, {"repositoryName": "a"}, {}) is not None
    assert inverse_of(create, {"repositoryName": "a", "registryId": "1" * 12}, {}) is None
    assert inverse_of(find("sqs", "CreateQueue"), {"QueueName": "a"}, {"QueueUrl": "u"}) is None
