"""What a step waits to be told before it begins: why a condition keeps it from that, in words."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from opswright.plan import Condition, Plan, Step
from opswright.runs import StepOutcome
from opswright_core.text import clean

MOST_REASONS = 5
REASON_CHARACTERS = 400


@dataclass(frozen=True)
class Unmet:
    """A condition that does not hold: the step whose answer decided, and why in words."""

    gate: str
    why: str


def unmet(step: Step, answers: Mapping[str, Any]) -> Unmet | None:
    """The first condition that keeps a step from beginning; None when it may.

    It looks at what was answered and at nothing else, so it is the same whenever it is asked.
    """
    for condition in step.when:
        if not condition.holds(answers):
            return Unmet(condition.gate, _why(condition, answers))
    return None


def read_again(step: Step, outcomes: Mapping[str, StepOutcome]) -> bool:
    """Whether a step that is done has to be done again, since others were skipped for its answer.

    What it found may have been mended since. A change is never made again.
    """
    held_back = any(o.status == "skipped" and o.cause == step.id for o in outcomes.values())
    return held_back and not step.changes_things


def held_back_by(gate: Step, answer: Mapping[str, Any] | None, plan: Plan) -> list[str]:
    """The steps that would not begin, were this the gate's answer; None is that it failed."""
    if answer is None and gate.on_error != "continue":
        return [step.id for step in plan.steps if gate.id in step.producers]
    known = {} if answer is None else {gate.id: answer}
    told = {step.id: [c for c in step.when if c.gate == gate.id] for step in plan.steps}
    return [step_id for step_id, those in told.items() if not all(c.holds(known) for c in those)]


def _why(condition: Condition, answers: Mapping[str, Any]) -> str:
    found = condition.found(answers)
    told = "not known" if found is None else clean(str(found), 100)
    why = f"it {condition.in_words}, and that is {told}"
    answer = answers.get(condition.gate)
    reasons = _reasons(answer, found) if isinstance(answer, Mapping) else []
    return "; ".join([why, *reasons])


def _reasons(answer: Mapping[str, Any], verdict: Any) -> list[str]:
    """What a judging answer says of its verdict: the checks that came to it, else its summary."""
    checks = [c for c in answer.get("checks") or [] if isinstance(c, Mapping)]
    deciding = [c for c in checks if c.get("verdict") == verdict]
    said = [f"{c.get('name', '')}: {c.get('evidence', '')}" for c in deciding[:MOST_REASONS]]
    if len(deciding) > MOST_REASONS:
        said.append(f"and {len(deciding) - MOST_REASONS} more")
    said = said or [str(answer.get("summary") or "")]
    return [clean(text, REASON_CHARACTERS) for text in said if text]
