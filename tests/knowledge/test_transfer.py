"""What is exported and imported elsewhere is the same there, once, with who wrote it and when."""

import dataclasses
import json
import os
from typing import Any

import pytest
from fastmcp import Client

from opswright_core.pages import BUDGET_BYTES
from opswright_knowledge.server import create_server
from opswright_knowledge.tools import transfer

BY = {"agent": "aws_devops", "run_id": "run-1", "step": "network"}


@pytest.fixture
async def filled(ask: Any, clock: Any) -> None:
    """One and more of every kind of record, some deleted, some acknowledged."""
    relation = {"kind": "in", "to": "vpc-1"}
    await ask(
        "record_resources",
        resources=[
            {"type": "ec2:vpc", "id": "vpc-1", "tags": {"team": "web"}},
            {"type": "ec2:subnet", "id": "subnet/1 ü", "relations": [relation]},
            {"type": "ec2:subnet", "id": "gone"},
        ],
        by=BY,
    )
    clock.forward(minutes=1)
    await ask("mark_deleted", resources=[{"type": "ec2:subnet", "id": "gone"}], by=BY)
    place = {"application": "shop", "environment": "prod"}
    for version in ("2.0", "1.0", "3.0"):
        await ask("record_deployment", **place, version=version, by={**BY, "step": version})
    await ask("remember", agent="cost", memories=[{"text": "nat gateways are dear"}], by=BY)
    await ask("set_context", scope="env:prod", key="replicas", value={"n": [1, None]}, by=BY)
    first = await ask("send_message", sender="cost", recipient="*", content="save", by=BY)
    await ask("acknowledge_messages", ids=[first["message_id"]], by={"agent": "cicd"})
    await ask(
        "send_message", sender="cicd", recipient="cost", content="done",
        in_reply_to=first["message_id"], by=BY,
    )  # fmt: skip
    await ask("record_run", run_id="run-1", goal="deploy", plan={"a": 1}, by=BY)
    clock.forward(hours=1)


@pytest.fixture
async def other(settings: Any, tmp_path: Any, clock: Any) -> Any:
    """An empty store of another machine."""
    apart = dataclasses.replace(settings, state_dir=tmp_path / "other")
    async with Client(create_server(apart, clock=clock)) as client:

        async def call(tool: str, **arguments: Any) -> Any:
            return (await client.call_tool(tool, arguments)).structured_content

        yield call


async def seen(call: Any) -> Any:
    """All that a store answers with, but for its own revisions."""
    told = {
        "resources": await call("find_resources"),
        "tagged": await call("find_resources", tag="team=web"),
        "walk": await call("walk_relations", id="vpc-1"),
        "deployments": await call("list_deployments"),
        "running": await call("list_running_versions"),
        "memories": await call("recall", query="gateway", agent="cost"),
        "context": await call("get_context", scope="env:prod"),
        "cicd": await call("read_messages", recipient="cicd", unacknowledged_only=False),
        "cost": await call("read_messages", recipient="cost"),
        "run": await call("get_run", run_id="run-1"),
    }
    for answer in told.values():
        answer.pop("revision", None)
        for item in answer.get("items", []):
            item.pop("revision", None)
    return told


@pytest.mark.usefixtures("filled")
async def test_a_store_moves_through_a_file_with_all_it_says(
    ask: Any, other: Any, tmp_path: Any
) -> None:
    path = tmp_path / "all.jsonl"
    exported = await ask("export_records", path=str(path))
    assert exported["counts"] == {
        "resource": 3, "deployment": 3, "memory": 1, "context": 1, "message": 2, "run": 1,
    }  # fmt: skip
    assert exported["size_bytes"] == path.stat().st_size
    assert path.stat().st_mode & 0o077 == 0
    assert [p.name for p in tmp_path.iterdir() if "part" in p.name] == []
    imported = await other("import_records", path=str(path), by={"agent": "mover"})
    assert (imported["written"], imported["unchanged"], imported["next_line"]) == (11, 0, None)
    assert await seen(other) == await seen(ask)
    kept = (await other("find_resources", id="vpc-1"))["items"][0]
    assert (kept["recorded_by"], kept["run_id"]) == ("aws_devops", "run-1")
    log = await other("changes_since")
    assert {change["agent"] for change in log["changes"]} == {"mover"}
    assert "deleted" in {change["operation"] for change in log["changes"]}


