"""Promises about the tree: which way imports point, and what is loaded to do little."""

import ast
import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SERVERS = sorted(p.parent.name for p in ROOT.glob("servers/*/opswright_*/server.py") if p)
HEAVY = [
    "boto3", "botocore", "anthropic", "docker", "git", "sqlalchemy", "httpx", "jmespath", "dbos",
    "moto", "yaml", "pandas", "numpy", "psycopg",
]  # fmt: skip
BY_FASTMCP = {"httpx", "yaml"}
"""What fastmcp's own import may bring; ours must not."""


def packages_imported(package: Path) -> set[str]:
    """Top-level names of every import in a package, also those inside functions."""
    names: set[str] = set()
    for path in package.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names.add(node.module.partition(".")[0])
    return names


PACKAGES = [
    ROOT / "core/opswright_core",
    ROOT / "orchestrator/opswright",
    *sorted(ROOT.glob("servers/*/opswright_*")),
]


@pytest.mark.parametrize("package", PACKAGES, ids=lambda p: p.name)
def test_dependencies_point_one_way(package: Path) -> None:
    ours = {n for n in packages_imported(package) if n.split("_")[0] == "opswright"}
    allowed = (
        {package.name} if package.name == "opswright_core" else {package.name, "opswright_core"}
    )
    assert ours <= allowed


PROTOCOL = ["fastmcp", "mcp", "mcp_types", "starlette", "uvicorn", "opentelemetry"]


def loaded_by(code: str, among: list[str] = HEAVY) -> set[str]:
    script = f"{code}\nimport sys\nprint(*[m for m in {among!r} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=True
    )
    return set(done.stdout.split("\n")[-2].split())


LISTING = """
import asyncio, pathlib, tempfile
from opswright_core.settings import Settings
from {module} import create_server
settings = Settings(
    allow_writes=True, toolsets=frozenset({{"all"}}), state_dir=pathlib.Path(tempfile.mkdtemp())
)
asyncio.run(create_server(settings).list_tools())
"""


@pytest.mark.parametrize("package", ["", *SERVERS], ids=lambda p: p or "core")
def test_nothing_heavy_is_imported_for_tools_list(package: str) -> None:
    by_fastmcp = loaded_by("from fastmcp import FastMCP") & BY_FASTMCP
    if package:
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
        code = LISTING.format(module=f"{package}.server")
    else:
        code = "import opswright_core.server, opswright_core.cli"
    assert loaded_by(code) - by_fastmcp == set()


COMMANDS = """
import os, tempfile
os.environ["OPSWRIGHT_STATE_DIR"] = tempfile.mkdtemp()
from opswright.cli import main
for command in {commands!r}:
    try:
        main(command.split())
    except SystemExit:
        pass
"""


def test_a_command_that_only_looks_loads_neither_the_protocol_nor_what_runs_plans() -> None:
    looking = [
        "--help", "status", "status run-1", "blueprints", "pause run-1", "cancel run-1",
        "approve run-1", "sandbox status",
    ]  # fmt: skip
    not_needed = {*HEAVY, *PROTOCOL, "opswright.session"} - {"sqlalchemy", "yaml"}
    assert loaded_by(COMMANDS.format(commands=looking), sorted(not_needed)) == set()
