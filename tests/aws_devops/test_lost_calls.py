"""change_aws: what a create made whose answer was lost is found; what others made is left alone."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastmcp import Client
from tests.aws_devops.test_lost_answers import started_and_killed
from tests.core.aws_front import Front

from opswright_aws_devops.api.inverses import Look
from opswright_aws_devops.api.lost_answers import looked_before, made_since
from opswright_aws_devops.server import create_server
from opswright_core.errors import OpswrightError
from opswright_core.settings import Settings

Clients = Callable[[str], Any]
CREATE = {"service": "iam", "operation": "CreateUser", "parameters": {"UserName": "shop"}}


@pytest.fixture
def front(cloud: Any) -> Iterator[Front]:
    made = Front(cloud.endpoint)
    yield made
    made.close()


def users(client_of: Clients) -> list[str]:
    return [user["UserName"] for user in client_of("iam").list_users()["Users"]]


async def test_what_was_made_without_an_answer_is_found_and_undone(
    settings: Settings, front: Front, client_of: Clients
) -> None:
    change_id = await started_and_killed(settings, front, "CreateUser", "change_aws", CREATE)
    assert users(client_of) == ["shop"]
    async with Client(create_server(settings)) as client:
        undone = await client.call_tool("undo_change", {"change_id": change_id})
    assert {c["verdict"] for c in undone.structured_content["checks"]} == {"PASS"}
    assert users(client_of) == []


async def test_what_somebody_else_made_since_is_not_taken_up_nor_deleted(
    settings: Settings, front: Front, client_of: Clients, monkeypatch: pytest.MonkeyPatch
) -> None:
    change_id = await started_and_killed(settings, front, "CreateUser", "change_aws", CREATE)
    monkeypatch.setattr("opswright_aws_devops.api.lost_answers.TAKES_AT_MOST", -timedelta(hours=1))
    async with Client(create_server(settings)) as client:
        undone = await client.call_tool("undo_change", {"change_id": change_id})
    assert "UNKNOWN" in {c["verdict"] for c in undone.structured_content["checks"]}
    assert users(client_of) == ["shop"]


async def test_a_retry_that_meets_what_the_first_try_made_has_made_it(
    settings: Settings, front: Front, client_of: Clients, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lose() -> None:
        front.before_answer.clear()
        raise ConnectionAbortedError

    monkeypatch.setenv("AWS_ENDPOINT_URL", front.url)
    front.before_answer["CreateUser"] = lose
    async with Client(create_server(settings)) as client:
        made = (await client.call_tool("change_aws", CREATE)).structured_content
        assert made["status"] == "done"
        assert [c["verdict"] for c in made["checks"]] == ["PASS"]
        assert users(client_of) == ["shop"]
        await client.call_tool("undo_change", {"change_id": made["change_id"]})
    assert len(front.calls("CreateUser")) == 2
    assert users(client_of) == []


async def test_one_that_was_there_before_is_refused_and_kept(
    agent: Any, client_of: Clients
) -> None:
    client_of("iam").create_user(UserName="shop")
    answer = await agent.client.call_tool("change_aws", CREATE, raise_on_error=False)
    assert answer.structured_content["status"] == "failed"
    assert "EntityAlreadyExists" in answer.structured_content["error"]
    await agent.call("undo_change", change_id=answer.structured_content["change_id"])
    assert users(client_of) == ["shop"]


LOOK = Look("GetUser", {"UserName": "shop"})
NOW = datetime.now(UTC)
LISTED = Look("DescribeThings", {"Names": ["shop"]}, "Things")


def made(thing: Any, look: Look = LOOK, there: bool | None = False) -> Any:
    return made_since({"there": there, "at": NOW.isoformat()}, look, lambda _: thing)


def test_what_came_to_be_within_the_calls_minutes_is_its_own() -> None:
    soon = {"User": {"UserName": "shop", "CreateDate": NOW + timedelta(seconds=5)}}
    assert made(soon) == soon
    group = {"creationTime": int((NOW.timestamp() + 5) * 1000)}
    assert made({"Things": [group]}, LISTED) == group


@pytest.mark.parametrize("thing", [None, {"Things": []}])
def test_what_is_not_there_was_not_made(thing: Any) -> None:
    assert made(thing, LISTED) is None


def test_a_call_for_what_was_there_before_made_nothing() -> None:
    assert made({"User": {"CreateDate": NOW}}, there=True) is None


@pytest.mark.parametrize(
    ("thing", "there"),
    [
        ({"User": {"CreateDate": NOW - timedelta(days=1)}}, False),
        ({"User": {"CreateDate": NOW + timedelta(days=1)}}, False),
        ({"User": {"UserName": "shop"}}, False),
        ({"User": {"CreateDate": NOW}}, None),
    ],
    ids=["earlier", "later", "tells no time", "not read before"],
)
def test_what_may_be_somebody_elses_is_said_to_be_uncertain(thing: Any, there: bool | None) -> None:
    with pytest.raises(OpswrightError, match=r"shop is there, .* cannot be told"):
        made(thing, there=there)


def test_a_look_that_is_refused_says_nothing_about_what_is_there() -> None:
    from botocore.exceptions import ClientError

    def refuse(_: Look) -> Any:
        raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "GetUser")

    assert looked_before(LOOK, refuse)["there"] is None