@pytest.mark.usefixtures("filled")
async def test_importing_again_changes_nothing(ask: Any, other: Any, tmp_path: Any) -> None:
    path = str(tmp_path / "all.jsonl")
    await ask("export_records", path=path)
    revision = (await other("import_records", path=path))["revision"]
    again = await other("import_records", path=path)
    assert (again["written"], again["unchanged"], again["revision"]) == (0, 11, revision)
    own = await ask("import_records", path=path)
    assert own["written"] == 0


@pytest.mark.usefixtures("filled")
async def test_a_store_moves_page_by_page_as_text(ask: Any, other: Any) -> None:
    for number in range(100):
        await ask("set_context", scope="many", key=f"k{number:03}", value='"' * 200)
    await ask("set_context", scope="many", key="long", value='"' * 4_500)
    pages, cursor = [], None
    while True:
        page = await ask("export_records", **({"cursor": cursor} if cursor else {}))
        assert len(json.dumps(page).encode()) <= BUDGET_BYTES
        pages.append(page)
        await other("import_records", text=page["text"])
        if not (cursor := page["cursor"]):
            break
    assert len(pages) > 2
    left_out = [one for page in pages for one in page["left_out"]]
    assert left_out == ["context many/long"]
    assert (await other("get_context", scope="many"))["total"] == 100
    assert await seen(other) == await seen(ask)


@pytest.mark.usefixtures("filled")
async def test_kinds_narrow_an_export(ask: Any, fail: Any) -> None:
    page = await ask("export_records", kinds=["context", "run"])
    kinds = [json.loads(line)["record"] for line in page["text"].split("\n")]
    assert kinds == ["header", "context", "run"]
    assert "kinds" in await fail("export_records", kinds=["colour"])


async def test_of_two_the_record_that_was_written_later_stays(
    ask: Any, other: Any, clock: Any
) -> None:
    await ask("set_context", scope="s", key="k", value="old")
    old = (await ask("export_records"))["text"]
    clock.forward(hours=1)
    await other("set_context", scope="s", key="k", value="newer")
    assert (await other("import_records", text=old))["unchanged"] == 1
    clock.forward(hours=1)
    await ask("set_context", scope="s", key="k", value="newest")
    newest = (await ask("export_records"))["text"]
    assert (await other("import_records", text=newest))["written"] == 1
    assert (await other("get_context", scope="s", key="k"))["items"][0]["value"] == "newest"


def line(key: str, **more: Any) -> str:
    record = {"record": "context", "scope": "s", "key": key, "value": 1}
    return json.dumps({**record, "recorded_by": "a", "at": "2026-11-01T00:00:00Z", **more})


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        ("{not json", "line 3 is no record"),
        ('{"record": "colour"}', "line 3 is no record"),
        (line("bad", colour=1), "colour"),
        (line("bad", at="yesterday"), "ISO 8601"),
        (line("x" * 201), "at most 200"),
        (line("bad", value="x" * 20_000), "at most 12,000"),
        ('{"record":"header","format":"opswright-knowledge","version":9,"revision":1,"at":""}',
         "Upgrade opswright-knowledge"),
    ],
)  # fmt: skip
async def test_a_bad_line_is_named_and_its_batch_left_out(
    ask: Any, fail: Any, bad: str, says: str
) -> None:
    told = await fail("import_records", text="\n".join([line("a"), "", bad, line("b")]))
    assert says in told
    assert (await ask("get_context", scope="s"))["total"] == 0


