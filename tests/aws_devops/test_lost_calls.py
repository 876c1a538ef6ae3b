"""change_aws: what a create made whose answer was lost is found; what others made is left alone."""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastmcp import Client
from tests.aws_devops.test_lost_answers import lose_once, started_and_killed
from tests.core.aws_front import Answer, Call, Front, in_seconds

from opswright_aws_devops.api.inverses import Look
from opswright_aws_devops.api.lost_answers import found_by, looked_before, made_since
from opswright_aws_devops.api.models import find
from opswright_aws_devops.api.request_tags import tagged, tagged_look
from opswright_aws_devops.api.tokens import tokens_for
from opswright_aws_devops.server import create_server
from opswright_core.errors import OpswrightError
from opswright_core.settings import Settings

Clients = Callable[[str], Any]
CREATE = {"service": "iam", "operation": "CreateUser", "parameters": {"UserName": "shop"}}


class DatingFront(Front):
    """Tells, when `created_in_seconds` is set, that everything was created so much later."""

    created_in_seconds: float | None = None

    def forward(self, call: Call) -> Answer:
        status, headers, told = super().forward(call)
        if self.created_in_seconds is not None:
            date = f"<CreateDate>{in_seconds(self.created_in_seconds)}</CreateDate>"
            told = re.sub(rb"<CreateDate>[^<]+</CreateDate>", date.encode(), told)
        return status, headers, told


@pytest.fixture
def front(cloud: Any) -> Iterator[DatingFront]:
    made = DatingFront(cloud.endpoint)
    yield made
    made.close()


class IdempotentFront(Front):
    """Answers a call whose token it knows as it did before, as EC2 does and moto does not."""

    def __init__(self, emulator: str) -> None:
        super().__init__(emulator)
        self.answered: dict[str, Answer] = {}
        self.repeats = 0

    def forward(self, call: Call) -> Answer:
        token = str(call.sent.get("ClientToken", "")) if call.is_query else ""
        if token in self.answered:
            self.repeats += 1
            return self.answered[token]
        if not token:
            return super().forward(call)
        lose = self.before_answer.pop(call.action, None)
        self.answered[token] = super().forward(call)
        if lose:
            lose()
        return self.answered[token]


class UntaggingFront(Front):
    """Allows a create and not its tags, as a policy without ec2:CreateTags does."""

    def forward(self, call: Call) -> Answer:
        if "TagSpecification.1.ResourceType" in call.sent:
            error = "<Code>UnauthorizedOperation</Code><Message>no ec2:CreateTags</Message>"
            body = f"<Response><Errors><Error>{error}</Error></Errors></Response>"
            return 403, {"Content-Type": "text/xml"}, body.encode()
        return super().forward(call)


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
    settings: Settings, front: DatingFront, client_of: Clients, monkeypatch: pytest.MonkeyPatch
) -> None:
    change_id = await started_and_killed(settings, front, "CreateUser", "change_aws", CREATE)
    monkeypatch.setenv("AWS_ENDPOINT_URL", front.url)
    front.created_in_seconds = 3600
    async with Client(create_server(settings)) as client:
        undone = await client.call_tool("undo_change", {"change_id": change_id})
    assert "UNKNOWN" in {c["verdict"] for c in undone.structured_content["checks"]}
    assert users(client_of) == ["shop"]


