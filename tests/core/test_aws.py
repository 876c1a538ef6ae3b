"""One way to AWS: regions, profiles, endpoints, errors in words, inverses that are one call."""

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import botocore.exceptions as botocore
import pytest
from botocore.stub import Stubber

from opswright_core.aws import (
    HERE,
    Aws,
    AwsSessions,
    AwsTarget,
    error_code,
    exists,
    is_absent,
    is_loopback,
    tag_list,
    tags_of,
    translate,
)
from opswright_core.changes import Scope
from opswright_core.errors import (
    AccessDeniedError,
    BadInputError,
    CloudError,
    CredentialsError,
    EmulatorGapError,
    EndpointError,
    NotFoundError,
    ThrottledError,
)
from opswright_core.undo import AwsUndo, UndoStep, aws_undo

REAL = "https://ec2.eu-west-1.amazonaws.com"


@pytest.fixture
def profiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Write an AWS configuration file."""

    def write(text: str) -> None:
        path = tmp_path / "config"
        path.write_text(text)
        monkeypatch.setenv("AWS_CONFIG_FILE", str(path))

    return write


def test_the_region_is_the_targets_then_the_environments_then_the_profiles(
    profiles: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    profiles("[profile p]\nregion = us-east-1\n")
    target = AwsTarget(profile="p")
    assert AwsSessions().open(target).region == "us-east-1"
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-2")
    assert AwsSessions().open(target).region == "us-east-2"
    monkeypatch.setenv("AWS_REGION", "us-west-1")
    assert AwsSessions().open(target).region == "us-west-1"
    assert AwsSessions().open(AwsTarget(region="us-gov-west-1")).region == "us-gov-west-1"


def test_without_a_region_it_says_where_to_put_one() -> None:
    with pytest.raises(BadInputError, match=r"target\.region"):
        AwsSessions().open()


@pytest.mark.parametrize("region", ["Ireland", "eu-west", "http://evil/", "eu-west-1a"])
def test_what_is_not_a_region_name_is_refused(region: str) -> None:
    with pytest.raises(BadInputError, match="not an AWS region name"):
        AwsSessions().open(AwsTarget(region=region))


@pytest.mark.parametrize("by_environment", [False, True])
def test_an_unknown_profile_names_the_known_ones(
    profiles: Callable[[str], None], monkeypatch: pytest.MonkeyPatch, by_environment: bool
) -> None:
    profiles("[profile known]\n")
    if by_environment:
        monkeypatch.setenv("AWS_PROFILE", "typo")
    target = HERE if by_environment else AwsTarget(profile="typo")
    with pytest.raises(CredentialsError, match=r"typo.*profiles here: known"):
        AwsSessions().open(target)


def test_a_broken_configuration_file_is_said(profiles: Callable[[str], None]) -> None:
    profiles("no section\n")
    with pytest.raises(CredentialsError, match="cannot be used"):
        AwsSessions().open(AwsTarget(region="eu-west-1"))


def test_a_session_is_opened_once_until_it_is_forgotten(cloud: Any) -> None:
    sessions = AwsSessions()
    first = sessions.open()
    assert sessions.open() is first
    assert first.client("ec2") is first.client("ec2")
    assert first.client("ec2", "us-east-1") is not first.client("ec2")
    sessions.forget()
    assert sessions.open() is not first


def test_account_and_partition_come_from_the_credentials(cloud: Any) -> None:
    here = AwsSessions().open()
    assert (here.account_id, here.partition) == ("123456789012", "aws")
    assert here.caller_arn.startswith("arn:aws:")
    assert Scope.of(here) == Scope(id="aws:123456789012:eu-west-1", sandbox=True)


def test_every_page_is_read_also_of_what_does_not_page(cloud: Any) -> None:
    here = AwsSessions().open()
    logs = here.client("logs")
    for number in range(60):
        logs.create_log_group(logGroupName=f"group-{number:02}")
    assert len(here.pages("logs", "describe_log_groups", "logGroups", limit=50)) == 60
    assert here.pages("ec2", "describe_account_attributes", "AccountAttributes")


@pytest.mark.parametrize(
    ("url", "here"),
    [
        ("http://localhost:5000", True), ("http://127.0.0.1:1", True), ("http://[::1]:1", True),
        ("http://127.9.9.9", True), ("http://127.0.0.1.example.com", False), (REAL, False),
        ("http://10.0.0.1", False), ("http://localhost.example.com", False), ("", False),
    ],
)  # fmt: skip
def test_only_this_machine_is_loopback(url: str, here: bool) -> None:
    assert is_loopback(url) is here


LOCAL = "http://127.0.0.1:5000"


@pytest.mark.parametrize(
    ("environment", "config", "emulated"),
    [
        ({"AWS_ENDPOINT_URL": LOCAL}, "", True),
        ({}, "", False),
        ({"AWS_ENDPOINT_URL": LOCAL, "AWS_ENDPOINT_URL_EC2": REAL}, "", False),
        ({"AWS_ENDPOINT_URL": LOCAL, "AWS_ENDPOINT_URL_ELASTIC_LOAD_BALANCING_V2": REAL}, "",
         False),
        ({"AWS_ENDPOINT_URL_STS": LOCAL}, "", False),
        ({"AWS_ENDPOINT_URL": LOCAL, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"}, "", False),
        ({}, "[profile p]\nendpoint_url = http://localhost:1\n", True),
        ({}, f"[profile p]\nendpoint_url = {LOCAL}\nservices = s\n[services s]\nrds =\n"
             f"  endpoint_url = {REAL}\n", False),
        ({}, f"[profile p]\nservices = s\n[services s]\nsts =\n  endpoint_url = {LOCAL}\n", False),
    ],
    ids=["all local", "the cloud", "ec2 elsewhere", "elbv2 elsewhere", "sts alone", "ignored",
         "profile", "profile with rds elsewhere", "profile with sts alone"],
)  # fmt: skip
def test_it_is_an_emulator_only_when_every_service_is_on_this_machine(
    monkeypatch: pytest.MonkeyPatch, profiles: Callable[[str], None],
    environment: dict[str, str], config: str, emulated: bool,
) -> None:  # fmt: skip
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    profiles(config)
    target = AwsTarget(region="eu-west-1", profile="p" if config else None)
    assert AwsSessions().open(target).is_emulator is emulated


def test_a_client_made_for_the_cloud_is_remembered_when_the_environment_changes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    here = AwsSessions().open(AwsTarget(region="eu-west-1"))
    here.client("ec2")
    monkeypatch.setenv("AWS_ENDPOINT_URL", LOCAL)
    assert not here.is_emulator


def test_an_explicit_endpoint_decides() -> None:
    import boto3

    for url, emulated in ((LOCAL, True), (REAL, False)):
        session = boto3.Session(region_name="eu-west-1")
        assert Aws(session, "eu-west-1", None, url).is_emulator is emulated


def test_an_assumed_role_keeps_the_profiles_endpoints(
    cloud: Any, profiles: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    profiles(
        "[profile p]\nregion = eu-west-1\naws_access_key_id = a\naws_secret_access_key = b\n"
        f"endpoint_url = {cloud.endpoint}\n"
    )
    for name in ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    role = "arn:aws:iam::210987654321:role/deploy"
    assumed = AwsSessions().open(AwsTarget(profile="p", role_arn=role))
    assert assumed.is_emulator
    assert assumed.account_id == "210987654321"


def client_error(code: str, message: str = "", status: int = 400, operation: str = "GetX") -> Any:
    answer: Any = {
        "Error": {"Code": code, "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return botocore.ClientError(answer, operation)


@pytest.mark.parametrize(
    ("raised", "kind", "words"),
    [
        (client_error("AccessDenied", "User x is not authorized to perform: s3:GetY on z"),
         AccessDeniedError, "Grant s3:GetY"),
        (client_error("UnauthorizedOperation", "You are not authorized", operation="RunX"),
         AccessDeniedError, "Grant ec2:RunX"),
        (client_error("ExpiredToken"), CredentialsError, "aws sso login"),
        (client_error("InvalidClientTokenId"), CredentialsError, "not valid"),
        (client_error("Throttling"), ThrottledError, "slow down"),
        (client_error("SlowDown", status=503), ThrottledError, "slow down"),
        (client_error("InternalError", "oops", 500), EndpointError, "whether it took effect"),
        (client_error("NotImplemented", "GetX is not yet implemented", 501), EmulatorGapError,
         "GetX"),
        (client_error("500", "<html><b>Internal\nerror</b></html>", 500), EmulatorGapError,
         "error"),
        (client_error("InvalidAction", "The action GetX is not valid"), EmulatorGapError, "GetX"),
        (client_error("VpcLimitExceeded", "too many"), CloudError, "Service Quotas"),
        (client_error("InstanceQuotaExceeded"), CloudError, "Service Quotas"),
        (client_error("RequestLimitExceeded"), ThrottledError, "slow down"),
        (client_error("InsufficientInstanceCapacity", "none", 500), CloudError, "another avail"),
        (client_error("InsufficientDBInstanceCapacity"), CloudError, "another availability zone"),
        (client_error("DependencyViolation", "vpc-1 has dependencies"), CloudError, "remove that"),
        (client_error("InvalidVpcId", "bad"), CloudError, "InvalidVpcId: bad"),
        (botocore.NoCredentialsError(), CredentialsError, "aws configure"),
        (botocore.PartialCredentialsError(provider="env", cred_var="x"), CredentialsError, "No"),
        (botocore.CredentialRetrievalError(provider="p", error_msg="e"), CredentialsError, "read"),
        (botocore.UnauthorizedSSOTokenError(), CredentialsError, "aws sso login"),
        (botocore.EndpointConnectionError(endpoint_url="http://x"), EndpointError, "http://x"),
        (botocore.ReadTimeoutError(endpoint_url="http://x"), EndpointError, "cannot be reached"),
        (botocore.ConnectionClosedError(endpoint_url="http://x"), EndpointError, "reached"),
        (botocore.IncompleteReadError(actual_bytes=1, expected_bytes=2), EndpointError, "reached"),
        (botocore.ParamValidationError(report="Missing X"), BadInputError, "Missing X"),
        (botocore.WaiterError("w", "too long", {}), CloudError, "without success"),
        (botocore.UnknownServiceError(service_name="x", known_service_names="y"), CloudError, "x"),
        (NotFoundError("kept"), NotFoundError, "kept"),
        (KeyError("bug"), KeyError, "bug"),
    ],
)  # fmt: skip
def test_every_failure_says_what_to_do(raised: Exception, kind: type, words: str) -> None:
    said = translate(raised)
    assert type(said) is kind
    assert words in str(said)
    assert "\n" not in str(said)


def test_an_error_keeps_its_code_and_the_permission_to_grant() -> None:
    said = translate(client_error("AccessDenied", "not authorized to perform: s3:GetY"))
    assert isinstance(said, AccessDeniedError)
    assert (said.operation, said.code, said.permission) == ("GetX", "AccessDenied", "s3:GetY")
    assert error_code(said) == "AccessDenied"
    assert error_code(KeyError()) == ""


def test_what_the_emulator_lacks_is_a_gap_not_a_failure(cloud: Any) -> None:
    here = AwsSessions().open()
    with pytest.raises(Exception) as raised:  # noqa: PT011 (whatever boto raises)
        here.client("accessanalyzer").list_analyzers()
    assert isinstance(translate(raised.value), EmulatorGapError)


def test_an_endpoint_that_is_down_is_said(monkeypatch: pytest.MonkeyPatch, cloud: Any) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    monkeypatch.setattr("time.sleep", lambda _: None)  # botocore's pauses between its attempts
    with pytest.raises(botocore.EndpointConnectionError) as raised:
        AwsSessions().open().client("sts").get_caller_identity()
    assert isinstance(translate(raised.value), EndpointError)


@pytest.mark.parametrize(
    "code", ["InvalidVpcID.NotFound", "NoSuchBucket", "NonExistentQueue", "DoesNotExist", "404"]
)
def test_absence_is_told_from_other_errors(code: str) -> None:
    assert is_absent(client_error(code))
    assert not exists(lambda: (_ for _ in ()).throw(client_error(code)).__next__())
    assert exists(lambda: None)
    with pytest.raises(botocore.ClientError):
        exists(lambda: (_ for _ in ()).throw(client_error("Throttling")).__next__())


def test_tags_turn_into_a_mapping_and_back() -> None:
    assert tags_of(tag_list({"a": "b"})) == {"a": "b"}
    assert tags_of(None) == {}


def vpc_undo(vpc_id: str, **kwargs: Any) -> UndoStep:
    gone = ("describe_vpcs", {"VpcIds": [vpc_id]}, "Vpcs[]")
    params = {"VpcId": vpc_id}
    given: dict[str, Any] = {"gone": gone, "target": HERE, "region": "eu-west-1", **kwargs}
    return aws_undo(f"delete VPC {vpc_id}", "ec2", "delete_vpc", params, **given)


@pytest.fixture
def handler(cloud: Any) -> AwsUndo:
    sessions = AwsSessions()
    return AwsUndo(lambda target, service, region: sessions.open(target).client(service, region))


def test_an_inverse_call_is_replayed_and_verified_by_reading(
    handler: AwsUndo, client_of: Callable[[str], Any]
) -> None:
    vpc_id = client_of("ec2").create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    step = vpc_undo(vpc_id, wait_gone=True)
    assert handler.verify(step).verdict == "FAIL"
    handler.replay(step)
    assert handler.verify(step).verdict == "PASS"
    handler.replay(step)
    assert handler.verify(vpc_undo(vpc_id, gone=None)).verdict == "UNKNOWN"


def test_an_inverse_waits_while_something_else_is_going_away(
    cloud: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = AwsSessions().open().client("ec2")
    monkeypatch.setattr("time.sleep", lambda _: None)
    with Stubber(client) as stubber:
        stubber.add_client_error("delete_vpc", "DependencyViolation")
        stubber.add_response("delete_vpc", {})
        stubber.add_response("describe_vpcs", {"Vpcs": [{"VpcId": "vpc-1"}]})
        stubber.add_client_error("describe_vpcs", "InvalidVpcID.NotFound")
        AwsUndo(lambda *_: client).replay(vpc_undo("vpc-1", wait_gone=True))
        stubber.assert_no_pending_responses()


def test_an_inverse_that_is_refused_or_cannot_be_read_says_so(cloud: Any) -> None:
    client = AwsSessions().open().client("ec2")
    with Stubber(client) as stubber:
        stubber.add_client_error("delete_vpc", "UnauthorizedOperation")
        with pytest.raises(botocore.ClientError):
            AwsUndo(lambda *_: client).replay(vpc_undo("vpc-1"))
        stubber.add_client_error("describe_vpcs", "UnauthorizedOperation")
        assert AwsUndo(lambda *_: client).verify(vpc_undo("vpc-1")).verdict == "UNKNOWN"


def test_waiting_without_a_read_ends_at_once(handler: AwsUndo) -> None:
    handler.replay(vpc_undo("vpc-0", gone=None, wait_gone=True))


@pytest.mark.parametrize("service", ["s3", "sqs", "route53"])
def test_the_models_of_services_lack_their_documentation_and_nothing_else(service: str) -> None:
    from botocore.loaders import create_loader

    from opswright_core.service_models import service_models

    def bare(part: Any) -> Any:
        if isinstance(part, dict):
            return {
                k: bare(v)
                for k, v in part.items()
                if k != "documentation" or not isinstance(v, str)
            }
        return [bare(inner) for inner in part] if isinstance(part, list) else part

    whole = create_loader().load_service_model(service, "service-2")
    anew: Any = service_models.__wrapped__(None)  # botocore alters what clients were made of
    ours = anew.load_service_model(service, "service-2")
    assert bare(ours) == bare(whole)
    assert len(str(ours)) < 0.8 * len(str(whole))


def test_the_shapes_of_a_model_are_read_when_they_are_asked_for() -> None:
    from opswright_core.service_models import folded

    told = '{ "metadata" : {"uid": "x"},\n "shapes" : { "A": {"type":"string", '
    told += '"documentation":"<p>A {brace}</p>"}, "B" : {"type" : "list"} } }'
    model: Any = folded(told)
    kept = dict.__getitem__(model["shapes"], "A")
    assert kept == '{"type":"string","documentation":""}'
    model["shapes"]["A"]["pattern"] = "x"  # as botocore's extras do
    assert model["shapes"]["A"] == {"type": "string", "documentation": "", "pattern": "x"}
    assert model["shapes"].get("B") == {"type": "list"}
    assert model["shapes"].get("C") is None
    assert list(model["shapes"]) == ["A", "B"]
    assert dict(model["shapes"]) == dict(model["shapes"].items())
    assert list(model["shapes"].values()) == [model["shapes"]["A"], {"type": "list"}]
    assert model["metadata"] == {"uid": "x"}
    assert folded("{}") == {}
