"""The orchestrator's runs."""

from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, insert, select, update

from opswright_core.errors import BadInputError, NotFoundError
from opswright_knowledge.kept import RUN_BYTES, kept
from opswright_knowledge.records import Recorded, Run, RunLine
from opswright_knowledge.storage.schema import runs

if TYPE_CHECKING:
    from opswright_knowledge.storage.unit_of_work import UnitOfWork


class Runs:
    """The runs, within a transaction."""

    def __init__(self, unit: "UnitOfWork") -> None:
        self._unit = unit
        self._connection = unit.connection

    def record(self, run_id: str, fields: dict[str, Any]) -> Recorded:
        """Record a run, or its news: `fields` (goal, status, plan, …) replace, None stays.

        Raises BadInputError when a new run has no goal, or a field is too large.
        """
        given = {key: value for key, value in fields.items() if value is not None}
        sent = {key: kept(value, f"the run's {key}", RUN_BYTES) for key, value in given.items()}
        current = self._row(run_id)
        if current is None:
            if not sent.get("goal"):
                raise BadInputError(f"run {run_id} is new: say its goal.")
            (revision,) = self._unit.log("run", [(run_id, "created")])
            row = {
                "run_id": run_id,
                "first_revision": revision,
                "status": "running",
                **sent,
                "started_at": self._unit.now,
            }
            self._connection.execute(insert(runs).values(**row, **self._origin(run_id, revision)))
            return Recorded(revision=revision)
        changed = {key: value for key, value in sent.items() if current[key] != value}
        if not changed:
            return Recorded(revision=self._unit.revision, unchanged=1)
        before = {key: current[key] for key in changed}
        (revision,) = self._unit.log("run", [(run_id, "updated")], [before])
        origin = self._origin(run_id, revision)
        self._connection.execute(update(runs).where(*self._at(run_id)).values(**changed, **origin))
        return Recorded(revision=revision)

    def get(self, run_id: str) -> Run:
        """One run, whole. Raises NotFoundError."""
        row = self._row(run_id)
        if row is None:
            raise NotFoundError(f"no run {run_id!r} is recorded; list_runs shows which are.")
        return Run.model_validate(row)

    def find(
        self, *, before: int | None = None, limit: int = 20
    ) -> tuple[list[tuple[int, RunLine]], int]:
        """Runs, newest first, each with its place: at most `limit` + 1, and how many there are."""
        c = runs.c
        own = self._unit.own(runs)
        total = self._unit.counted(select(c.first_revision).where(own))
        columns = (c.run_id, c.goal, c.status, c.started_at, c.at, c.revision, c.first_revision)
        asked = select(*columns).where(own).order_by(c.first_revision.desc()).limit(limit + 1)
        if before is not None:
            asked = asked.where(c.first_revision < before)
        rows = self._connection.execute(asked).mappings()
        return [(row["first_revision"], RunLine.model_validate(dict(row))) for row in rows], total

    def _at(self, run_id: str) -> tuple[ColumnElement[bool], ...]:
        return self._unit.own(runs), runs.c.run_id == run_id

    def _row(self, run_id: str) -> dict[str, Any] | None:
        asked = select(runs).where(*self._at(run_id))
        row = self._connection.execute(asked).mappings().first()
        return dict(row) if row else None

    def _origin(self, run_id: str, revision: int) -> dict[str, Any]:
        return {key: v for key, v in self._unit.origin(revision).items() if key != "run_id"}
