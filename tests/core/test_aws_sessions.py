"""AWS sessions over time and place: expiry, deadlines, several regions, partitions, emulators."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Annotated, Any

import botocore.exceptions as botocore
import pytest
from botocore.stub import Stubber
from fastmcp import Client
from pydantic import BaseModel, Field

from opswright_core.aws import HERE, Aws, AwsSessions, AwsTarget, Target, translate
from opswright_core.client_events import CALL_SECONDS, without_account_prefix
from opswright_core.cloud_errors import InUse, in_use
from opswright_core.errors import (
    AccessDeniedError,
    BadInputError,
    CredentialsError,
    EndpointError,
    ThrottledError,
)
from opswright_core.not_yet import LONGEST_PAUSE_SECONDS, SPREAD_SECONDS, having_made
from opswright_core.pages import Page, page
from opswright_core.regions import WideTarget, over_regions
from opswright_core.runtime import aws
from opswright_core.server import build_server
from opswright_core.settings import Settings
from opswright_core.tools import read_tool
from opswright_core.undo import AwsUndo, aws_undo

Write = Callable[[str], None]


@pytest.fixture
def profiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Write an AWS configuration file."""

    def write(text: str) -> None:
        (tmp_path / "config").write_text(text)
        monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))

    return write


class Endpoint:
    """A loopback AWS that refuses every call in one way, and counts them."""

    def __init__(self, code: str, status: int = 400) -> None:
        self.code, self.status, self.calls = code, status, 0
        self.keys: list[str] = []
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                endpoint.calls += 1
                self.rfile.read(int(self.headers["Content-Length"]))
                signed = self.headers.get("Authorization", "Credential=none/")
                endpoint.keys.append(signed.partition("Credential=")[2].partition("/")[0])
                error = f"<Error><Code>{endpoint.code}</Code><Message>no</Message></Error>"
                body = f"<ErrorResponse>{error}</ErrorResponse>".encode()
                self.send_response(endpoint.status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """Keep stderr for problems."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def refusing(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Endpoint]]:
    """`refusing("Throttling")` is where AWS_ENDPOINT_URL points to then."""
    made: list[Endpoint] = []

    def make(code: str) -> Endpoint:
        made.append(Endpoint(code))
        monkeypatch.setenv("AWS_ENDPOINT_URL", made[-1].url)
        monkeypatch.setenv("AWS_REGION", "eu-west-1")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "first")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
        return made[-1]

    yield make
    for endpoint in made:
        endpoint.server.shutdown()
        endpoint.server.server_close()


class Clock:
    """A clock that botocore's pauses move, and nothing else: no thread that another test left."""

    def __init__(self) -> None:
        self.now = 1000.0
        self._thread, self._sleep = threading.get_ident(), time.sleep

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        if threading.get_ident() == self._thread:
            self.now += seconds
        else:
            self._sleep(seconds)


def _pause_longest(monkeypatch: pytest.MonkeyPatch) -> None:
    """botocore's longest pauses: 1, 2, 4, 8, 16 s. Its random numbers are bound at its import."""
    from botocore.retries.standard import ExponentialBackoff

    made = ExponentialBackoff.__init__

    def pausing(self: Any, *args: Any, **more: Any) -> None:
        made(self, *args, **{**more, "random": lambda: 1.0})

    monkeypatch.setattr(ExponentialBackoff, "__init__", pausing)


def refused(call: Callable[[], Any]) -> Exception:
    with pytest.raises(Exception) as raised:  # noqa: PT011 (whatever boto raises)
        call()
    return translate(raised.value)


def watched(clock: Clock) -> Aws:
    """A session whose retries are timed by a clock of its own."""
    here = AwsSessions().open()
    here._events._clock = clock
    return here


def test_a_throttled_call_ends_within_its_deadline_and_says_what_to_do(
    refusing: Callable[[str], Endpoint], monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint, clock = refusing("Throttling"), Clock()
    monkeypatch.setattr("time.sleep", clock.sleep)
    _pause_longest(monkeypatch)
    error = refused(lambda: watched(clock).client("sts").get_caller_identity())
    assert isinstance(error, ThrottledError)
    assert "call again in a minute" in str(error)
    assert clock.now - 1000 <= CALL_SECONDS
    assert 1 < endpoint.calls < 6


def test_what_a_change_has_made_is_waited_for_so_long_and_the_error_says_so(
    refusing: Callable[[str], Endpoint], monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint, clock = refusing("InvalidVpcID.NotFound"), Clock()
    monkeypatch.setattr("time.sleep", clock.sleep)
    create = watched(clock).client("ec2").create_subnet
    subnet = {"VpcId": "vpc-1a", "CidrBlock": "10.0.0.0/24"}
    with having_made(["vpc-1a"], lambda: False):
        error = refused(lambda: create(**subnet))
    assert "did not know within 90 s what this change has made: repeat the call" in str(error)
    assert SPREAD_SECONDS < clock.now - 1000 <= SPREAD_SECONDS + LONGEST_PAUSE_SECONDS
    before = endpoint.calls
    refused(lambda: create(**subnet))
    assert endpoint.calls == before + 1, "what this change did not make is not waited for"


def test_a_call_that_waited_too_long_for_its_turn_is_not_sent(
    refusing: Callable[[str], Endpoint],
) -> None:
    endpoint, clock = refusing("Throttling"), Clock()
    here = watched(clock)
    client = here.client("sts")
    client.meta.events.register_first("before-send", lambda **_: clock.sleep(CALL_SECONDS + 1))
    error = refused(client.get_caller_identity)
    assert isinstance(error, ThrottledError)
    assert "turn did not come" in str(error)
    assert endpoint.calls == 0


def test_an_unreachable_endpoint_is_not_retried_beyond_the_deadline(
    refusing: Callable[[str], Endpoint], monkeypatch: pytest.MonkeyPatch
) -> None:
    refusing("x")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    clock = Clock()
    monkeypatch.setattr("time.sleep", clock.sleep)
    monkeypatch.setattr("random.random", lambda: 1.0)
    error = refused(lambda: watched(clock).client("sts").get_caller_identity())
    assert isinstance(error, EndpointError)
    assert clock.now - 1000 <= CALL_SECONDS


@pytest.mark.parametrize(
    ("service", "operation", "params", "permission"),
    [
        ("ec2", "describe_vpcs", {}, "ec2:DescribeVpcs"),
        ("elbv2", "describe_load_balancers", {}, "elasticloadbalancing:DescribeLoadBalancers"),
        ("cloudwatch", "list_dashboards", {}, "cloudwatch:ListDashboards"),
        ("s3", "list_buckets", {}, "s3:ListAllMyBuckets"),
    ],
)
def test_a_refusal_names_the_permission_with_its_service(
    cloud: Any, service: str, operation: str, params: dict[str, Any], permission: str
) -> None:
    client = AwsSessions().open().client(service)
    with Stubber(client) as stub:
        stub.add_client_error(operation, "AccessDenied", "no", 403)
        error = refused(lambda: getattr(client, operation)(**params))
    assert isinstance(error, AccessDeniedError)
    assert error.permission == permission
    assert f"Grant {permission}" in str(error)


def test_refused_credentials_are_read_again_without_a_restart(
    refusing: Callable[[str], Endpoint], monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint, sessions = refusing("ExpiredToken"), AwsSessions()
    error = refused(lambda: sessions.open().client("sts").get_caller_identity())
    assert isinstance(error, CredentialsError)
    assert "aws sso login" in str(error)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "second")
    refused(lambda: sessions.open().client("sts").get_caller_identity())
    assert endpoint.keys == ["first", "second"]


def test_credentials_that_come_later_are_found_without_a_restart(
    cloud: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    sessions = AwsSessions()
    error = refused(lambda: sessions.open().client("sts").get_caller_identity())
    assert isinstance(error, CredentialsError)
    assert "No AWS credentials" in str(error)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "found")
    assert sessions.open().account_id


def process(tmp_path: Path, body: str) -> str:
    """A profile whose credentials come from a process."""
    script = tmp_path / "credentials.sh"
    script.write_text(f"#!/bin/sh\n{body}\n")
    script.chmod(0o755)
    return f"[profile p]\nregion = eu-west-1\ncredential_process = {script}\n"


def test_credentials_of_a_process_are_asked_for_again_when_they_expire(
    refusing: Callable[[str], Endpoint], profiles: Write, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    endpoint, count = refusing("NoSuchThing"), tmp_path / "count"
    given = {"Version": 1, "AccessKeyId": "KEY", "SecretAccessKey": "x", "SessionToken": "t"}
    soon = json.dumps({**given, "Expiration": "$(date -u -d '+60 seconds' +%FT%TZ)"})
    text = soon.replace('"', '\\"').replace("KEY", "key-$(wc -l < COUNT | tr -d ' ')")
    profiles(process(tmp_path, f'echo >> {count}\necho "{text}"'.replace("COUNT", str(count))))
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    here = AwsSessions().open(AwsTarget(profile="p"))
    for _ in range(2):  # a minute before the end they are refreshed for every call
        refused(here.client("sts").get_caller_identity)
    assert len(set(endpoint.keys)) == 2


def test_a_credential_process_that_fails_is_said_with_the_command_that_shows_it(
    profiles: Write, tmp_path: Path, cloud: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    profiles(process(tmp_path, "echo 'session is over' >&2; exit 3"))
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    token = in_use.set(InUse())
    try:
        here = AwsSessions().open(AwsTarget(profile="p"))
        error = refused(lambda: here.client("sts").get_caller_identity())
    finally:
        in_use.reset(token)
    assert isinstance(error, CredentialsError)
    assert "session is over" in str(error)
    assert "`aws configure export-credentials --profile p`" in str(error)


def test_a_process_that_gives_expired_credentials_is_no_defect(
    profiles: Write, tmp_path: Path, cloud: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = {"Version": 1, "AccessKeyId": "k", "SecretAccessKey": "x", "SessionToken": "t",
           "Expiration": "2020-01-01T00:00:00Z"}  # fmt: skip
    profiles(process(tmp_path, f"echo '{json.dumps(old)}'"))
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    error = refused(lambda: AwsSessions().open(AwsTarget(profile="p")).account_id)
    assert isinstance(error, CredentialsError)
    assert "expired" in str(error)


def test_an_sso_session_that_is_over_names_the_command_with_the_profile(
    profiles: Write, cloud: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    profiles(
        "[profile work]\nregion = eu-west-1\nsso_session = s\nsso_account_id = 123456789012\n"
        "sso_role_name = r\n[sso-session s]\nsso_region = eu-west-1\n"
        "sso_start_url = https://example.awsapps.com/start\n"
    )
    token = in_use.set(InUse())
    try:
        error = refused(lambda: AwsSessions().open(AwsTarget(profile="work")).account_id)
    finally:
        in_use.reset(token)
    assert isinstance(error, CredentialsError)
    assert "`aws sso login --profile work`" in str(error)


def test_a_profile_that_asks_for_a_code_is_refused_instead_of_reading_stdin(
    profiles: Write, cloud: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    profiles(
        "[profile base]\naws_access_key_id = a\naws_secret_access_key = b\n"
        "[profile p]\nregion = eu-west-1\nsource_profile = base\n"
        "role_arn = arn:aws:iam::123456789012:role/r\nmfa_serial = arn:aws:iam::1:mfa/me\n"
    )
    error = refused(lambda: AwsSessions().open(AwsTarget(profile="p")).account_id)
    assert isinstance(error, CredentialsError)
    assert "get-session-token" in str(error)


def test_an_unknown_region_is_named_with_those_near_it() -> None:
    url = "https://ec2.eu-wset-1.amazonaws.com/"
    said = translate(botocore.EndpointConnectionError(endpoint_url=url))
    assert isinstance(said, EndpointError)
    assert "No AWS region 'eu-wset-1'" in str(said)
    assert "eu-west-1" in str(said)


@pytest.mark.parametrize(
    ("region", "host"),
    [("us-gov-west-1", "amazonaws.com"), ("cn-north-1", "amazonaws.com.cn")],
)
def test_other_partitions_have_their_own_endpoints(region: str, host: str) -> None:
    client = AwsSessions().open(AwsTarget(region=region)).client("ec2")
    assert client.meta.endpoint_url == f"https://ec2.{region}.{host}"
    assert client.meta.partition == ("aws-cn" if host.endswith("cn") else "aws-us-gov")


def test_no_arn_is_built_for_one_partition_only() -> None:
    root = Path(__file__).parents[2]
    built = [
        f"{path.name}: {line.strip()}"
        for folder in ("core", "servers", "orchestrator")
        for path in (root / folder).rglob("*.py")
        for line in path.read_text().splitlines()
        if 'f"arn:aws:' in line or "f'arn:aws:" in line
    ]
    assert built == []


def test_s3_control_reaches_an_emulator(cloud: Any) -> None:
    here = AwsSessions().open()
    error = refused(
        lambda: here.client("s3control").get_public_access_block(AccountId=here.account_id)
    )
    assert "NoSuchPublicAccessBlockConfiguration" in str(error)


def test_only_the_account_before_the_host_is_taken_away() -> None:
    class Request:
        headers = {"x-amz-account-id": "123"}  # noqa: RUF012
        url = "http://123.127.0.0.1:5000/v20180820/123."

    without_account_prefix(Request)
    assert Request.url == "http://127.0.0.1:5000/v20180820/123."


@pytest.mark.parametrize(
    "code", ["InvalidPermission.Duplicate", "Gateway.NotAttached", "InvalidVpcID.NotFound"]
)
def test_what_is_already_undone_is_no_error(cloud: Any, code: str) -> None:
    client = AwsSessions().open().client("ec2")
    step = aws_undo(
        "detach", "ec2", "delete_vpc", {"VpcId": "vpc-1"}, target=HERE, region="eu-west-1"
    )
    with Stubber(client) as stub:
        stub.add_client_error("delete_vpc", code)
        AwsUndo(lambda *_: client).replay(step)
        stub.assert_no_pending_responses()


class Zone(BaseModel):
    region: str
    name: str


class Named(BaseModel):
    name: str


@read_tool
def list_zones(target: WideTarget = HERE) -> Page[Zone]:
    """List zones of one or several regions."""

    def read(a: Aws) -> list[str]:
        if a.region == "us-west-2":
            raise AccessDeniedError("refused here", operation="ec2:X", permission="ec2:X")
        return [z["ZoneName"] for z in a.pages("ec2", "describe_availability_zones",
                                               "AvailabilityZones")]  # fmt: skip

    found = over_regions(target, read)
    zones = [Zone(region=region, name=name) for region, names in found.read.items()
             for name in names]  # fmt: skip
    return page(zones, summary=found.where, unread=found.unread())


@read_tool
def get_account(
    name: Annotated[str, Field(description="Anything")] = "", target: Target = HERE
) -> Named:
    """Read something of one region."""
    return Named(name=aws(target).account_id)


def zones_server(settings: Settings) -> Any:
    return build_server(
        "zones", title="Zones", instructions="Zones.", tools=[list_zones, get_account],
        settings=settings,
    )  # fmt: skip


async def call(settings: Settings, tool: str, **target: str) -> Any:
    async with Client(zones_server(settings)) as client:
        return await client.call_tool(tool, {"target": target}, raise_on_error=False)


async def test_an_answer_names_its_region(cloud: Any, settings: Settings) -> None:
    answer = await call(settings, "get_account")
    assert answer.structured_content == {"name": "123456789012", "region": "eu-west-1"}
    assert json.loads(answer.content[0].text) == answer.structured_content
    assert answer.meta["opswright"] == {"regions": ["eu-west-1"]}


async def test_several_regions_are_read_and_one_that_is_refused_is_told(
    cloud: Any, settings: Settings
) -> None:
    answer = await call(settings, "list_zones", region="eu-west-1, us-west-2,us-east-1")
    content = answer.structured_content
    assert [z["region"] for z in content["items"]] == ["eu-west-1"] * 3 + ["us-east-1"] * 6
    assert content["unread"] == ["us-west-2: refused here"]
    assert content["region"] == "eu-west-1, us-west-2, us-east-1"


async def test_all_regions_are_those_enabled_in_the_account(
    cloud: Any, client_of: Callable[[str], Any], settings: Settings
) -> None:
    every = client_of("ec2").describe_regions(AllRegions=True)["Regions"]
    off = [r["RegionName"] for r in every if r["OptInStatus"] == "not-opted-in"]
    answer = await call(settings, "list_zones", region="all")
    regions = answer.meta["opswright"]["regions"]
    assert len(regions) > 10
    assert not {*off, "us-gov-east-1", "cn-north-1"} & set(regions)
    assert answer.structured_content["summary"] == (
        f"{len(regions)} regions ({len(off)} more are not enabled)"
    )


@pytest.mark.parametrize(
    ("tool", "region", "words"),
    [
        ("get_account", "all", "one region at a time"),
        ("get_account", "eu-west-1,us-east-1", "one region at a time"),
        ("list_zones", "eu-west-1,Ireland", "not an AWS region name"),
        ("list_zones", ",", "names no region"),
    ],
)
async def test_what_names_no_region_to_read_is_refused(
    cloud: Any, settings: Settings, tool: str, region: str, words: str
) -> None:
    answer = await call(settings, tool, region=region)
    assert answer.is_error
    assert words in answer.content[0].text


def test_several_regions_share_one_set_of_credentials_and_clients(cloud: Any) -> None:
    here = AwsSessions().open()
    there = here.at("us-east-1")
    assert there.client("ec2") is here.client("ec2", "us-east-1")
    with pytest.raises(BadInputError):
        here.at("nowhere")
