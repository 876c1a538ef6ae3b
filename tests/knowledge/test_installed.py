"""What is installed from the built packages is whole: it starts, and finds its migrations."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from fastmcp import Client
from fastmcp.client.transports import StdioTransport
from tests.conftest import need
from tests.core.processes import ROOT


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with core and knowledge as their wheels have them; the rest is the environment's."""
    uv = shutil.which("uv") or shutil.which("uv", path=str(ROOT / ".tools/bin"))
    need("uv", uv is not None, "uv is not installed")
    assert uv is not None
    place = tmp_path_factory.mktemp("installed")
    for member in ("core", "servers/knowledge"):
        command = [uv, "build", "--wheel", "--offline", "--no-config", "-o", str(place / "wheels")]
        subprocess.run([*command, str(ROOT / member)], check=True, capture_output=True, timeout=120)
    for wheel in (place / "wheels").glob("*.whl"):
        with zipfile.ZipFile(wheel) as packed:
            packed.extractall(place / "site")
    return place / "site"


async def test_the_built_packages_serve_and_migrate(installed: Path, tmp_path: Path) -> None:
    assert (installed / "opswright_knowledge/playbook.md").is_file()
    environment = {
        **os.environ, "PYTHONPATH": str(installed), "OPSWRIGHT_STATE_DIR": str(tmp_path / "state")
    }  # fmt: skip
    where = subprocess.run(
        [sys.executable, "-c", "import opswright_knowledge, opswright_core as c; "
         "print(opswright_knowledge.__file__, c.__file__)"],
        env=environment, cwd=tmp_path, check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    assert all(path.startswith(str(installed)) for path in where.split())
    server = StdioTransport(
        sys.executable, ["-m", "opswright_knowledge"], env=environment, cwd=str(tmp_path),
        keep_alive=False,
    )  # fmt: skip
    async with Client(server) as client:
        await client.call_tool("set_context", {"scope": "s", "key": "k", "value": 1})
        page = (await client.call_tool("get_context", {"scope": "s"})).structured_content
    assert page["total"] == 1
    assert (tmp_path / "state/knowledge.db").is_file()
