"""Servers that are not ours take a seat in the team: the reference memory and git servers.

The memory server (npm) lists its answers' schemas, the git server (PyPI) answers text alone, and
neither knows the change protocol: what they change is taken back by a step's `compensate`, or is
irreversible and approved as that.
"""

import json
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import platformdirs
import pytest
from tests.conftest import need
from tests.orchestrator.team import OpenSession, carry_out, undo

from opswright.plan import Compensation, Plan, PlanError, Step
from opswright.report import make_report
from opswright.session import Place, Session, opened

MEMORY, MEMORY_VERSION = "@modelcontextprotocol/server-memory", "2026.8.31"
GIT, GIT_VERSION = "mcp-server-git", "2026.10.19"

pytestmark = pytest.mark.timeout(400)


def installed(service: str, name: str, *commands: list[str]) -> Path:
    """A folder of the user's cache in which the commands were run once."""
    place = platformdirs.user_cache_path("opswright") / name
    if not (place / "complete").exists():
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        for command in commands:
            ended = subprocess.run(command, cwd=place, capture_output=True, text=True, timeout=300)
            need(service, ended.returncode == 0, f"no {name}: {ended.stderr[-500:]}")
        (place / "complete").touch()
    return place


@pytest.fixture(scope="module")
def memory_server() -> list[str]:
    """The command of the reference memory server."""
    npm, node = shutil.which("npm"), shutil.which("node")
    need("npm", npm is not None, "npm is not installed (apt-get install nodejs npm)")
    assert npm is not None
    assert node is not None
    quiet = ["--no-package-lock", "--no-audit", "--no-fund", "--loglevel=error"]
    wanted = f"{MEMORY}@{MEMORY_VERSION}"
    place = installed(
        "npm", f"server-memory-{MEMORY_VERSION}", [npm, "install", "--prefix", ".", *quiet, wanted]
    )
    return [node, str(place / "node_modules" / MEMORY / "dist/index.js")]


