from typing import Any

import pytest

from opswright_knowledge.records import Deployment
from opswright_knowledge.running import judge

SHOP = {"application": "shop", "environment": "prod"}


async def test_deployments_are_listed_newest_first_with_the_version_to_go_back_to(
    ask: Any, clock: Any
) -> None:
    await ask("record_deployment", **SHOP, version="1.0", commit="abc1234", strategy="canary")
    clock.forward(hours=1)
    await ask("record_deployment", **SHOP, version="1.1", status="failed")
    await ask("record_deployment", **SHOP, version="1.2", artifact_sha256="f" * 64)
    newest, failed, first = (await ask("list_deployments"))["items"]
    assert [d["version"] for d in (newest, failed, first)] == ["1.2", "1.1", "1.0"]
    assert newest["rollback_target"] == "1.0"
    assert first["rollback_target"] is None
    assert (first["commit"], first["strategy"]) == ("abc1234", "canary")


async def test_news_of_a_deployment_update_it_in_place(ask: Any, clock: Any) -> None:
    begun = await ask("record_deployment", **SHOP, version="2.0", status="running", commit="abc")
    clock.forward(minutes=5)
    await ask(
        "record_deployment", **SHOP, version="2.0", status="succeeded", attributes={"url": "https://x"},
        deployment_id=begun["deployment_id"],
    )  # fmt: skip
    (found,) = (await ask("list_deployments"))["items"]
    assert (found["status"], found["commit"], found["attributes"]) == (
        "succeeded",
        "abc",
        {"url": "https://x"},
    )
    assert found["started_at"] < found["at"]


async def test_a_repeat_by_the_same_run_and_step_is_the_same_deployment(ask: Any) -> None:
    by = {"agent": "cicd", "run_id": "run-1", "step": "deploy"}
    first = await ask("record_deployment", **SHOP, version="1", by=by)
    again = await ask("record_deployment", **SHOP, version="1", by=by)
    other = await ask("record_deployment", **SHOP, version="1", by={**by, "step": "deploy-2"})
    assert again == first
    assert other["deployment_id"] != first["deployment_id"]
    assert (await ask("list_deployments"))["total"] == 2


async def test_deployments_are_filtered_and_paged(ask: Any) -> None:
    for number in range(5):
        await ask("record_deployment", **SHOP, version=str(number))
    await ask(
        "record_deployment", application="shop", environment="test", version="9", status="failed"
    )
    assert (await ask("list_deployments", status="failed"))["total"] == 1
    assert (await ask("list_deployments", application="other"))["items"] == []
    first = await ask("list_deployments", environment="prod", limit=2)
    second = await ask("list_deployments", environment="prod", limit=2, cursor=first["cursor"])
    last = await ask("list_deployments", environment="prod", limit=2, cursor=second["cursor"])
    seen = [d["version"] for page in (first, second, last) for d in page["items"]]
    assert seen == ["4", "3", "2", "1", "0"]
    assert last["cursor"] is None


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"status": "great"}, "status"),
        ({"version": ""}, "version"),
        ({"attributes": {"log": "x" * 11_000}}, "at most 10,000"),
        ({"commit": "x" * 65}, "commit"),
    ],
)
async def test_a_deployment_that_cannot_be_recorded_is_refused(
    fail: Any, wrong: Any, says: str
) -> None:
    assert says in await fail("record_deployment", **{**SHOP, "version": "1", **wrong})


async def test_limits_and_cursors_of_the_list_are_checked(fail: Any) -> None:
    assert "limit" in await fail("list_deployments", limit=0)
    assert "cursor" in await fail("list_deployments", cursor="WyJhIl0")


async def test_a_redeployed_version_is_not_its_own_way_back(ask: Any) -> None:
    for version in ("1", "2", "2"):
        await ask("record_deployment", **SHOP, version=version)
    assert (await ask("list_deployments"))["items"][0]["rollback_target"] == "1"


async def test_what_runs_where_is_listed_with_the_version_before_it(ask: Any) -> None:
    for version in ("1.0", "1.1"):
        await ask("record_deployment", **SHOP, version=version)
    await ask("record_deployment", application="blog", environment="test", version="7")
    await ask(
        "record_deployment", application="shop", environment="test", version="2", status="failed"
    )
    told = await ask("list_running_versions")
    assert [(r["application"], r["environment"], r["version"]) for r in told["items"]] == [
        ("blog", "test", "7"),
        ("shop", "prod", "1.1"),
        ("shop", "test", None),
    ]
    assert told["items"][1]["previous"] == "1.0"
    assert told["items"][2]["note"] == "2 failed"
    narrow = await ask("list_running_versions", application="shop", environment="prod")
    assert (narrow["total"], narrow["items"][0]["last_version"]) == (1, "1.1")


async def test_what_runs_where_is_read_in_pages(ask: Any) -> None:
    for number in range(60):
        await ask("record_deployment", application=f"a{number:02}", environment="p", version="1")
    first = await ask("list_running_versions")
    rest = await ask("list_running_versions", cursor=first["cursor"])
    found = [one["application"] for one in first["items"] + rest["items"]]
    assert found == [f"a{n:02}" for n in range(len(found))]
    assert first["total"] == 60


def deployed(status: Any, version: str = "3", rollback_target: str | None = None) -> Deployment:
    return Deployment(
        deployment_id="d", application="a", environment="e", version=version, status=status,
        rollback_target=rollback_target, started_at="t", revision=1, recorded_by="x", at="t",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("newest_first", "version", "previous", "note"),
    [
        ([deployed("succeeded"), deployed("succeeded", "2")], "3", "2", ""),
        ([deployed("succeeded"), deployed("succeeded"), deployed("succeeded", "1")], "3", "1", ""),
        ([deployed("succeeded", "3", "0")], "3", "0", ""),
        ([deployed("succeeded")], "3", None, ""),
        (
            [deployed("rolled_back", "3", "2"), *(deployed("succeeded", v) for v in "21")],
            "2", "1", "3 was rolled back",
        ),
        ([deployed("rolled_back")], None, None, "3 was rolled back, to what is not recorded"),
        ([deployed("failed"), deployed("succeeded", "2")], None, "2", "3 failed; before it, 2 ran"),
        ([deployed("running"), deployed("succeeded", "2")], None, "2",
         "3 is running; before it, 2 ran"),
    ],
)  # fmt: skip
def test_the_running_version_is_told_only_where_the_record_settles_it(
    newest_first: Any, version: Any, previous: Any, note: str
) -> None:
    told = judge(newest_first)
    assert (told.version, told.previous, told.note) == (version, previous, note)