async def test_a_retry_that_meets_what_the_first_try_made_has_made_it(
    settings: Settings, front: Front, client_of: Clients, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", front.url)
    lose_once(front, "CreateUser")
    async with Client(create_server(settings)) as client:
        made = (await client.call_tool("change_aws", CREATE)).structured_content
        assert made["status"] == "done"
        assert [c["verdict"] for c in made["checks"]] == ["PASS"]
        assert users(client_of) == ["shop"]
        await client.call_tool("undo_change", {"change_id": made["change_id"]})
    assert len(front.calls("CreateUser")) == 2
    assert users(client_of) == []


SUBNET = {"CidrBlock": "172.31.96.0/20", "VpcId": "VPC"}


@pytest.mark.parametrize(
    ("operation", "parameters", "read"),
    [
        ("CreateVpc", {"CidrBlock": "10.9.0.0/16"}, "describe_vpcs"),
        ("CreateSubnet", SUBNET, "describe_subnets"),
        ("CreateInternetGateway", {}, "describe_internet_gateways"),
    ],
)
async def test_what_its_id_alone_tells_is_found_by_its_tag_and_made_once(
    settings: Settings, front: Front, client_of: Clients, monkeypatch: pytest.MonkeyPatch,
    operation: str, parameters: dict[str, Any], read: str,
) -> None:  # fmt: skip
    def there() -> int:
        answer = getattr(client_of("ec2"), read)()
        return len(next(found for key, found in answer.items() if key != "ResponseMetadata"))

    subnet = client_of("ec2").describe_subnets()["Subnets"][0]
    given = {key: subnet["VpcId"] if value == "VPC" else value for key, value in parameters.items()}
    asked, before = {"service": "ec2", "operation": operation, "parameters": given}, there()
    lose_once(front, operation)
    monkeypatch.setenv("AWS_ENDPOINT_URL", front.url)
    async with Client(create_server(settings)) as client:
        planned = await client.call_tool("change_aws", {**asked, "dry_run": True})
        assert "tag opswright:change" in str(planned.structured_content["plan"]["warnings"])
        lost = await client.call_tool("change_aws", asked, raise_on_error=False)
        assert lost.structured_content["status"] == "outcome_unknown"
        made = (await client.call_tool("change_aws", asked)).structured_content
        assert made["status"] == "done"
        assert [c["verdict"] for c in made["checks"]] == ["PASS"]
        assert there() == before + 1
        await client.call_tool("undo_change", {"change_id": made["change_id"]})
    assert there() == before


async def test_where_tags_are_not_allowed_it_is_made_without(
    settings: Settings, cloud: Any, client_of: Clients, monkeypatch: pytest.MonkeyPatch
) -> None:
    front = UntaggingFront(cloud.endpoint)
    monkeypatch.setenv("AWS_ENDPOINT_URL", front.url)
    asked = {"service": "ec2", "operation": "CreateVpc", "parameters": {"CidrBlock": "10.9.0.0/16"}}
    async with Client(create_server(settings)) as client:
        made = (await client.call_tool("change_aws", asked)).structured_content
    front.close()
    assert (made["status"], len(front.calls("CreateVpc"))) == ("done", 1)
    (vpc,) = client_of("ec2").describe_vpcs(VpcIds=[made["resources"][0]["id"]])["Vpcs"]
    assert not vpc.get("Tags")


async def test_a_token_that_the_model_does_not_mark_goes_with_each_try_the_same(
    settings: Settings, cloud: Any, client_of: Clients, monkeypatch: pytest.MonkeyPatch
) -> None:
    front = IdempotentFront(cloud.endpoint)
    monkeypatch.setenv("AWS_ENDPOINT_URL", front.url)
    lose_once(front, "CreateEgressOnlyInternetGateway")
    vpc = {"VpcId": client_of("ec2").describe_vpcs()["Vpcs"][0]["VpcId"]}
    asked = {"service": "ec2", "operation": "CreateEgressOnlyInternetGateway", "parameters": vpc}
    async with Client(create_server(settings)) as client:
        made = (await client.call_tool("change_aws", asked)).structured_content
    front.close()
    assert (made["status"], len(front.answered), front.repeats) == ("done", 1, 1)
    found = client_of("ec2").describe_egress_only_internet_gateways()
    assert len(found["EgressOnlyInternetGateways"]) == 1


@pytest.mark.parametrize(
    ("service", "operation", "member", "token"),
    [
        ("ec2", "CreateEgressOnlyInternetGateway", "ClientToken", r"[0-9a-f-]{36}"),
        ("acm", "RequestCertificate", "IdempotencyToken", r"[0-9a-f]{32}"),
        ("ecs", "CreateService", "clientToken", r"[0-9a-f-]{36}"),
        ("efs", "DescribeFileSystems", "CreationToken", ""),
    ],
)
def test_a_token_is_as_its_member_takes_it(
    service: str, operation: str, member: str, token: str
) -> None:
    found = find(service, operation)
    made = tokens_for(found, {}, "ch-1")
    assert made == tokens_for(found, {}, "ch-1")
    assert re.fullmatch(token, made.get(member, ""))
    assert tokens_for(found, {member: "mine"}, "ch-1").get(member) is None


def test_the_tag_of_a_change_stands_beside_those_that_were_given() -> None:
    mine = {"ResourceType": "vpc", "Tags": [{"Key": "team", "Value": "web"}]}
    (spec,) = tagged(find("ec2", "CreateVpc"), {"TagSpecifications": [mine]}, "ch-1")[
        "TagSpecifications"
    ]
    assert [tag["Key"] for tag in spec["Tags"]] == ["team", "opswright:change"]


@pytest.mark.parametrize("tags", ["Tags", "TagSet"])
def test_what_has_the_tag_of_another_change_or_none_is_not_found(tags: str) -> None:
    look = tagged_look(find("ec2", "CreateNetworkInterface"), "ch-1")
    assert look is not None
    marked = [{"Id": n, tags: [{"Key": "opswright:change", "Value": f"ch-{n}"}]} for n in (0, 1)]
    assert found_by(look, {"NetworkInterfaces": [*marked, {"Id": 2}]}) == [marked[1]]


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
