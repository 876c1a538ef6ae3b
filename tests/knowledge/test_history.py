"""What a record was before is told, newest first, with who changed it when."""

import json
from typing import Any

import pytest

BY = {"agent": "cicd", "run_id": "run-1", "step": "scale"}
VPC = {"type": "ec2:vpc", "id": "vpc-1"}


async def test_each_change_tells_what_it_replaced_and_who_made_it(ask: Any, clock: Any) -> None:
    await ask("record_resources", resources=[{**VPC, "name": "old", "tags": {"a": "1"}}])
    clock.forward(hours=1)
    await ask("record_resources", resources=[{**VPC, "name": "new"}], by=BY)
    await ask("mark_deleted", resources=[VPC])
    told = await ask("get_history", kind="resource", key="ec2:vpc/vpc-1")
    renamed, created = told["items"][1:]
    assert [one["operation"] for one in told["items"]] == ["deleted", "updated", "created"]
    assert renamed["before"] == {"name": "old"}
    assert (renamed["agent"], renamed["run_id"], renamed["step"]) == ("cicd", "run-1", "scale")
    assert renamed["at"] > created["at"]
    assert created["before"] is None
    assert told["total"] == 3


async def test_every_kind_of_record_that_changes_in_place_has_its_old_values(ask: Any) -> None:
    place = {"application": "shop", "environment": "prod", "version": "1"}
    made = await ask("record_deployment", **place, status="running")
    deployment_id = made["deployment_id"]
    await ask("record_deployment", **place, status="succeeded", deployment_id=deployment_id)
    for value in (1, 2):
        await ask("set_context", scope="env:prod", key="n/m", value=value)
    for status in ("running", "done"):
        await ask("record_run", run_id="r", goal="g", status=status)
    for kind, key, before in (
        ("deployment", f"shop/prod/{deployment_id}", {"status": "running"}),
        ("context", "env:prod/n/m", {"value": 1}),
        ("run", "r", {"status": "running"}),
    ):
        newest, first = (await ask("get_history", kind=kind, key=key))["items"]
        assert (newest["before"], first["before"]) == (before, None)


async def test_a_history_is_read_in_pages_by_tool_and_by_address(ask: Any, read: Any) -> None:
    for value in range(30):
        await ask("set_context", scope="s", key="k", value=f"{value} " + "x" * 900)
    first = await ask("get_history", kind="context", key="s/k", limit=10)
    rest = await ask("get_history", kind="context", key="s/k", limit=10, cursor=first["cursor"])
    revisions = [one["revision"] for one in first["items"] + rest["items"]]
    assert revisions == list(range(30, 30 - len(revisions), -1))
    items, address = [], "knowledge://history/context/s/k"
    while address:
        page = json.loads(await read(address))
        items += page["items"]
        address = page.get("next")
    assert [one["revision"] for one in items] == list(range(30, 0, -1))


async def test_what_was_never_recorded_has_no_history(fail: Any, read: Any) -> None:
    assert "changes_since shows the keys" in await fail("get_history", kind="run", key="none")
    assert "kind" in await fail("get_history", kind="colour", key="none")
    with pytest.raises(Exception, match="the change log has no"):
        await read("knowledge://history/run/none")
