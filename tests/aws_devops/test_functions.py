"""Functions: least privilege, no public address, started as asked for, undone to nothing."""

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from opswright_aws_devops.access.queue_policies import admits
from opswright_aws_devops.functions.code import find_code
from opswright_aws_devops.functions.state import Function, FunctionState, Wanted, judge_function
from opswright_core.aws import AwsSessions
from opswright_core.errors import BadInputError

Clients = Callable[[str], Any]

SOURCE = "def handler(event, context):\n    return 'hello'\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "hello"
    (root / "lib").mkdir(parents=True)
    (root / "app.py").write_text(SOURCE)
    (root / "lib" / "part.py").write_text("X = 1\n")
    (root / ".env").write_text("PASSWORD=hunter2\n")
    (root / "__pycache__").mkdir()
    (root / "__pycache__" / "app.pyc").write_bytes(b"old")
    return root


@pytest.fixture
def asked(folder: Path) -> dict[str, Any]:
    return {
        "name": "hello", "code": str(folder), "runtime": "python3.13", "handler": "app.handler",
    }  # fmt: skip


@pytest.fixture
def left(client_of: Clients) -> Callable[[], dict[str, Any]]:
    def read() -> dict[str, Any]:
        functions = client_of("lambda")
        return {
            "functions": [f["FunctionName"] for f in functions.list_functions()["Functions"]],
            "triggers": functions.list_event_source_mappings()["EventSourceMappings"],
            "roles": [r["RoleName"] for r in client_of("iam").list_roles()["Roles"]],
            "rules": [r["Name"] for r in client_of("events").list_rules()["Rules"]],
            "logs": [
                g["logGroupName"] for g in client_of("logs").describe_log_groups()["logGroups"]
            ],
        }

    return read


def allowed(client_of: Clients, role: str = "hello") -> dict[str, list[str]]:
    policy = client_of("iam").get_role_policy(RoleName=role, PolicyName="permissions")
    return {
        action: statement["Resource"]
        for statement in policy["PolicyDocument"]["Statement"]
        if statement["Effect"] == "Allow"
        for action in statement["Action"]
    }


async def test_a_function_is_made_from_a_folder_and_may_write_its_log_alone(
    agent: Any, asked: dict[str, Any], client_of: Clients
) -> None:
    change = await agent.call("create_function", **asked)
    assert {c["verdict"] for c in change["checks"]} == {"PASS"}
    found = client_of("lambda").get_function(FunctionName="hello")["Configuration"]
    assert (found["Runtime"], found["Handler"], found["MemorySize"]) == (
        "python3.13", "app.handler", 256,
    )  # fmt: skip
    assert set(allowed(client_of)) == {"logs:CreateLogStream", "logs:PutLogEvents"}
    (on,) = allowed(client_of)["logs:PutLogEvents"]
    assert on.endswith(":log-group:/aws/lambda/hello:*")
    (log,) = client_of("logs").describe_log_groups()["logGroups"]
    assert (log["logGroupName"], log["retentionInDays"]) == ("/aws/lambda/hello", 30)
    assert change["outputs"]["url"] is None
    assert (await agent.call("create_function", **asked))["reused"]


async def test_a_plan_names_what_is_left_out_and_makes_nothing(
    agent: Any, asked: dict[str, Any], left: Callable[[], dict[str, Any]]
) -> None:
    before = left()
    planned = await agent.call("create_function", **asked, dry_run=True)
    warnings = " ".join(planned["plan"]["warnings"])
    assert "Left out of the folder: .env" in warnings
    assert "No dead_letter_arn" in warnings
    assert "deletes the log group /aws/lambda/hello" in warnings
    assert left() == before