async def test_an_import_goes_on_where_it_ended(
    ask: Any, fail: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setattr(transfer, "BATCH", 2)
    monkeypatch.setattr(transfer, "MOST_LINES", 4)
    path = tmp_path / "many.jsonl"
    lines = [line(f"k{number}") for number in range(9)]
    path.write_text("\n".join([*lines[:6], "broken", *lines[6:]]))
    first = await ask("import_records", path=str(path))
    assert (first["written"], first["next_line"]) == (4, 5)
    told = await fail("import_records", path=str(path), from_line=5)
    assert "Of lines 7 to 8 nothing was imported; the 2 records before are" in told
    assert "from_line=7" in told
    assert (await ask("get_context", scope="s"))["total"] == 6
    path.write_text("\n".join([*lines[:6], "", *lines[6:]]))
    last = await ask("import_records", path=str(path), from_line=7)
    assert (last["written"], last["next_line"]) == (3, None)


async def test_exactly_as_many_lines_as_one_call_takes_leave_nothing_to_go_on_with(
    ask: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "BATCH", 2)
    monkeypatch.setattr(transfer, "MOST_LINES", 4)
    told = await ask("import_records", text="\n".join(line(f"k{n}") for n in range(4)))
    assert (told["written"], told["next_line"]) == (4, None)


async def test_an_import_that_takes_long_ends_after_a_batch_and_goes_on_from_there(
    ask: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "BATCH", 2)
    monkeypatch.setattr(transfer, "MOST_SECONDS", -1.0)
    lines = "\n".join(line(f"k{n}") for n in range(3))
    first = await ask("import_records", text=lines)
    assert (first["written"], first["next_line"]) == (2, 3)
    rest = await ask("import_records", text=lines, from_line=3)
    assert (rest["written"], rest["next_line"]) == (1, None)


async def test_what_is_imported_is_cleaned_of_secrets_and_hidden_text(ask: Any) -> None:
    await ask("import_records", text=line("k", value={"password": "hunter2", "note": "a\u202eb"}))
    (entry,) = (await ask("get_context", scope="s"))["items"]
    assert entry["value"] == {"password": "[redacted]", "note": "ab"}


async def test_only_a_new_jsonl_file_by_an_absolute_path_is_written_or_read(
    ask: Any, fail: Any, tmp_path: Any
) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("hunter2")
    taken = tmp_path / "taken.jsonl"
    taken.write_text("hunter2\n")
    (tmp_path / "dir.jsonl").mkdir()
    os.mkfifo(tmp_path / "fifo.jsonl")
    for path in ("all.jsonl", str(secret), "/etc/passwd", "~nobody-here/x.jsonl"):
        for tool in ("export_records", "import_records"):
            told = await fail(tool, path=path)
            assert "path" in told
            assert "hunter2" not in told
    assert "cannot be written: File exists" in await fail("export_records", path=str(taken))
    assert taken.read_text() == "hunter2\n"
    assert "hunter2" not in await fail("import_records", path=str(taken))
    assert "No such file" in await fail("export_records", path=str(tmp_path / "no" / "x.jsonl"))
    assert "No such file" in await fail("import_records", path=str(tmp_path / "no.jsonl"))
    for odd in ("dir", "fifo"):
        assert "is no file" in await fail("import_records", path=str(tmp_path / f"{odd}.jsonl"))
    assert sorted(p.name for p in tmp_path.iterdir() if p.suffix == ".part") == []
    assert "either the path" in await fail("import_records")
    assert "either the path" in await fail("import_records", path=str(taken), text="x")


@pytest.mark.parametrize("cursor", ["WyJyZXNvdXJjZSIsIFsxXV0", "WyJydW4iLCBbMSwgMl1d", "WzFd"])
async def test_a_cursor_that_is_none_is_refused(ask: Any, fail: Any, cursor: str) -> None:
    assert "cursor" in await fail("export_records", cursor=cursor)
    assert "cursor" in await fail("export_records", cursor=cursor, path="/tmp/x.jsonl")
