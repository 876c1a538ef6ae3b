"""Containers and images: against a daemon where there is one, and plainly without."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fastmcp import Client
from tests.cicd.conftest import done, refused
from tests.conftest import need

from opswright_cicd.server import create_server
from opswright_cicd.tools.containers import daemon
from opswright_core.errors import OpswrightError
from opswright_core.settings import Settings


def daemon_answers() -> bool:
    try:
        with daemon():
            return True
    except OpswrightError:
        return False


@pytest.fixture
def no_daemon(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")


@pytest.mark.usefixtures("no_daemon")
async def test_without_a_daemon_every_tool_says_so(connect: Any, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    async with connect(create_server) as client:
        for tool, arguments in [
            ("list_containers", {}),
            ("list_images", {}),
            ("build_image", {"context_path": str(tmp_path), "tag": "a:1"}),
        ]:
            said = await refused(client, tool, **arguments)
            assert "No Docker daemon answers here" in said
            assert "DOCKER_HOST" in said


async def test_a_directory_without_a_dockerfile_is_refused(connect: Any, tmp_path: Path) -> None:
    async with connect(create_server) as client:
        said = await refused(client, "build_image", context_path=str(tmp_path), tag="a:1")
        assert "has no Dockerfile" in said
        said = await refused(client, "build_image", context_path=str(tmp_path), tag="--x")
        assert "pattern" in said


async def test_an_image_is_built_listed_and_removed(settings: Settings, tmp_path: Path) -> None:
    need("docker", daemon_answers(), "no Docker daemon answers")
    (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY a.txt /\n")
    (tmp_path / "a.txt").write_text("a")
    call = {"context_path": str(tmp_path), "tag": "opswright-test:1"}
    async with Client(create_server(replace(settings, approvals="token"))) as client:
        asked = (await client.call_tool("build_image", call)).structured_content
        assert asked is not None
        made = await done(client, "build_image", **call, approval=asked["approval"]["token"])
        images = await done(client, "list_images")
        assert any("opswright-test:1" in image["tags"] for image in images["items"])
        await done(client, "list_containers")
        undo = {"change_id": made["change_id"]}
        asked = (await client.call_tool("undo_change", undo)).structured_content
        assert asked is not None
        undone = await done(client, "undo_change", **undo, approval=asked["approval"]["token"])
    assert [c["verdict"] for c in undone["checks"]] == ["PASS"]
