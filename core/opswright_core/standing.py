"""Changes that stand, in the order they were made: what came after one and builds on it.

Undoing goes backwards. A change that another one uses is undone after that other one, which would
lose its ground else. Where another one has set the same again, undoing takes that back with it, and
the undo of that other one would bring back what this one set: both are said before.
"""

import itertools
import re
from collections.abc import Collection, Iterable, Iterator
from typing import Any, NamedTuple

from opswright_core.aws import AwsTarget
from opswright_core.canonical import canonical_json
from opswright_core.changes import Record, Scope, load
from opswright_core.errors import ConflictError
from opswright_core.runtime import Runtime
from opswright_core.undo import UndoStep

LOOKED_BACK = 500
"""How many changes are looked through for those that came later."""

_GENERATED = re.compile(r"^[a-z]+(?:-[a-z]+)*-[0-9a-f]{8,}$|^arn:")
"""Ids that the cloud gave: who names one means it. A name may stand for several things."""

_SETS = frozenset({"IpPermissions", "SecurityGroupRuleIds", "TagKeys", "Tags", "Targets"})
"""Parameters of inverse calls that name some of many, so that two calls may keep apart."""


class InTheWay(NamedTuple):
    """What later changes mean for undoing one: why it may not be, and what to know before."""

    refusals: list[str]
    warnings: list[str]


def standing_changes(rt: Runtime) -> Iterator[Record]:
    """The changes of this server that could be undone, newest first, read as they are asked for."""
    for change_id in rt.journal.recent(LOOKED_BACK):
        record = load(rt, change_id)
        if record.status != "undone" and record.undo_steps:
            yield record


def later_than(record: Record, standing: Iterable[Record]) -> Iterator[Record]:
    """Those of the standing changes, newest first, that were asked for after one."""
    return itertools.takewhile(lambda one: one.change_id != record.change_id, standing)


def in_the_way(
    record: Record, standing: Iterable[Record], together: Collection[str] = ()
) -> InTheWay:
    """What later changes mean for undoing one; those of `together` are undone with it.

    `standing` is newest first.
    """
    ids = [resource.id for resource in record.resources if resource.action == "created"]
    generated = [one for one in ids if _GENERATED.search(one)]
    found = InTheWay([], [])
    for later in later_than(record, standing):
        if later.change_id in together:
            continue
        which = f"{later.change_id} ({later.summary})"
        if uses(later, generated):
            found.refusals.append(f"{which} uses what it made; undo that first.")
        elif again := set_again(record, later):
            said = (
                f"{which} has set {again} again since: undo that first, or lose it with this one."
            )
            found.warnings.append(said)
        elif uses(later, ids):
            found.warnings.append(f"{which} names what this one made.")
    return found


def uses(user: Record, ids: list[str]) -> bool:
    """Whether a change was given one of those ids, as a whole word, other than as its own name."""
    given = canonical_json({key: value for key, value in user.arguments.items() if key != "name"})
    return any(re.search(rf"(?<![\w/-]){re.escape(one)}(?![\w-])", given) for one in ids)


def set_again(record: Record, later: Record) -> str:
    """The first thing of which a later change has set the same as this one, else ''."""
    again: dict[tuple[str, str], list[UndoStep]] = {}
    for thing, step in _settings(later):
        again.setdefault(thing, []).append(step)
    return next(
        (
            thing[1]
            for thing, step in _settings(record)
            if any(_restores_the_same(step, other) for other in again.get(thing, []))
        ),
        "",
    )


def changed_since(record: Record, standing: Iterable[Record]) -> dict[str, list[str]]:
    """Ids of what a change touched that later ones modified: which those were, newest first."""
    touched = {(resource.type, resource.id) for resource in record.resources}
    since: dict[str, list[str]] = {}
    for later in later_than(record, standing):
        for thing in {thing for thing, _ in _settings(later)} & touched:
            since.setdefault(thing[1], []).append(f"{later.change_id} ({later.summary})")
    return since


def _settings(record: Record) -> Iterator[tuple[tuple[str, str], UndoStep]]:
    """What a change set of things that were there, by type and id, with the inverse of each."""
    for step in record.steps.values():
        resource = step.get("resource")
        if resource and resource["action"] == "modified":
            for inverse in step.get("undo", []):
                yield (resource["type"], resource["id"]), UndoStep(**inverse)


def _restores_the_same(one: UndoStep, other: UndoStep) -> bool:
    """Whether two inverses, both of the same thing, give back the same setting of it."""
    if one.kind != other.kind:
        return False
    mine, theirs = one.args, other.args
    if one.kind == "aws":
        (service, verb, noun), other_subject = _subject(mine), _subject(theirs)
        if (service, noun) != other_subject[::2]:
            return False
        same_verb = verb == other_subject[1]
        mine, theirs = mine["params"], theirs["params"]
        if some := _SETS & mine.keys() & theirs.keys():
            return any(_members(mine[key]) & _members(theirs[key]) for key in some)
        if not same_verb:
            return True  # one of them puts a value back, the other takes it away
    return bool(mine == theirs) or _clash(mine, theirs)


def _subject(args: dict[str, Any]) -> tuple[str, str, str]:
    """`put_bucket_logging` of s3 → (`s3`, `put`, `bucket_logging`)."""
    verb, _, noun = args["operation"].partition("_")
    return args["service"], verb, noun


def _members(many: list[Any]) -> set[str]:
    return {canonical_json(one.get("Key", one) if isinstance(one, dict) else one) for one in many}


def _clash(mine: Any, theirs: Any) -> bool:
    """Whether two values give different things back; parts of one name are compared by name."""
    if isinstance(mine, dict) and isinstance(theirs, dict) and mine and theirs:
        return any(_clash(mine[part], theirs[part]) for part in mine.keys() & theirs.keys())
    return bool(mine != theirs)


def undo_change_scope(rt: Runtime, record: Record) -> Scope:
    """The scope of the change being undone: a sandbox only if all it would touch is one now.

    Raises ConflictError when the credentials here are not those of the account it was made in.
    """
    partition, _, rest = record.scope.partition(":")
    on_aws = partition in {"aws", "aws-cn", "aws-us-gov"}
    steps = [step for step in record.undo_steps if step.kind == "aws"]
    targets = {AwsTarget(**step.args["target"]) for step in steps}
    if on_aws:
        targets.add(AwsTarget(**(record.arguments.get("target") or {})))
    sessions = [rt.aws_sessions.open(target) for target in targets]
    account = rest.partition(":")[0]
    for session in sessions:
        if on_aws and (session.partition, session.account_id) != (partition, account):
            raise ConflictError(
                f"{record.change_id} was made in {partition} account {account}, and the "
                f"credentials here are for {session.account_id}. Undo it with the former."
            )
    emulated = all(session.is_emulator for session in sessions)
    sandbox = emulated and (on_aws or partition == "sandbox")
    return Scope(id=record.scope, sandbox=sandbox)
