"""Skills: deterministic know-how that needs no model, chosen by the words of the task.

A skill is a typed async function. Its inputs come from the caller's context by name, then from the
task's text; one that is missing is asked for by name, never guessed.
"""

import inspect
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin, get_type_hints

from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticUndefined

from opswright_core.agent.report import NeededInput, Outcome
from opswright_core.search import Hit, Ranker, tokens

if TYPE_CHECKING:
    from opswright_core.agent.worker import Worker

LEAST_COVERAGE = 0.52
"""Share of a task's weight that a skill's words must cover; below it no skill is for the task.

Chosen on the table in tests/core/test_skills.py: all 22 true matches there have 0.66 and more; of
25 tasks for no skill 24 have 0.50 and less, and one is above it but asks, where the skill would
change («who approved the last release» is not one to roll back). A bag of words cannot tell more
than that, which is one reason why a change is approved by its plan, not by its task. A word that
no skill uses, like a name, weighs as the others do on the mean (`search.Ranker`), so that one name
does not outweigh a short task.
"""

_REMOVALS = frozenset(tokens("delete remove destroy terminate drop purge wipe"))
_ORDERS = frozenset(("deploy", "ship", "provision", "launch", "remember"))
_QUESTIONS = frozenset(
    ("what", "which", "who", "whose", "where", "when", "why", "how", "is", "are", "does", "did",
     "list", "show", "draw", "explain")
)  # fmt: skip
_LITERALS = re.compile(
    r"(?<!\S)(?:[a-z0-9]+:/|~|\.{1,2})?/\S+"  # a path or an address
    r"|\b(?:named|called)\s+\S+|\b[\w-]+[=:]\S+"
    r"|\b[a-z]{1,10}-(?=[0-9a-f]*\d)[0-9a-f]{3,17}\b"  # an id, as in sg-0abc
    r"|\b[a-z]{2}(?:-[a-z]+)+-\d\b|\bv?\d[\d./:-]*",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class FromText:
    """Annotation of an input: a regular expression whose first group finds it in the task."""

    pattern: str


class NoInputs(BaseModel):
    """For a skill that needs none."""


@dataclass(frozen=True)
class Skill:
    """One piece of know-how."""

    name: str
    description: str
    examples: tuple[str, ...]
    risk: Literal["read", "write", "destructive"]
    inputs: type[BaseModel]
    run: Callable[["Worker", Any], Awaitable[Outcome]]


def skill(
    *examples: str, risk: Literal["read", "write", "destructive"] = "read"
) -> Callable[[Callable[["Worker", Any], Awaitable[Outcome]]], Skill]:
    """Make `async def name(worker: Worker, inputs: Inputs) -> Outcome` a skill.

    `examples` are phrasings of its tasks; with the docstring they are what it is chosen by.
    """

    def declare(fn: Callable[["Worker", Any], Awaitable[Outcome]]) -> Skill:
        name = fn.__name__
        hints = get_type_hints(fn, localns={"Worker": Any})
        inputs = next((hint for key, hint in hints.items() if key == "inputs"), NoInputs)
        return Skill(name, inspect.cleandoc(fn.__doc__ or ""), examples, risk, inputs, fn)

    return declare


class SkillBook:
    """The skills of one server."""

    def __init__(self, skills: Sequence[Skill]) -> None:
        self.skills: Mapping[str, Skill] = {s.name: s for s in skills}
        self._ranker = Ranker(
            {
                s.name: (
                    s.name.replace("_", " "),
                    s.description,
                    *(_LITERALS.sub(" ", example) for example in s.examples),
                )
                for s in skills
            }
        )

    def rank(self, task: str) -> list[Hit]:
        """Skills that share words with the task, best first."""
        return self._ranker.rank(task)

    def fitting(self, task: str) -> list[Hit]:
        """The skills that cover enough of a task's words, best first.

        Names, paths and numbers in the task say nothing about which skill it wants. A task that
        removes is never given to a changing skill that does not speak of removing, nor one that
        begins with an order to a skill that only looks and has no such example, nor one that begins
        as a question to a changing skill that has no such example. Where none fits
        so, what a skill that only looks takes from the task («who owns front?») is a name too.
        """
        plain = self._ranker.rank(_LITERALS.sub(" ", task))
        return self._covering(plain, task) or self._covering(self._beside_inputs(task), task)

    def _covering(self, hits: Sequence[Hit], task: str) -> list[Hit]:
        return [
            hit
            for hit in hits
            if hit.coverage >= LEAST_COVERAGE and not _is_opposite(task, self.skills[hit.key])
        ]

    def _beside_inputs(self, task: str) -> list[Hit]:
        """How well each skill that only looks covers a task, but for the names it takes from it.

        One that alone takes something of a task without any other word («what is in eu-west-1?»),
        and needs nothing more, covers it.
        """
        found: list[Hit] = []
        wordless: list[str] = []
        for one in self.skills.values():
            rest = self._without_names(one.inputs, task)
            if one.risk != "read" or rest == task:
                continue
            words = _LITERALS.sub(" ", rest)
            found += [hit for hit in self._ranker.rank(words) if hit.key == one.name]
            if not tokens(words) and isinstance(fill(one.inputs, task, {}), BaseModel):
                wordless.append(one.name)
        if not found and len(wordless) == 1:
            return [Hit(wordless[0], 0.0, 1.0)]
        return sorted(found, key=lambda hit: hit.score, reverse=True)

    def _without_names(self, model: type[BaseModel], task: str) -> str:
        """A task without what a skill's inputs take from it, where that is no word of any skill."""
        rest = task
        for info in model.model_fields.values():
            match = _match(info, task)
            if match and not re.search(r"\s", match[1]) and not self._ranker.knows(match[1]):
                rest = rest[: match.start(1)] + " " * len(match[1]) + rest[match.end(1) :]
        return rest

    def choose(self, task: str) -> Skill | None:
        """The skill for a task, or None when none fits."""
        fitting = self.fitting(task)
        return self.skills[fitting[0].key] if fitting else None


def _is_opposite(task: str, skill: Skill) -> bool:
    first = _first_word(task)
    if first in (_ORDERS if skill.risk == "read" else _QUESTIONS):
        return first not in map(_first_word, skill.examples)
    if skill.risk == "read":
        return False
    if not _REMOVALS & set(tokens(task)):
        return False
    words = " ".join((skill.name, skill.description, *skill.examples))
    return not _REMOVALS & set(tokens(words.replace("_", " ")))


def _first_word(text: str) -> str:
    return text.split(maxsplit=1)[0].lower() if text.strip() else ""


def fill(
    model: type[BaseModel], task: str, facts: Mapping[str, Any]
) -> BaseModel | list[NeededInput]:
    """Build a skill's inputs from facts and text, or say which are missing or do not fit."""
    values: dict[str, Any] = {}
    for name, info in model.model_fields.items():
        if name in facts:
            values[name] = facts[name]
            continue
        found = _from_text(name, info, task)
        if found is not None:
            values[name] = found
    try:
        return model.model_validate(values)
    except ValidationError as exc:
        wrong = {str(e["loc"][0]): e for e in exc.errors() if e["loc"]}
        return [
            NeededInput(name=name, description=_need(model, name, error))
            for name, error in wrong.items()
        ]


def _need(model: type[BaseModel], name: str, error: Any) -> str:
    info = model.model_fields.get(name)
    described = (info.description if info else None) or name.replace("_", " ")
    return (
        described
        if error["type"] == "missing"
        else f"{described} ({error['msg']}, got {error['input']!r})"
    )


def _match(info: Any, task: str) -> re.Match[str] | None:
    """Where the first of an input's patterns that fits finds it in a task."""
    for mark in info.metadata:
        if isinstance(mark, FromText) and (match := re.search(mark.pattern, task, re.IGNORECASE)):
            return match
    return None


def _from_text(name: str, info: Any, task: str) -> Any:
    if match := _match(info, task):
        return match.group(1)
    if match := re.search(rf"\b{re.escape(name)}\s*[=:]\s*\"?([^\s,;\"]+)", task):
        return match.group(1)
    if get_origin(info.annotation) is Literal and info.default is not PydanticUndefined:
        said = [
            c
            for c in get_args(info.annotation)
            if re.search(rf"\b{re.escape(str(c))}\b", task, re.IGNORECASE)
        ]
        return said[0] if len(said) == 1 else None
    return None
