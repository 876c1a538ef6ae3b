"""Parameters of addresses are completed with the names in use, in both protocol eras."""

from typing import Any

import pytest
from mcp_types import PromptReference, ResourceTemplateReference

from opswright_knowledge.resources import TEMPLATES
from opswright_knowledge.server import create_server

RESOURCE = "knowledge://resources/{type}/{id*}"
DEPLOYMENT = "knowledge://deployments/{application}/{environment}{?cursor}"
HISTORY = "knowledge://history/{kind}/{record*}{?cursor}"
VALUE = "knowledge://context/{scope}/{key*}"


@pytest.fixture
async def client(connect: Any, era: str) -> Any:
    async with connect(create_server, mode=era) as opened:
        call = opened.call_tool
        ids = ["vpc-1", "vpc-2", "VPC-3", "v%c", "v_c", "i-1"]
        records = [{"type": "ec2:vpc", "id": name} for name in ids]
        records += [{"type": "ec2:subnet", "id": "vpc-like"}, {"type": "gone", "id": "x"}]
        await call("record_resources", {"resources": records})
        await call("mark_deleted", {"resources": [{"type": "gone", "id": "x"}]})
        for application, environment in (("shop", "prod"), ("shop", "test"), ("blog", "qa")):
            place = {"application": application, "environment": environment}
            await call("record_deployment", {**place, "version": "1"})
        await call("set_context", {"scope": "env:staging", "key": "db", "value": 1})
        await call("remember", {"agent": "cost", "memories": [{"text": "x"}]})
        await call("send_message", {"sender": "cicd", "recipient": "*", "content": "x"})
        await call("record_run", {"run_id": "run-1", "goal": "g"})
        yield opened


async def completed(client: Any, uri: str, name: str, begun: str, **given: str) -> Any:
    return await client.complete(
        ResourceTemplateReference(type="ref/resource", uri=uri),
        {"name": name, "value": begun},
        given or None,
    )


@pytest.mark.parametrize(
    ("uri", "name", "begun", "given", "values"),
    [
        (RESOURCE, "type", "", {}, ["ec2:subnet", "ec2:vpc"]),
        (RESOURCE, "type", "ec2:v", {}, ["ec2:vpc"]),
        (RESOURCE, "id", "vpc-", {}, ["vpc-1", "vpc-2", "vpc-like"]),
        (RESOURCE, "id", "vpc-", {"type": "ec2:vpc"}, ["vpc-1", "vpc-2"]),
        (RESOURCE, "id", "v%", {"type": "ec2:vpc"}, ["v%c"]),
        (RESOURCE, "id", "v_", {"type": "ec2:vpc"}, ["v_c"]),
        (RESOURCE, "id", "none", {}, []),
        (DEPLOYMENT, "application", "", {}, ["blog", "shop"]),
        (DEPLOYMENT, "environment", "", {"application": "shop"}, ["prod", "test"]),
        (
            "knowledge://environments/{environment}{?cursor}", "environment", "", {},
            ["prod", "qa", "staging", "test"],
        ),
        ("knowledge://agents/{agent}/memory{?cursor}", "agent", "c", {}, ["cicd", "cost"]),
        (VALUE, "scope", "env", {}, ["env:staging"]),
        (VALUE, "key", "", {"scope": "env:staging"}, ["db"]),
        (VALUE, "key", "", {"scope": "other"}, []),
        ("knowledge://runs/{run_id}", "run_id", "run", {}, ["run-1"]),
        ("knowledge://runs/{run_id}/{part}{?cursor}", "part", "p", {"run_id": "run-1"}, ["plan"]),
        (HISTORY, "kind", "r", {}, ["resource", "run"]),
        (HISTORY, "record", "ec2:s", {"kind": "resource"}, ["ec2:subnet/vpc-like"]),
        (HISTORY, "record", "", {"kind": "run"}, ["run-1"]),
        ("knowledge://nothing/{type}", "type", "", {}, []),
        (RESOURCE, "colour", "", {}, []),
    ],
)  # fmt: skip
async def test_a_parameter_is_completed_with_the_names_in_use(
    client: Any, uri: str, name: str, begun: str, given: Any, values: Any
) -> None:
    told = await completed(client, uri, name, begun, **given)
    assert told.values == values
    assert told.total in {len(values), None}
    assert not told.has_more


async def test_at_most_100_are_told_with_how_many_there_are(client: Any) -> None:
    records = [{"type": "t", "id": f"n{number:03}"} for number in range(150)]
    await client.call_tool("record_resources", {"resources": records})
    told = await completed(client, RESOURCE, "id", "n", type="t")
    assert told.values == [f"n{number:03}" for number in range(100)]
    assert (told.total, told.has_more) == (150, True)


async def test_every_parameter_of_every_template_can_be_completed(client: Any) -> None:
    wanted = {"thread"}
    for template in TEMPLATES:
        for part in template.split("{")[1:]:
            name = part.partition("}")[0].rstrip("*")
            if name.startswith("?"):
                continue
            told = await completed(client, template, name, "")
            assert told.values, (template, name)
            wanted.discard(name)
    assert not wanted


async def test_a_prompt_is_completed_with_nothing(client: Any) -> None:
    ref = PromptReference(type="ref/prompt", name="type")
    assert (await client.complete(ref, {"name": "type", "value": ""})).values == []