@pytest.fixture(scope="module")
def git_server() -> list[str]:
    """The command of the reference git server, in an environment of its own."""
    pip = "venv/bin/pip"
    place = installed(
        "pypi",
        f"{GIT}-{GIT_VERSION}",
        [sys.executable, "-m", "venv", "venv"],
        [pip, "install", "--quiet", f"{GIT}=={GIT_VERSION}"],
    )
    return [str(place / "venv/bin/mcp-server-git")]


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with one commit."""
    path = tmp_path / "repository"
    who = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com"]
    for command in (["init", "-q"], [*who, "commit", "-q", "--allow-empty", "-m", "Begin here"]):
        path.mkdir(exist_ok=True)
        subprocess.run(["git", *command], cwd=path, check=True)
    return path


@pytest.fixture
def team(
    tmp_path: Path, memory_server: list[str], git_server: list[str], repository: Path
) -> OpenSession:
    """Both beside our knowledge server, from an mcp.json as hosts have it."""
    graph = str(tmp_path / "graph.jsonl")
    servers: dict[str, Any] = {
        "memory": {"command": memory_server[0], "args": memory_server[1:],
                   "env": {"MEMORY_FILE_PATH": graph}},
        "git": {"command": git_server[0], "args": ["--repository", str(repository)]},
        "knowledge": {"command": "opswright-knowledge", "args": ["--toolsets", "all"]},
    }  # fmt: skip
    config = tmp_path / "mcp.json"
    config.write_text(json.dumps({"mcpServers": servers}))
    state_dir = tmp_path / "state"
    state_dir.mkdir()

    @asynccontextmanager
    async def opening() -> AsyncIterator[Session]:
        async with opened(Place(state_dir), config) as session:
            assert session.down == {}
            yield session

    return opening


def entity_step(**more: Any) -> Step:
    entity = {"name": "shop", "entityType": "service", "observations": ["sells lamps"]}
    return Step(
        id="note", agent="memory", tool="create_entities", args={"entities": [entity]},
        risk="write", **more,
    )  # fmt: skip


def plan_with(repository: Path, note: Step) -> Plan:
    history = Step(id="history", agent="git", tool="git_log", args={"repo_path": str(repository)})
    found = Step(
        id="found", agent="memory", tool="open_nodes",
        args={"names": [{"$ref": "note.entities.0.name"}]},
    )  # fmt: skip
    ours = Step(
        id="ours", agent="knowledge", tool="set_context", risk="record",
        args={"scope": "team", "key": "shop", "value": {"$ref": "found.entities.0.observations"}},
        needs=("history",),
    )  # fmt: skip
    report = {
        "history": {"$ref": "history.result"},
        "kind": {"$ref": "found.entities.0.entityType"},
    }
    steps = (note, history, found, ours)
    return Plan(id="p", goal="note the shop", planner="test", steps=steps, report=report)


async def test_a_plan_over_their_servers_and_ours_is_verified_run_reported_and_undone(
    team: OpenSession, repository: Path, tmp_path: Path
) -> None:
    back = Compensation(tool="delete_entities", args={"entityNames": ["shop"]})
    async with team() as session:
        run, outcomes = await carry_out(
            session, plan_with(repository, entity_step(compensate=back))
        )
        assert run.status == "done", {i: o.error for i, o in outcomes.items()}
        assert "Begin here" in outcomes["history"].value["result"]
        report = make_report(run, outcomes)
        assert report.highlights["kind"] == "service"
        assert "Begin here" in report.highlights["history"]
        kept = await session.registry.agents["knowledge"].call(
            "get_context", {"scope": "team", "key": "shop"}, 30, _silent
        )
        assert "sells lamps" in json.dumps(kept.value)
        assert "shop" in (tmp_path / "graph.jsonl").read_text()
        undone, _ = await undo(session, run)
        assert undone.status == "done"
        assert "shop" not in (tmp_path / "graph.jsonl").read_text()


async def test_their_change_without_a_way_back_has_to_say_so(
    team: OpenSession, repository: Path, tmp_path: Path
) -> None:
    async with team() as session:
        with pytest.raises(PlanError, match="irreversible"):
            session.check(plan_with(repository, entity_step()))
        plan = plan_with(repository, entity_step(irreversible=True))
        assert plan.changes_things  # so it is approved, as any change
        run, _ = await carry_out(session, plan)
        assert run.status == "done"
        with pytest.raises(PlanError, match="nothing takes back"):
            session.undo_plan(run)


async def test_their_annotations_tell_the_risk(team: OpenSession, repository: Path) -> None:
    async with team() as session:
        memory, git = (session.registry.agents[name].tools for name in ("memory", "git"))
        risks = {
            name: tools[name].risk
            for tools, name in (
                (memory, "read_graph"), (memory, "create_entities"), (memory, "delete_entities"),
                (git, "git_log"), (git, "git_commit"), (git, "git_reset"),
            )
        }  # fmt: skip
        assert risks == {
            "read_graph": "read", "create_entities": "write", "delete_entities": "destructive",
            "git_log": "read", "git_commit": "write", "git_reset": "destructive",
        }  # fmt: skip
        reset = Step(id="r", agent="git", tool="git_reset", args={"repo_path": str(repository)})
        with pytest.raises(PlanError, match=r"r \[risk\]"):
            session.check(Plan(id="p", goal="g", planner="test", steps=(reset,)))


async def test_their_failure_is_an_error_and_never_data(team: OpenSession, tmp_path: Path) -> None:
    nowhere = Step(id="log", agent="git", tool="git_log", args={"repo_path": str(tmp_path / "no")})
    after = Step(
        id="after", agent="knowledge", tool="set_context", risk="record",
        args={"scope": "team", "key": "log", "value": {"$ref": "log.result"}},
    )  # fmt: skip
    async with team() as session:
        plan = Plan(id="p", goal="g", planner="test", steps=(nowhere, after))
        run, outcomes = await carry_out(session, plan)
    assert run.status == "failed"
    assert outcomes["log"].value == {}
    assert (outcomes["log"].status, outcomes["after"].status) == ("failed", "skipped")


async def _silent(_: str) -> None:
    return None
