"""What the backend does not implement is found out, and told from what may not be read."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from opswright_aws_devops.tools import backend
from opswright_aws_devops.tools.backend import READS, examine_backend, judge
from opswright_core.errors import CredentialsError
from opswright_core.settings import Settings


@pytest.fixture(autouse=True)
def _nothing_remembered() -> None:
    backend._known.clear()


def failing(code: str, message: str = "no") -> Any:
    def read() -> Any:
        raise ClientError({"Error": {"Code": code, "Message": message}}, "DescribeThings")

    return read


@pytest.mark.parametrize(
    ("code", "message", "implemented"),
    [
        ("NotImplemented", "The operation is not implemented", "no"),
        ("InternalFailure", "The describe_things action has not been implemented", "no"),
        ("InvalidAction", "The action DescribeThings is not valid", "no"),
        ("UnknownOperationException", "", "no"),
        ("404", "Not Found", "no"),
        ("OptInRequired", "You are not subscribed to this service", "no"),
        ("AccessDenied", "not authorized to perform: ec2:DescribeThings", "unknown"),
        ("Throttling", "Rate exceeded", "unknown"),
        ("NoSuchEntity", "there is no such thing", "yes"),
        ("ValidationError", "no such detection", "yes"),
    ],
)
def test_how_a_read_ends_tells_whether_it_is_there(
    code: str, message: str, implemented: str
) -> None:
    assert judge("things", failing(code, message)).implemented == implemented


def test_credentials_that_are_refused_tell_nothing_of_the_backend() -> None:
    with pytest.raises(CredentialsError):
        judge("things", failing("ExpiredToken", "expired"))


async def test_what_the_emulator_lacks_is_named_and_remembered(watched: Any) -> None:
    found = await watched.call("check_backend")
    assert found["emulator"]
    assert "stack drift" in found["missing"]
    assert not {"ec2", "s3", "iam", "rds", "elbv2"} & set(found["missing"])
    sent = len(watched.sessions.sent)
    assert await watched.call("check_backend") == found
    assert len(watched.sessions.sent) == sent
    await watched.call("check_backend", fresh=True)
    assert len(watched.sessions.sent) == sent + len(READS)


async def test_what_may_not_be_read_is_unknown_and_not_remembered(watched: Any) -> None:
    watched.sessions.refused["ListQueues"] = 0
    found = await watched.call("check_backend")
    assert "unknown: sqs" in found["summary"]
    assert "sqs" not in found["missing"]
    watched.sessions.refused.clear()
    assert "unknown" not in (await watched.call("check_backend"))["summary"]


@pytest.mark.usefixtures("cloud")
def test_doctor_says_what_the_emulator_lacks(settings: Settings) -> None:
    line = examine_backend(settings)
    assert line.state == "unknown"
    assert "not implemented: " in line.found
    assert "stack drift" in line.found


def test_doctor_without_a_region_says_that_nothing_was_asked(settings: Settings) -> None:
    line = examine_backend(settings)
    assert (line.state, line.found[:9]) == ("unknown", "not asked")
