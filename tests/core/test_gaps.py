"""What a backend does not implement is told by every answer that met it, and by the task's report.

The emulator has neither IAM's Access Analyzer nor Firewall Manager.
"""

import json
from typing import Annotated, Any

from fastmcp import Client
from pydantic import BaseModel, Field

from opswright_core.agent.report import Outcome
from opswright_core.agent.skills import NoInputs, skill
from opswright_core.agent.tasks import MOST_GAPS
from opswright_core.agent.worker import Worker
from opswright_core.aws import HERE, Target
from opswright_core.changes import Action, ChangePlan, Scope, Work
from opswright_core.cloud_errors import translate
from opswright_core.errors import EmulatorGapError
from opswright_core.pages import Page, page
from opswright_core.recorder import Recorder
from opswright_core.runtime import aws, runtime
from opswright_core.server import build_server
from opswright_core.settings import Settings
from opswright_core.tools import read_tool, write_tool
from opswright_core.verdicts import Check

ANALYZERS = "The backend does not implement access-analyzer:ListAnalyzers."
POLICIES = "The backend does not implement fms:ListPolicies."


class Thing(BaseModel):
    number: int


def _ask(service: str, operation: str, target: Any) -> bool:
    try:
        getattr(aws(target).client(service), operation)()
    except Exception as exc:
        if isinstance(translate(exc), EmulatorGapError):
            return False
        raise
    return True


@read_tool
def list_analyzed(
    cursor: Annotated[str | None, Field(description="From the page before")] = None,
    target: Target = HERE,
) -> Page[Thing]:
    """List things, as many as analyzers left open; what analyzers say is asked twice."""

    def read() -> list[Thing]:
        asked = [_ask("accessanalyzer", "list_analyzers", target) for _ in range(2)]
        return [] if any(asked) else [Thing(number=n) for n in range(120)]

    return page(runtime().snapshots.get(cursor, ("list_analyzed",), read), cursor=cursor)


@read_tool
def list_nothing_lacking(target: Target = HERE) -> Thing:
    """List what the emulator has."""
    return Thing(number=len(aws(target).client("ec2").describe_vpcs()["Vpcs"]))


@read_tool
def read_drift(target: Target = HERE) -> Thing:
    """Read a stack's drift, to which the emulator answers with no AWS error at all."""
    try:
        aws(target).client("cloudformation").describe_stack_drift_detection_status(
            StackDriftDetectionId="00000000-0000-0000-0000-000000000000"
        )
    except Exception as exc:
        if isinstance(translate(exc), EmulatorGapError):
            return Thing(number=0)
        raise
    return Thing(number=1)


@write_tool()
def make_thing(target: Target = HERE) -> Work[Thing]:
    """Make a thing that two services would look after."""
    here = aws(target)

    def apply(rec: Recorder) -> Thing:
        rec.gap("The emulator's things are of no use.")
        _ask("fms", "list_policies", target)
        return Thing(**rec.step("thing", lambda: {"number": 1}))

    def verify(_: Thing) -> list[Check]:
        read = _ask("accessanalyzer", "list_analyzers", target)
        return [Check(name="analyzed", verdict="PASS" if read else "UNKNOWN")]

    plan = ChangePlan(summary="make it", actions=[Action(verb="create", type="thing", name="one")])
    return Work(scope=Scope.of(here), plan=lambda: plan, apply=apply, verify=verify, outputs=Thing)


@skill("look at the analyzed things and make one", risk="write")
async def look_and_make(worker: Worker, _: NoInputs) -> Outcome:
    """Look at the things, and make one."""
    await worker.call("list_analyzed")
    await worker.call("make_thing")
    return Outcome(summary="One was made.")


def create_server(settings: Settings) -> Any:
    return build_server(
        "things", title="Things", instructions="Things.", settings=settings,
        tools=[list_analyzed, list_nothing_lacking, read_drift, make_thing], skills=[look_and_make],
    )  # fmt: skip


async def test_every_page_of_a_reading_names_once_what_it_could_not_ask(
    settings: Settings, cloud: Any, era: str
) -> None:
    async with Client(create_server(settings), mode=era) as client:
        first = await client.call_tool("list_analyzed", {})
        after = {"cursor": first.structured_content["cursor"]}
        second = await client.call_tool("list_analyzed", after)
        other = await client.call_tool("list_nothing_lacking", {})
        unparsed = (await client.call_tool("read_drift", {})).structured_content
    for answer in (first, second):
        assert answer.structured_content["gaps"] == [ANALYZERS]
        assert answer.structured_content["region"] == "eu-west-1"
        assert json.loads(answer.content[0].text) == answer.structured_content
    assert "gaps" not in other.structured_content
    assert unparsed["gaps"] == [
        "The backend does not implement cloudformation:DescribeStackDriftDetectionStatus."
    ]


async def test_a_change_keeps_what_its_calls_met_beside_what_it_tells_itself(
    settings: Settings, cloud: Any
) -> None:
    async with Client(create_server(settings)) as client:
        made = (await client.call_tool("make_thing", {})).structured_content
        asked = {"change_id": made["change_id"]}
        later = (await client.call_tool("get_change", asked)).structured_content
    assert made["gaps"] == ["The emulator's things are of no use.", POLICIES, ANALYZERS]
    assert later["gaps"] == made["gaps"]


async def test_a_task_reports_the_gaps_of_all_that_it_called(
    settings: Settings, cloud: Any
) -> None:
    async with Client(create_server(settings)) as client:
        asked = {"task": "look at the analyzed things and make one"}
        report = (await client.call_tool("handle_task", asked)).structured_content
    assert report["gaps"] == [ANALYZERS, "The emulator's things are of no use.", POLICIES]
    assert len(report["gaps"]) <= MOST_GAPS
    assert report["summary"] == f"One was made. Not real here: {' '.join(report['gaps'])}"
