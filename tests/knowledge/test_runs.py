import json
from typing import Any

import pytest

REPORT = {
    "task_id": "task-1",
    "agent": "aws_devops",
    "status": "completed",
    "summary": "made a network",
    "outputs": {"vpc_id": "vpc-1"},
    "resources": [
        {"type": "ec2:vpc", "id": "vpc-1", "name": "", "action": "created"},
        {"type": "ec2:vpc", "id": "vpc-0", "name": "old", "action": "deleted"},
    ],
    "messages": [{"recipient": "security", "intent": "inform", "content": "new vpc", "data": {}}],
    "memories": [{"kind": "fact", "text": "eu-west-1 has three zones", "importance": 0.7}],
    "deployments": [{"application": "shop", "environment": "prod", "version": "1.0"}],
    "steps": [{"tool": "create_network", "ok": True, "summary": "done"}],
}
BY = {"agent": "aws_devops", "run_id": "run-1", "step": "network"}


async def test_a_run_is_recorded_bit_by_bit_and_read_whole(ask: Any, clock: Any) -> None:
    await ask("record_run", run_id="run-1", goal="deploy shop", plan={"steps": [{"id": "a"}]})
    clock.forward(minutes=1)
    await ask("record_run", run_id="run-1", status="completed", steps=[{"id": "a", "ok": True}])
    run = await ask("get_run", run_id="run-1")
    assert (run["goal"], run["status"], run["plan"]) == (
        "deploy shop",
        "completed",
        {"steps": [{"id": "a"}]},
    )
    assert run["steps"] == [{"id": "a", "ok": True}]
    assert run["report"] is None
    assert run["started_at"] < run["at"]
    assert run["shortened"] == []
    assert (await ask("record_run", run_id="run-1", status="completed"))["unchanged"] == 1


async def test_runs_are_listed_newest_first_in_pages(ask: Any) -> None:
    for number in range(3):
        await ask("record_run", run_id=f"run-{number}", goal="g")
    await ask("record_run", run_id="run-0", status="failed")
    first = await ask("list_runs", limit=2)
    rest = await ask("list_runs", limit=2, cursor=first["cursor"])
    assert [r["run_id"] for r in first["items"] + rest["items"]] == ["run-2", "run-1", "run-0"]
    assert rest["items"][0]["status"] == "failed"


async def test_a_run_unknown_or_without_a_goal_is_refused(fail: Any) -> None:
    assert "list_runs" in await fail("get_run", run_id="run-9")
    assert "say its goal" in await fail("record_run", run_id="run-9", status="running")
    assert "at most 1,000,000" in await fail(
        "record_run", run_id="r", goal="g", plan={"x": "y" * 1_000_001}
    )


@pytest.mark.parametrize(
    "plan",
    [
        {"steps": [{"id": "x" * 100} for _ in range(2000)]},
        {f"k{i}": "x" * 100 for i in range(2000)},
    ],
)
async def test_a_long_run_is_shortened_and_says_so(client: Any, ask: Any, plan: Any) -> None:
    await ask("record_run", run_id="run-1", goal="g", plan=plan)
    result = await client.call_tool("get_run", {"run_id": "run-1"})
    assert len(json.dumps(result.structured_content)) <= 16_000
    assert "plan" in result.structured_content["shortened"][0]


async def test_a_report_is_filed_whole(ask: Any, read: Any) -> None:
    await ask("record_resources", resources=[{"type": "ec2:vpc", "id": "vpc-1", "name": "main"}])
    filed = await ask("record_report", agent="aws_devops", report=REPORT, by=BY)
    assert (filed["resources"], filed["outputs_at"]) == (2, "run:run-1/network")
    (vpc,) = (await ask("find_resources"))["items"]
    assert (vpc["id"], vpc["name"]) == ("vpc-1", "main"), "an empty name in a report erases nothing"
    assert json.loads(await read("knowledge://resources/ec2:vpc/vpc-0"))["deleted_at"]
    (entry,) = (await ask("get_context", scope="run:run-1"))["items"]
    assert entry["value"] == {"vpc_id": "vpc-1"}
    (message,) = (await ask("read_messages", recipient="security"))["items"]
    assert (message["sender"], message["message_id"]) == ("aws_devops", filed["messages"][0])
    (memory,) = (await ask("recall", query="zones"))["items"]
    assert memory["memory_id"] == filed["memories"][0]
    (deployment,) = (await ask("list_deployments"))["items"]
    assert deployment["deployment_id"] == filed["deployments"][0]


async def test_a_report_filed_again_by_the_same_step_changes_nothing(ask: Any) -> None:
    first = await ask("record_report", agent="aws_devops", report=REPORT, by=BY)
    assert await ask("record_report", agent="aws_devops", report=REPORT, by=BY) == first


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"resources": [{"id": "x"}]}, "resources.0.type"),
        ({"deployments": [{"application": "shop"}]}, "deployments.0"),
        ({"memories": [{"text": "x", "importance": 7}]}, "memories.0.importance"),
        (
            {"messages": [{"recipient": "x", "content": "y", "data": {"z": "w" * 11_000}}]},
            "at most",
        ),
        ({"messages": ["hello"]}, "messages.0"),
    ],
)
async def test_a_report_with_one_bad_part_files_nothing(
    ask: Any, fail: Any, wrong: Any, says: str
) -> None:
    assert says in await fail("record_report", agent="aws_devops", report={**REPORT, **wrong})
    assert (await ask("changes_since"))["revision"] == 0


async def test_a_long_text_or_output_does_not_lose_the_report(ask: Any) -> None:
    report = {
        "task_id": "task-2",
        "memories": [{"text": "deploy " * 1000}],
        "messages": [{"recipient": "cost", "content": "x" * 5000}],
        "outputs": {"log": "x" * 50_000, "url": "https://shop"},
    }
    filed = await ask("record_report", agent="cicd", report=report)
    assert filed["outputs_at"] == "agent:cicd/task-2"
    (memory,) = (await ask("recall", query="deploy"))["items"]
    assert memory["text"].endswith("…")
    assert memory["recorded_by"] == "cicd"
    (entry,) = (await ask("get_context", scope="agent:cicd"))["items"]
    assert entry["value"]["url"] == "https://shop"
    assert "log" in entry["value"]["shortened"][0]


async def test_of_a_resource_that_was_made_and_unmade_the_end_counts(ask: Any) -> None:
    touched = {"type": "ec2:vpc", "id": "vpc-1"}
    actions = [{**touched, "action": a} for a in ("created", "modified", "deleted")]
    filed = await ask("record_report", agent="aws_devops", report={"resources": actions})
    assert filed["resources"] == 1
    assert (await ask("find_resources"))["total"] == 0


async def test_an_empty_report_files_nothing(ask: Any) -> None:
    report: dict[str, Any] = {"status": "completed", "outputs": [], "messages": None}
    filed = await ask("record_report", agent="cost", report=report)
    assert (filed["revision"], filed["outputs_at"]) == (0, None)
