"""Which namespace a request is in, by its token and its header."""

import sqlite3
from pathlib import Path
from typing import Any

import pytest
from fastmcp.server.auth import AccessToken
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from starlette.requests import Request

from opswright_core.agent.report import TaskReport
from opswright_core.agent.tasks import TaskStore
from opswright_core.errors import BadInputError, NotFoundError
from opswright_core.namespaces import CLAIM, Sight, sight_of


def asked(claims: dict[str, Any] | None, header: str) -> Request:
    """A request with a token of these claims (None: without a token)."""
    user = None
    if claims is not None:
        user = AuthenticatedUser(AccessToken(token="t", client_id="c", scopes=[], claims=claims))
    headers = [(b"opswright-namespace", header.encode())] if header else []
    return Request({"type": "http", "headers": headers, "user": user})


@pytest.mark.parametrize(
    ("claims", "header", "own", "sight"),
    [
        (None, "", "own", Sight("own", False)),
        (None, "own", "own", Sight("own", False)),
        ({}, "", "own", Sight("own", True)),
        ({}, "own", "own", Sight("own", True)),
        ({}, "", "", Sight("", True)),
        ({CLAIM: ["a", "b"]}, "", "own", Sight("a", True)),
        ({CLAIM: ["a", "b"]}, "b", "own", Sight("b", True)),
        ({CLAIM: "b a"}, "", "own", Sight("b", True)),
        ({CLAIM: ["*"]}, "", "own", Sight("own", False)),
        ({CLAIM: ["*"]}, "", "", Sight("", False)),
        ({CLAIM: ["*"]}, "any", "own", Sight("any", False)),
        ({CLAIM: ["*", "a"]}, "", "own", Sight("a", False)),
    ],
)
def test_the_first_namespace_of_a_token_is_meant_or_the_chosen_one(
    claims: Any, header: str, own: str, sight: Sight
) -> None:
    assert sight_of(asked(claims, header), own) == sight


@pytest.mark.parametrize(
    ("claims", "header", "says"),
    [
        (None, "a", "may see own"),
        ({}, "a", "may see own"),
        ({CLAIM: ["a"]}, "own", "may see a"),
        ({CLAIM: ["a"]}, "*", "may see a"),
        ({CLAIM: ["*"]}, "a/b", "is no namespace"),
        ({CLAIM: []}, "", "names no namespaces"),
        ({CLAIM: "  "}, "", "names no namespaces"),
        ({CLAIM: ["a b"]}, "", "names no namespaces"),
        ({CLAIM: None}, "", "names no namespaces"),
    ],
)
def test_any_other_namespace_is_refused(claims: Any, header: str, says: str) -> None:
    with pytest.raises(BadInputError, match=says):
        sight_of(asked(claims, header), "own")


def test_without_a_request_it_is_the_servers_own() -> None:
    assert sight_of(None, "own") == Sight("own", False)


def test_tasks_of_before_there_were_namespaces_are_those_of_none(tmp_path: Path) -> None:
    path = tmp_path / "tasks.db"
    report = TaskReport(task_id="task-1", agent="x", status="completed", summary="done")
    with sqlite3.connect(path) as db:
        db.execute(
            "CREATE TABLE tasks (task_id TEXT PRIMARY KEY, server TEXT NOT NULL, "
            "owner TEXT NOT NULL, updated_at TEXT NOT NULL, report TEXT NOT NULL)"
        )
        db.execute(
            "INSERT INTO tasks VALUES ('task-1', 'x', '1', 'then', ?)", (report.model_dump_json(),)
        )
    db.close()
    assert TaskStore(path, "1").load("task-1").summary == "done"
    teams = TaskStore(path, "1", lambda: "team-a")
    with pytest.raises(NotFoundError, match="no task"):
        teams.load("task-1")
    teams.save(report.model_copy(update={"task_id": "task-2"}))
    assert teams.load("task-2").summary == "done"
    with pytest.raises(NotFoundError, match="no task"):
        TaskStore(path, "1").load("task-2")
