"""Looks over what the server asks its database: every statement names the namespace it is about."""

import re
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

NAMED = "|".join(
    (
        "changes", "resources", "resource_counts", "resource_tags", "resource_relations",
        "deployments", "memories", "context", "messages", "acknowledgements", "runs",
        "broadcasts_read",
    )
)  # fmt: skip
_INSERT = re.compile(rf"INSERT (?:OR \w+ )?INTO ({NAMED})\b\s*\(([^)]*)\)", re.IGNORECASE)
_USE = re.compile(
    rf"(?:\b(?:FROM|JOIN|UPDATE)|,)\s+({NAMED})\b(?![.(])(?:\s+AS\s+(\w+))?", re.IGNORECASE
)


def unnamed(statement: str) -> set[str]:
    """The tables with a namespace that a statement reads or writes without comparing it."""
    if statement.startswith("ANALYZE "):
        return set()  # tells the planner how much there is, and reads no record
    missing = {
        insert[1]
        for insert in _INSERT.finditer(statement)
        if "namespace" not in re.findall(r"\w+", insert[2])
    }
    for use in _USE.finditer(statement):
        name = use[2] or use[1]
        compared = rf"\b{name}\.namespace\s*=|=\s*{name}\.namespace\b"
        if use[1] not in _inserted_columns(statement) and not re.search(compared, statement):
            missing.add(use[1])
    return missing


def _inserted_columns(statement: str) -> set[str]:
    """Names within the lists of columns, which may be those of tables (`context`, …)."""
    lists = re.findall(r"INTO \w+\s*\(([^)]*)\)", statement)
    return {name for one in lists for name in re.findall(r"\w+", one)}


@contextmanager
def watched() -> Iterator[list[str]]:
    """What the storage sends in this process, but for migrations, that lacks a namespace."""
    from sqlalchemy import Engine, event

    from opswright_knowledge.storage.prepared import made

    found: list[str] = []

    def look(_: Any, __: Any, statement: str, *___: Any) -> None:
        if unnamed(statement):
            stack = "".join(frame.filename for frame in traceback.extract_stack())
            if "opswright_knowledge/storage" in stack and "alembic" not in stack:
                found.append(statement)

    event.listen(Engine, "before_cursor_execute", look)
    try:
        yield found
        found += [one.sql for one in made.values() if unnamed(one.sql)]
    finally:
        event.remove(Engine, "before_cursor_execute", look)
