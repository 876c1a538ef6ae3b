"""The blueprints there are: those that come with opswright, and those learned or edited since.

What was learned or edited is kept beside the runs, so that every machine that shares them has it.
How well a blueprint works is read from the runs themselves.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from math import ceil
from typing import Literal

from pydantic import BaseModel, ValidationError
from sqlalchemy import Column, String, Table, Text, delete, select

from opswright.database import metadata
from opswright.learning import learn
from opswright.plan import PlanError, PlannedMessage, Step
from opswright.planners import blueprint as shipped
from opswright.planners.blueprint import Blueprint
from opswright.router import PastRun
from opswright.runs import Run, StepOutcome, now
from opswright.store import RunStore

MOST_RUNS = 300
"""Runs that are looked back on, newest first."""

PREFIX = "blueprint "
"""What a plan's planner is called, before the blueprint's name."""

SUCCEEDED, FAILED = frozenset({"done"}), frozenset({"partial", "failed", "needs_human"})
"""The ends that say something about the plan; a run that was cancelled or waits says nothing."""

blueprints = Table(
    "orchestrator_blueprints",
    metadata,
    Column("name", String, primary_key=True),
    Column("body", Text, nullable=False),
    Column("learned_from", String, nullable=False, default=""),
    Column("at", String, nullable=False),
)

Origin = Literal["built in", "learned", "edited"]


@dataclass(frozen=True)
class Entry:
    """A blueprint and where it comes from."""

    blueprint: Blueprint
    origin: Origin
    learned_from: str = ""


class StepRecord(BaseModel):
    """How one step of a blueprint did, over the runs that came to it."""

    step: str
    agent: str
    tool: str
    runs: int
    success_rate: float
    p50_seconds: float | None
    p90_seconds: float | None
    mean_usd: float | None


class Record(BaseModel):
    """How a blueprint did."""

    runs: int
    successes: int
    reliability: float
    steps: list[StepRecord] = []


class Library:
    """The blueprints of one store of runs."""

    def __init__(self, store: RunStore) -> None:
        self._store = store
        self._db = store.database

    def entries(self) -> list[Entry]:
        """All blueprints; one that was edited stands in the place of the one it began as."""
        query = select(blueprints.c.body, blueprints.c.learned_from).order_by(blueprints.c.name)
        rows = self._db.transact(lambda db: list(db.execute(query)))
        kept = [
            Entry(
                Blueprint.model_validate_json(row.body),
                "learned" if row.learned_from else "edited",
                row.learned_from,
            )
            for row in rows
        ]
        names = {entry.blueprint.name for entry in kept}
        own = [Entry(b, "built in") for b in shipped.load() if b.name not in names]
        return [*own, *kept]

    def entry(self, name: str) -> Entry:
        """One blueprint by name. Raises PlanError."""
        for entry in self.entries():
            if entry.blueprint.name == name:
                return entry
        raise PlanError(f"there is no blueprint {name!r}; `opswright blueprints` lists them")

    def choose(self, request: str) -> Blueprint | None:
        """The blueprint that a request means, the more reliable of two; None for none."""
        entries = [entry.blueprint for entry in self.entries()]
        fitting = shipped.fitting(request, entries)
        if len(fitting) < 2:
            return fitting[0] if fitting else None
        runs = self._runs()
        return max(fitting, key=lambda b: record_of(b.name, runs).reliability)

    def keep(self, blueprint: Blueprint, *, learned_from: str = "") -> None:
        """Keep a blueprint, in the place of one of its name."""
        row = {
            "name": blueprint.name,
            "body": blueprint.model_dump_json(),
            "learned_from": learned_from,
            "at": now(),
        }
        keeping = self._db.upsert(blueprints, row, ["name"], row)
        self._db.transact(lambda db: db.execute(keeping), writes=True)

    def forget(self, name: str) -> bool:
        """Forget what was learned or edited; False where nothing of that name was."""
        forgetting = delete(blueprints).where(blueprints.c.name == name)
        return bool(self._db.transact(lambda db: db.execute(forgetting).rowcount, writes=True))

    def learn(self, run: Run) -> Blueprint | None:
        """Keep the plan of a run that went well, unless it is known; what was kept."""
        learned = learn(run)
        if learned is None or any(e.blueprint.name == learned.name for e in self.entries()):
            return None
        self.keep(learned, learned_from=run.run_id)
        return learned

    def record(self, name: str) -> Record:
        """How a blueprint did, step by step."""
        runs = self._runs()
        used = [run for run in runs if run.plan.planner == f"{PREFIX}{name}"]
        ended = [(run, self._store.steps(run)) for run in used]
        ids = dict.fromkeys(s.id for run, _ in ended for s in run.plan.steps)
        steps = []
        for step_id in ids:
            having = [(r.plan.step(step_id), o[step_id]) for r, o in ended if step_id in o]
            steps.append(_step_record(having[0][0], [outcome for _, outcome in having]))
        return record_of(name, runs).model_copy(update={"steps": steps})

    def past_runs(self) -> list[PastRun]:
        """What was asked before, who carried it, and whether it went well; the newest first."""
        return [
            PastRun(
                goal=run.goal,
                agents=tuple(dict.fromkeys(step.agent for step in run.plan.steps)),
                succeeded=run.status in SUCCEEDED,
            )
            for run in self._runs()
            if run.status in SUCCEEDED | FAILED
        ]

    def _runs(self) -> list[Run]:
        return [run for run in self._store.recent(MOST_RUNS) if not run.undoes]


def record_of(name: str, runs: Sequence[Run]) -> Record:
    """How often a blueprint's runs went well.

    Its reliability is Laplace's rule of succession, (successes + 1) / (runs + 2): one half for one
    that never ran, and one failure weighs less the more often it went well.
    """
    mine = [run.status for run in runs if run.plan.planner == f"{PREFIX}{name}"]
    successes = sum(status in SUCCEEDED for status in mine)
    told = successes + sum(status in FAILED for status in mine)
    reliability = round((successes + 1) / (told + 2), 4)
    return Record(runs=told, successes=successes, reliability=reliability)


def _step_record(step: Step, outcomes: Sequence[StepOutcome]) -> StepRecord:
    told = [o for o in outcomes if o.status in {"done", "failed", "unknown"}]
    done = [o for o in told if o.status == "done"]
    seconds = sorted(_seconds(o) for o in done if o.started_at and o.ended_at)
    costs = [o.cost_usd for o in told if o.cost_usd is not None]
    return StepRecord(
        step=step.id,
        agent=step.agent,
        tool=step.tool,
        runs=len(told),
        success_rate=round(len(done) / len(told), 4) if told else 0.0,
        p50_seconds=_quantile(seconds, 0.5),
        p90_seconds=_quantile(seconds, 0.9),
        mean_usd=round(sum(costs) / len(costs), 6) if costs else None,
    )


def _seconds(outcome: StepOutcome) -> float:
    began, ended = (datetime.fromisoformat(str(t)) for t in (outcome.started_at, outcome.ended_at))
    return (ended - began).total_seconds()


def _quantile(ordered: Sequence[float], share: float) -> float | None:
    """The nearest-rank quantile: the smallest value that `share` of them do not exceed."""
    return round(ordered[max(ceil(share * len(ordered)), 1) - 1], 3) if ordered else None


def as_yaml(blueprint: Blueprint) -> str:
    """A blueprint as the text that a person edits."""
    import yaml

    body = blueprint.model_dump(mode="json", exclude_defaults=True)
    return yaml.safe_dump(body, sort_keys=False, allow_unicode=True, width=100)


def from_yaml(text: str) -> Blueprint:
    """Read what a person edited. Raises PlanError that says where it is wrong."""
    import yaml

    try:
        read = Blueprint(**yaml.safe_load(text))
        unknown = shipped.placeholders(read) - {*read.parameters, "installation"}
        if unknown:
            raise PlanError(f"no parameter is called {', '.join(sorted(unknown))}")
        for step in (*read.steps, *read.previews):
            Step(**step)
        for message in read.messages:
            PlannedMessage(**message)
    except ValidationError as exc:
        first = exc.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise PlanError(f"{exc.title}: {where}: {first['msg']}") from exc
    except (yaml.YAMLError, TypeError) as exc:
        raise PlanError(f"it is not well made YAML: {exc}") from exc
    return read