async def test_what_starts_a_function_is_made_with_it_and_undone_with_it(
    agent: Any, asked: dict[str, Any], client_of: Clients, left: Callable[[], dict[str, Any]]
) -> None:
    orders = (await agent.call("create_queue", name="orders", visibility_timeout_seconds=180))[
        "outputs"
    ]
    failed = (await agent.call("create_queue", name="failed"))["outputs"]
    before = left()
    change = await agent.call(
        "create_function",
        **asked,
        queue_arn=orders["queue_arn"],
        dead_letter_arn=failed["queue_arn"],
        schedule="rate(5 minutes)",
        function_url=True,
        reserved_concurrency=5,
    )
    verdicts = {c["name"]: c["verdict"] for c in change["checks"]}
    assert verdicts.pop("Failed events are kept") in {"PASS", "UNKNOWN"}
    assert set(verdicts.values()) == {"PASS"}
    lambda_, events = client_of("lambda"), client_of("events")
    url = lambda_.get_function_url_config(FunctionName="hello")
    assert (url["AuthType"], url["FunctionUrl"]) == ("AWS_IAM", change["outputs"]["url"])
    (statement,) = json.loads(lambda_.get_policy(FunctionName="hello")["Policy"])["Statement"]
    assert statement["Principal"] == {"Service": "events.amazonaws.com"}
    assert statement["Condition"]["ArnLike"]["AWS:SourceArn"].endswith(":rule/hello")
    (target,) = events.list_targets_by_rule(Rule="hello")["Targets"]
    assert target["Arn"] == change["outputs"]["function_arn"]
    reserved = lambda_.get_function_concurrency(FunctionName="hello")
    assert reserved["ReservedConcurrentExecutions"] == 5
    assert allowed(client_of)["sqs:ReceiveMessage"] == [orders["queue_arn"]]
    assert allowed(client_of)["sqs:SendMessage"] == [failed["queue_arn"]]
    undone = await agent.call("undo_change", change_id=change["change_id"])
    assert {c["verdict"] for c in undone["checks"]} == {"PASS"}
    assert left() == before


async def test_a_function_in_a_vpc_may_join_it_and_its_code_may_not(
    agent: Any,
    asked: dict[str, Any],
    client_of: Clients,
    network: dict[str, Any],
    groups: dict[str, str],
) -> None:
    change = await agent.call(
        "create_function",
        **asked,
        subnet_ids=network["private_subnet_ids"],
        security_group_ids=[groups["app_sg_id"]],
    )
    assert "FAIL" not in {c["verdict"] for c in change["checks"]}
    policy = client_of("iam").get_role_policy(RoleName="hello", PolicyName="permissions")
    (denied,) = [s for s in policy["PolicyDocument"]["Statement"] if s["Effect"] == "Deny"]
    source = denied["Condition"]["ArnEquals"]["lambda:SourceFunctionArn"]
    assert source == [change["outputs"]["function_arn"]]
    assert "ec2:CreateNetworkInterface" in denied["Action"]


async def test_a_secret_is_named_by_its_arn_and_may_be_read(
    agent: Any, asked: dict[str, Any], client_of: Clients
) -> None:
    made = client_of("secretsmanager").create_secret(Name="shop/db", SecretString="x")
    statements = [{"actions": ["s3:GetObject"], "resources": ["arn:aws:s3:::shop-data/*"]}]
    await agent.call(
        "create_function",
        **asked,
        environment={"STAGE": "live"},
        secrets={"DB": made["ARN"]},
        statements=statements,
    )
    found = client_of("lambda").get_function(FunctionName="hello")["Configuration"]
    assert found["Environment"]["Variables"] == {"STAGE": "live", "DB": made["ARN"]}
    assert allowed(client_of)["secretsmanager:GetSecretValue"] == [made["ARN"]]
    assert allowed(client_of)["s3:GetObject"] == ["arn:aws:s3:::shop-data/*"]


async def test_code_that_changed_since_is_another_request(
    agent: Any, asked: dict[str, Any], folder: Path
) -> None:
    await agent.call("create_function", **asked)
    (folder / "app.py").write_text(SOURCE.replace("hello", "bye"))
    assert "with other settings" in await agent.refused("create_function", **asked)


async def test_code_comes_from_s3_or_an_image_too(
    agent: Any, asked: dict[str, Any], client_of: Clients
) -> None:
    s3, packed = client_of("s3"), io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("app.py", SOURCE)
    where = {"LocationConstraint": "eu-west-1"}
    s3.create_bucket(Bucket="shop-code", CreateBucketConfiguration=where)
    s3.put_object(Bucket="shop-code", Key="hello.zip", Body=packed.getvalue())
    in_s3 = {**asked, "name": "from-s3", "code": "s3://shop-code/hello.zip"}
    assert (await agent.call("create_function", **in_s3))["status"] == "done"
    repository = (await agent.call("create_container_repository", name="hello"))["outputs"]
    kind = "application/vnd.oci.image.manifest.v1+json"
    layer = {"mediaType": kind, "size": 1, "digest": "sha256:" + "0" * 64}
    manifest = json.dumps(
        {"schemaVersion": 2, "mediaType": kind, "config": layer, "layers": [layer]}
    )
    put = client_of("ecr").put_image(repositoryName="hello", imageManifest=manifest, imageTag="1")
    image = f"{repository['repository_uri']}:1"
    change = await agent.call("create_function", name="from-image", code=image)
    assert change["outputs"]["code"].endswith(put["image"]["imageId"]["imageDigest"])
    found = client_of("lambda").get_function(FunctionName="from-image")["Configuration"]
    assert found["PackageType"] == "Image"


