"""Many users are read by two calls, and judged as they are when read one by one."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from tests.denied import DeniedSessions

from opswright_core.aws import Aws
from opswright_security.facts import identity
from opswright_security.facts.identity import load_access_keys, load_users
from opswright_security.reading import Reader


@pytest.fixture
def users(client_of: Callable[[str], Any]) -> list[str]:
    """Five users: with a password, a key, an inactive key, a device, nothing."""
    iam = client_of("iam")
    names = ["ann", "ben", "cat", "dan", "eve"]
    for name in names:
        iam.create_user(UserName=name)
    iam.create_login_profile(UserName="ann", Password="correct horse battery")
    iam.create_access_key(UserName="ben")
    key = iam.create_access_key(UserName="cat")["AccessKey"]["AccessKeyId"]
    iam.update_access_key(UserName="cat", AccessKeyId=key, Status="Inactive")
    device = iam.create_virtual_mfa_device(VirtualMFADeviceName="dan")["VirtualMFADevice"]
    iam.enable_mfa_device(
        UserName="dan", SerialNumber=device["SerialNumber"],
        AuthenticationCode1="123456", AuthenticationCode2="654321",
    )  # fmt: skip
    return names


def told(reader: Reader) -> dict[str, Any]:
    return {
        user.id: (user["console"], user["mfa"], [key["Status"] for key in user["keys"]])
        for user in load_users(reader)
    }


@pytest.mark.usefixtures("users")
def test_the_report_says_of_users_what_single_calls_say(monkeypatch: pytest.MonkeyPatch) -> None:
    sessions = DeniedSessions()
    one_by_one = told(Reader(sessions.open()))
    sessions.calls.clear()
    monkeypatch.setattr(identity, "MANY_USERS", 4)
    reported = told(Reader(sessions.open()))
    assert reported == one_by_one
    assert reported["ann"] == (True, False, [])
    assert Counter(name for _, name in sessions.calls)["GetLoginProfile"] == 0
    assert [fact.id for fact in load_access_keys(Reader(sessions.open()))] == ["ben/key 1"]


@pytest.mark.usefixtures("users")
def test_without_the_report_users_are_read_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identity, "MANY_USERS", 4)
    session = DeniedSessions().open()

    def refuse(model: Any, **_: Any) -> Any:
        from botocore.awsrequest import AWSResponse

        if model.name != "GetCredentialReport":
            return None
        answer = {"Error": {"Code": "AccessDenied", "Message": "no"}}
        return AWSResponse("https://denied.invalid", 403, {}, b""), answer

    session.session.events.register("before-call", refuse)
    assert told(Reader(session))["dan"] == (False, True, [])


@pytest.mark.usefixtures("users")
def test_a_user_newer_than_the_report_is_read_too(
    monkeypatch: pytest.MonkeyPatch, client_of: Callable[[str], Any]
) -> None:
    monkeypatch.setattr(identity, "MANY_USERS", 4)
    session: Aws = DeniedSessions().open()
    made = told(Reader(session))  # the report is made
    client_of("iam").create_user(UserName="new")
    monkeypatch.setattr(
        identity, "load_credential_report", lambda _: {
            name: {"console": c, "mfa": m, "keys": []} for name, (c, m, _) in made.items()
        },
    )  # fmt: skip
    assert told(Reader(session))["new"] == (False, False, [])
