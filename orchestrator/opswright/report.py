"""What a run comes to: built, verified, cost, security, gaps, not done, and what to do next."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, Field

from opswright.plan import in_order
from opswright.projection import resolve_quietly
from opswright.runs import Run, StepOutcome


class NotDone(BaseModel):
    """A step that was not done, why, and which others that kept from being done."""

    step: str
    title: str
    status: str
    why: str
    touches: list[str] = Field(default_factory=list)


class Report(BaseModel):
    """The report of a run, for people (`render`) and for programs (`--json`)."""

    run_id: str
    goal: str
    status: str
    halted: str = Field("", description="Why it does not go on by itself")
    agents: dict[str, str]
    highlights: dict[str, Any] = Field(default_factory=dict)
    built: list[dict[str, str]] = Field(default_factory=list)
    removed: list[str] = Field(default_factory=list)
    verified: dict[str, int] = Field(default_factory=dict)
    not_passed: list[dict[str, str]] = Field(
        default_factory=list, description="Checks that FAIL or are UNKNOWN"
    )
    estimate: dict[str, Any] | None = None
    verdicts: dict[str, str] = Field(default_factory=dict)
    passed: dict[str, list[str]] = Field(
        default_factory=dict, description="What a judging step found in order"
    )
    answers: dict[str, Any] = Field(
        default_factory=dict, description="What agents reported, by step"
    )
    gaps: list[str] = Field(default_factory=list)
    not_done: list[NotDone] = Field(default_factory=list)
    changed: bool = Field(True, description="Whether anything was changed")
    unrecorded: list[str] = Field(default_factory=list)
    next: list[str] = Field(default_factory=list)


def make_report(run: Run, outcomes: Mapping[str, StepOutcome]) -> Report:
    """Sum up what the outcomes say; nothing that was not done is called done."""
    done = {o.step_id: o.value for o in outcomes.values() if o.status == "done"}
    checks = [
        (s, c)
        for s, value in done.items()
        if s not in run.plan.gates  # it judges what was there before, not what was built
        for c in value.get("checks", [])
    ]
    highlights = {label: resolve_quietly(ref, done) for label, ref in run.plan.report.items()}
    values = [o.value for o in outcomes.values() if o.value]
    return Report(
        run_id=run.run_id,
        goal=run.goal,
        status=run.status,
        halted=run.halted.why if run.halted else "",
        agents=run.plan.why,
        highlights={label: value for label, value in highlights.items() if value is not None},
        built=_built(run, outcomes),
        removed=[
            text
            for s, v in done.items()
            if run.undoes
            for text in (v.get("outputs") or {}).get("steps", [])
        ],
        verified={v: sum(c["verdict"] == v for _, c in checks) for v in ("PASS", "FAIL", "UNKNOWN")}
        if checks
        else {},
        not_passed=[
            {
                "step": s,
                "verdict": c["verdict"],
                "check": c["name"],
                "evidence": c.get("evidence", ""),
            }
            for s, c in checks
            if c["verdict"] != "PASS"
        ],
        estimate=run.previews.get("estimate"),
        verdicts={
            s: f"{v['verdict']}: {v.get('summary', '')}" for s, v in done.items() if "verdict" in v
        },
        passed={
            s: list(dict.fromkeys(c["name"] for c in v.get("checks", []) if c["verdict"] == "PASS"))
            for s, v in done.items()
            if "verdict" in v
        },
        answers={
            s: _answer(v)
            for s, v in ((o.step_id, o.value) for o in outcomes.values())
            if "task_id" in v
        },
        gaps=list(dict.fromkeys(gap for value in values for gap in value.get("gaps", []))),
        not_done=_not_done(run, outcomes),
        changed=any(o.changed or o.change_ids for o in outcomes.values()),
        unrecorded=run.unrecorded,
        next=_next(run, outcomes),
    )


def _built(run: Run, outcomes: Mapping[str, StepOutcome]) -> list[dict[str, str]]:
    built = []
    for step in in_order(run.plan):
        outcome = outcomes[step.id]
        for resource in outcome.value.get("resources", []):
            note = "existed before" if outcome.reused else resource.get("action", "created")
            built.append(
                {
                    "step": step.id,
                    "type": resource["type"],
                    "id": resource["id"],
                    "name": resource.get("name", ""),
                    "action": note,
                }
            )
    return built


def _answer(value: Mapping[str, Any]) -> dict[str, Any]:
    kept = ("status", "skill", "summary", "outputs", "needs", "next", "error")
    return {key: value[key] for key in kept if value.get(key)}


def _not_done(run: Run, outcomes: Mapping[str, StepOutcome]) -> list[NotDone]:
    missing = []
    for step in in_order(run.plan):
        outcome = outcomes[step.id]
        if outcome.status != "done":
            touched = [s.id for s in run.plan.steps if outcomes[s.id].cause == step.id]
            missing.append(
                NotDone(
                    step=step.id,
                    title=step.title or step.tool,
                    status=outcome.status,
                    why=outcome.error or outcome.status,
                    touches=touched,
                )
            )
    return missing


def _next(run: Run, outcomes: Mapping[str, StepOutcome]) -> list[str]:
    lines = [f"opswright status {run.run_id}          what each step did"]
    if run.status == "waiting":
        lines.append(f"opswright resume {run.run_id} --yes    approve what waits, and go on")
    elif run.status in {"paused", "queued"}:
        lines.append(f"opswright resume {run.run_id}          go on with it")
    elif run.status == "needs_human":
        lines.append("look at what is not known to be done, put it right, then resume or undo")
    elif needed := [n["name"] for o in outcomes.values() for n in o.value.get("needs", [])]:
        sets = " ".join(f"--set {name}=…" for name in needed)
        lines.append(f'opswright run "{run.goal}" {sets}')
    elif run.status in {"partial", "failed", "interrupted"}:
        held = [o.cause for o in outcomes.values() if o.status == "skipped" and o.cause]
        gates = [s for s in dict.fromkeys(held) if outcomes[s].status == "done"]
        again = f"once that is mended: reads {', '.join(gates)} again, and goes on" if gates else ""
        again = again or "try again what was not done"
        lines.append(f"opswright resume {run.run_id}          {again}")
    changed = any(o.change_ids for o in outcomes.values())
    deployed = any("rollback_target" in (o.value.get("outputs") or {}) for o in outcomes.values())
    if deployed and not run.undoes:
        where = " --sandbox" if run.sandbox else ""
        application = run.plan.parameters.get("application", "application")
        lines.append(f'opswright run "Deploy version <tag> of the {application}"{where}')
        lines.append(f'opswright run "Roll back the last deployment"{where}')
    if changed and not run.undoes and not run.undone_by:
        lines.append(f"opswright undo {run.run_id}            remove all that this run made")
    return lines