async def test_a_function_of_somebody_else_is_refused(
    agent: Any, asked: dict[str, Any], client_of: Clients
) -> None:
    client_of("events").put_rule(Name="hello", ScheduleExpression="rate(1 day)")
    assert "EventBridge rule hello exists" in await agent.refused("create_function", **asked)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"runtime": None}, "runtime and handler are needed"),
        ({"runtime": "python9.9"}, "try python3"),
        ({"code": "/nowhere/at/all"}, "give s3://bucket/key"),
        ({"code": "s3://bucket"}, "bucket and key"),
        ({"code": "s3://no-such-bucket/x.zip"}, "does not exist"),
        ({"environment": {"API_TOKEN": "abcdef123456"}}, "looks like a secret"),
        ({"subnet_ids": ["subnet-1"]}, "give subnet_ids and security_group_ids"),
        ({"dead_letter_arn": "arn:aws:sqs:eu-west-1:123456789012:none"}, "does not exist"),
        ({"dead_letter_arn": "arn:aws:sqs:eu-west-1:123456789012:x.fifo"}, "no FIFO"),
        ({"dead_letter_arn": "queue"}, "no ARN of sqs or sns"),
        ({"queue_arn": "arn:aws:sns:eu-west-1:123456789012:x"}, "no ARN of sqs"),
        ({"schedule": "every day"}, "pattern"),
        ({"timeout_seconds": 901}, "less than or equal to 900"),
        ({"statements": [{"actions": ["s3:*"], "resources": ["arn:aws:s3:::b"]}]}, "one by one"),
        ({"name": "hello; rm"}, "pattern"),
    ],
)
async def test_what_cannot_work_is_refused_before_anything_is_made(
    agent: Any,
    asked: dict[str, Any],
    left: Callable[[], dict[str, Any]],
    change: dict[str, Any],
    said: str,
) -> None:
    arguments = {k: v for k, v in {**asked, **change}.items() if v is not None}
    assert said in await agent.refused("create_function", **arguments)
    assert not any(left().values())


async def test_a_queue_that_gives_messages_out_again_too_soon_is_refused(
    agent: Any, asked: dict[str, Any]
) -> None:
    queue = await agent.call("create_queue", name="orders", visibility_timeout_seconds=20)
    arn = queue["outputs"]["queue_arn"]
    said = await agent.refused("create_function", **asked, queue_arn=arn)
    assert "raise the queue's visibility timeout" in said
    planned = await agent.call(
        "create_function", **asked, queue_arn=arn, timeout_seconds=10, dry_run=True
    )
    assert "AWS advises 60 s" in " ".join(planned["plan"]["warnings"])


