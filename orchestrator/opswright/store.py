"""The runs: what was asked, planned, approved, answered, and what people said to them meanwhile."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Table, delete, exists, select, update

from opswright.database import Database, beats, database_url, grants, runs, sent, steps
from opswright.plan import PlanError
from opswright.runs import Run, StepOutcome, now
from opswright_core import journal

DEAD_SECONDS = 10.0
"""A process that has not said for so long that it works is dead, or as good as that."""

QUEUED_SECONDS = 30.0


class SupersededError(PlanError):
    """Another process has taken the run over; what this one still does is not recorded."""


class RunStore:
    """The runs, their steps, and what people said to them, safe for many processes."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self.url = database.url

    def wait_out(self, seconds: float) -> None:
        """Wait for up to so long when the database is away, as a run under way does."""
        self._db.patience_seconds = seconds

    @property
    def database(self) -> Database:
        """Where they are kept."""
        return self._db

    def close(self) -> None:
        """Close the connections."""
        self._db.close()

    # Runs

    def save(self, run: Run) -> None:
        """Write a whole run; it is on disk when this returns."""
        row = _row(run)
        self._upsert(runs, {**row, "wish": ""}, ["run_id"], row)

    def change(self, run_id: str, **changes: Any) -> Run:
        """Change fields of a run, whatever others changed meanwhile; the run as it is now."""

        def work(db: Connection) -> Run:
            run = self._run(db, run_id, lock=True).model_copy(update=changes)
            db.execute(update(runs).where(runs.c.run_id == run.run_id).values(_row(run)))
            return run

        return self._db.transact(work, writes=True)

    def claim(self, run_id: str, owner: str, *, only_dead: bool = False) -> Run:
        """Take a run to work on it, with what was wished for before forgotten.

        Raises PlanError when a live process has it, and with `only_dead` when none had.
        """

        def work(db: Connection) -> Run:
            run = self._run(db, run_id, lock=True)
            if run.status == "running" and run.owner != owner and self._lives(db, run.owner):
                raise PlanError(
                    f"{run_id} is running in another process ({run.owner}); "
                    f"`opswright status {run_id}` shows it"
                )
            if only_dead and run.status != "running":
                raise PlanError(f"{run_id} is {run.status}")
            claimed = run.model_copy(update={"status": "running", "owner": owner})
            values = {**_row(claimed), "wish": ""}
            db.execute(update(runs).where(runs.c.run_id == run.run_id).values(values))
            self._beat(db, owner)
            return claimed

        return self._db.transact(work, writes=True)

    def load(self, run_id: str) -> Run:
        """A run as it stands; one whose process is gone is `interrupted`. Raises PlanError."""
        return self._db.transact(lambda db: self._seen(db, self._run(db, run_id)))

    def recent(self, limit: int = 20) -> list[Run]:
        """The newest runs first."""
        query = select(runs.c.body).order_by(runs.c.created_at.desc()).limit(limit)
        return self._db.transact(
            lambda db: [self._seen(db, Run.model_validate_json(b)) for b in db.scalars(query)]
        )

    def take_abandoned(self) -> list[Run]:
        """Put the runs back into the queue whose worker is dead; of many callers, one gets each.

        So is one that has been `queued` for long: who put it there may have died before it was
        handed over. To hand it over twice does no harm.
        """
        query = select(runs.c.body, runs.c.updated_at).where(
            runs.c.status.in_(["running", "queued"])
        )
        long_ago = (datetime.now(UTC) - timedelta(seconds=QUEUED_SECONDS)).isoformat()

        def work(db: Connection) -> list[Run]:
            found = [(Run.model_validate_json(r.body), r.updated_at) for r in db.execute(query)]
            taken = []
            for run, at in found:
                waits = run.status == "queued"
                if run.detached and (at < long_ago if waits else not self._lives(db, run.owner)):
                    row = _row(run.model_copy(update={"status": "queued", "owner": ""}))
                    same = (runs.c.run_id == run.run_id) & (runs.c.updated_at == at)
                    if db.execute(update(runs).where(same).values(row)).rowcount:
                        taken.append(run)
            return taken

        return self._db.transact(work, writes=True)

    def _run(self, db: Connection, run_id: str, *, lock: bool = False) -> Run:
        query = select(runs.c.body).where(runs.c.run_id == run_id)
        if run_id == "last":
            query = select(runs.c.body).order_by(runs.c.created_at.desc()).limit(1)
        body = db.scalar(query.with_for_update() if lock else query)
        if body is None:
            raise PlanError(f"there is no run {run_id!r}; `opswright status` lists the runs")
        return Run.model_validate_json(body)

    def _seen(self, db: Connection, run: Run) -> Run:
        if run.status == "running" and not self._lives(db, run.owner):
            return run.model_copy(update={"status": "interrupted"})
        return run

    # Steps and messages

    def save_step(self, run_id: str, outcome: StepOutcome, owner: str) -> None:
        """Write how a step stands. Raises SupersededError when the run is another process's."""

        def work(db: Connection) -> None:
            mine = select(runs.c.owner).where(runs.c.run_id == run_id).with_for_update(read=True)
            if db.scalar(mine) != owner:
                raise SupersededError(f"{run_id} has been taken over by another process")
            row = {"run_id": run_id, "step_id": outcome.step_id, "body": outcome.model_dump_json()}
            db.execute(self._db.upsert(steps, row, ["run_id", "step_id"], {"body": row["body"]}))

        self._db.transact(work, writes=True)

    def steps(self, run: Run, *, earlier: bool = False) -> dict[str, StepOutcome]:
        """How every step of a run's plan stands, in that order; on demand with `earlier` ones."""
        query = select(steps.c.body).where(steps.c.run_id == run.run_id)
        bodies = self._db.transact(lambda db: list(db.scalars(query)))
        known = {o.step_id: o for o in map(StepOutcome.model_validate_json, bodies)}
        wanted = run.every_step if earlier else run.plan.steps
        return {s.id: known.get(s.id) or StepOutcome(step_id=s.id) for s in wanted}

    def step(self, run_id: str, step_id: str) -> StepOutcome:
        """How one step of a run stands."""
        query = select(steps.c.body).where(steps.c.run_id == run_id, steps.c.step_id == step_id)
        body = self._db.transact(lambda db: db.scalar(query))
        return StepOutcome.model_validate_json(body) if body else StepOutcome(step_id=step_id)

    def mark_sent(self, run_id: str, message: int) -> None:
        """Note that a message of the plan was delivered, so that it is not sent again."""
        row = {"run_id": run_id, "message": message}
        self._upsert(sent, row, ["run_id", "message"], row)

    def sent(self, run_id: str) -> set[int]:
        """The numbers of the plan's messages that were delivered."""
        query = select(sent.c.message).where(sent.c.run_id == run_id)
        return self._db.transact(lambda db: set(db.scalars(query)))

    # What people say to a run from another process

    def wish(self, run_id: str, wish: str) -> None:
        """Wish that a run be paused or cancelled by the process that has it."""
        wishing = update(runs).where(runs.c.run_id == run_id).values(wish=wish)
        self._db.transact(lambda db: db.execute(wishing), writes=True)

    def wished(self, run_id: str, owner: str) -> str:
        """`pause`, `cancel` or nothing. Raises SupersededError when the run is another's now."""
        query = select(runs.c.wish, runs.c.owner).where(runs.c.run_id == run_id)
        row = self._db.transact(lambda db: db.execute(query).one())
        if row.owner != owner:
            raise SupersededError(f"{run_id} has been taken over by another process")
        return str(row.wish)

    def grant(self, run_id: str, asked: str, by: str) -> None:
        """Note a person's yes to exactly what a run asked."""
        row = {"run_id": run_id, "asked": asked, "by": by, "at": now()}
        self._upsert(grants, row, ["run_id", "asked"], row)

    def is_granted(self, run_id: str, asked: str) -> bool:
        """Whether a person said yes to what a run asked."""
        query = select(exists().where(grants.c.run_id == run_id, grants.c.asked == asked))
        return bool(self._db.transact(lambda db: db.scalar(query)))

    # Who is at work

    def beat(self, owner: str) -> None:
        """Say that a process is at work."""
        self._db.transact(lambda db: self._beat(db, owner), writes=True)

    def leave(self, owner: str) -> None:
        """Say that a process works no more."""
        leaving = delete(beats).where(beats.c.owner == owner)
        self._db.transact(lambda db: db.execute(leaving), writes=True)

    def workers(self) -> list[str]:
        """The processes that are at work."""
        query = select(beats.c.owner).where(self._db.clock - beats.c.at < DEAD_SECONDS)
        return self._db.transact(lambda db: list(db.scalars(query)))

    def _beat(self, db: Connection, owner: str) -> None:
        row = {"owner": owner, "at": self._db.clock}
        db.execute(self._db.upsert(beats, row, ["owner"], {"at": self._db.clock}))

    def _lives(self, db: Connection, owner: str) -> bool:
        age = select(self._db.clock - beats.c.at).where(beats.c.owner == owner)
        silent_seconds = db.scalar(age) if journal.is_alive(owner) else None
        return silent_seconds is not None and float(silent_seconds) < DEAD_SECONDS

    def _upsert(
        self, table: Table, row: dict[str, Any], keys: list[str], changes: dict[str, Any]
    ) -> None:
        upserting = self._db.upsert(table, row, keys, changes)
        self._db.transact(lambda db: db.execute(upserting), writes=True)


def store_in(state_dir: Path) -> RunStore:
    """The runs of a state directory, or of OPSWRIGHT_DATABASE_URL. Raises ConfigError."""
    return RunStore(Database(database_url(state_dir)))


def _row(run: Run) -> dict[str, Any]:
    return {
        "run_id": run.run_id,
        "created_at": run.created_at,
        "updated_at": now(),
        "owner": run.owner,
        "status": run.status,
        "body": run.model_dump_json(),
    }
