"""The README's example is a working server."""

import re
from pathlib import Path
from typing import Any

import pytest
from fastmcp import Client

from opswright_core.settings import Settings

README = Path(__file__).parents[2] / "core" / "README.md"


async def test_the_example_serves_approves_writes_and_undoes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    Path("notes").mkdir()
    module: dict[str, Any] = {"__name__": "notes"}
    exec(compile(code, "notes.py", "exec"), module)
    settings = Settings(allow_writes=True, mind="skills", state_dir=tmp_path / "state")
    async with Client(module["create_server"](settings)) as client:
        note = {"name": "hello", "text": "hi"}
        asked = (await client.call_tool("write_note", note)).structured_content
        assert asked["status"] == "needs_approval"
        approval = asked["approval"]["token"]
        done = (await client.call_tool("write_note", {**note, "approval": approval})).data
        assert done.status == "done"
        assert (await client.call_tool("list_notes", {})).data == ["hello"]
        undo = {"change_id": done.change_id}
        asked = (await client.call_tool("undo_change", undo)).structured_content
        undo["approval"] = asked["approval"]["token"]
        assert (await client.call_tool("undo_change", undo)).data.status == "done"
        assert (await client.call_tool("list_notes", {})).data == []