def test_the_same_folder_gives_the_same_archive(
    cloud: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a = AwsSessions().open()
    first = find_code(a, str(folder))
    (folder / "app.py").touch()
    again = find_code(a, str(folder))
    assert first.identity == again.identity
    assert first.parameters() == again.parameters()
    with zipfile.ZipFile(io.BytesIO(first.parameters()["ZipFile"])) as archive:
        assert archive.namelist() == ["app.py", "lib/part.py"]
    (folder / "app.py").chmod(0o755)
    assert find_code(a, str(folder)).identity != first.identity
    a.close()


def test_what_is_no_code_is_refused(
    cloud: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a = AwsSessions().open()
    (tmp_path / "text.zip").write_text("no archive")
    with pytest.raises(BadInputError, match="no ZIP file"):
        find_code(a, str(tmp_path / "text.zip"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInputError, match="has no files"):
        find_code(a, str(tmp_path / "empty"))
    monkeypatch.setattr("opswright_aws_devops.functions.code.MOST_BYTES", 3)
    (tmp_path / "empty" / "a").write_text("abcd")
    with pytest.raises(BadInputError, match="put the ZIP file in S3"):
        find_code(a, str(tmp_path / "empty"))
    elsewhere = "123456789012.dkr.ecr.us-east-1.amazonaws.com/hello:1"
    with pytest.raises(BadInputError, match="its own region"):
        find_code(a, elsewhere)
    a.close()


# Judged without a backend.

WANTED = Wanted(
    name="f", handler="h", runtime="r", memory_mib=128, timeout_seconds=3, architecture="arm64",
    environment={}, secrets={}, reserved_concurrency=5, dead_letter_arn="arn:dead",
    subnet_ids=["s-1"], security_group_ids=["sg"], function_url=True, schedule="rate(1 day)",
    queue_arn="arn:q", log_days=30,
)  # fmt: skip
MADE = Function(
    function_name="f", function_arn="arn:f", role_arn="arn:r", log_group="/l", code="c", url="u"
)
FOUND = {
    "State": "Active", "Role": "arn:r", "DeadLetterConfig": {"TargetArn": "arn:dead"},
    "VpcConfig": {"SubnetIds": ["s-1"]},
}  # fmt: skip
GOOD = FunctionState(
    function=FOUND,
    policy=[{"Principal": {"Service": "events.amazonaws.com"}}],
    url_auth="AWS_IAM",
    reserved=5,
    rule={"ScheduleExpression": "rate(1 day)", "State": "ENABLED"},
    trigger={"State": "Enabled"},
    log_days=30,
)


@pytest.mark.parametrize(
    "changed",
    [
        {"function": {**FOUND, "State": "Inactive"}},
        {"function": {**FOUND, "Role": "arn:other"}},
        {"function": {**FOUND, "DeadLetterConfig": {"TargetArn": "arn:x"}}},
        {"function": {**FOUND, "VpcConfig": {}}},
        {"policy": [*GOOD.policy, {"Principal": "*"}]},
        {"url_auth": "NONE"},
        {"reserved": None},
        {"rule": {"ScheduleExpression": "rate(1 day)", "State": "DISABLED"}},
        {"trigger": {"State": "Disabled"}},
        {"log_days": None},
    ],
)
def test_each_deviation_of_a_function_fails(changed: dict[str, Any]) -> None:
    def verdicts(state: FunctionState, code: str = "c") -> list[str]:
        return [c.verdict for c in judge_function(MADE, WANTED, code, state)]

    assert set(verdicts(GOOD)) == {"PASS"}
    assert verdicts(GOOD.model_copy(update=changed)).count("FAIL") == 1
    assert verdicts(GOOD, "other code").count("FAIL") == 1
    assert verdicts(FunctionState(function=None)) == ["FAIL"]
    silent = {k: v for k, v in FOUND.items() if k != "DeadLetterConfig"}
    assert "UNKNOWN" in verdicts(GOOD.model_copy(update={"function": silent}))


FOREIGN = "arn:aws:sqs:eu-west-1:999999999999:jobs"


@pytest.mark.parametrize("asked", ["queue_arn", "dead_letter_arn"])
async def test_a_queue_of_another_account_that_is_not_reached_is_refused_before_anything_is_made(
    agent: Any, client_of: Clients, tmp_path: Path, asked: str
) -> None:
    client_of("sqs").create_queue(QueueName="jobs")  # the emulator takes it for the other's
    (tmp_path / "app.py").write_text("def handler(event, context):\n    return 1\n")
    said = await agent.refused(
        "create_function", name="shop", code=str(tmp_path), handler="app.handler",
        runtime="python3.13", **{asked: FOREIGN},
    )  # fmt: skip
    assert "does not reach queues of other accounts" in said
    assert client_of("iam").list_roles()["Roles"] == []


def letting(**statement: Any) -> str:
    return json.dumps({"Statement": [{"Effect": "Allow", "Action": "sqs:*", **statement}]})


@pytest.mark.parametrize(
    ("policy", "admitted"),
    [
        (None, False),
        (letting(Principal="*"), True),
        (letting(Principal={"AWS": "arn:aws:iam::111122223333:root"}), True),
        (letting(Principal={"AWS": "111122223333"}, Action=["SQS:Receive*"]), True),
        (letting(Principal={"AWS": "111122223333"}, Action="sqs:SendMessage"), False),
        (letting(Principal={"AWS": "444455556666"}), False),
        (letting(Principal={"Service": "sns.amazonaws.com"}), False),
        (letting(Principal="*", Effect="Deny"), False),
    ],
)
def test_whom_a_queue_of_another_account_admits_is_read_from_its_policy(
    policy: str | None, admitted: bool
) -> None:
    assert admits(policy, "111122223333", "sqs:ReceiveMessage") is admitted
