"""Runs checks over one region, several or all: each region's own there, the account's once."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from opswright_core.aws import Aws, AwsTarget
from opswright_core.parallel import each, time_limit
from opswright_core.regions import home_of, is_wide, over_regions
from opswright_core.runtime import runtime
from opswright_core.verdicts import Unread
from opswright_security.reading import Reader
from opswright_security.rules import NOTHING, Outcome, Rule, most, run, unread_lines

AT_ONCE_IN_EACH = 3
"""Of checks, and of calls within a check, in each of several regions that are read at once."""


@dataclass(frozen=True)
class Survey:
    """What checks found, over all regions asked for."""

    account_id: str
    region: str
    where: str
    outcomes: Sequence[Outcome]
    """One per check, with the findings of every region."""
    unread: Sequence[str]
    dark: Sequence[str] = ()
    """Regions in which no check could read anything; they have no finding."""


def survey(target: AwsTarget, rules: Sequence[Rule]) -> Survey:
    """Run the checks in every region that `target.region` names (one, `a,b` or `all`)."""
    home = home_of(target)
    account_id = home.account_id
    if not is_wide(target):
        found = over_regions(target, lambda a: run(Reader(a), rules))
        (outcomes,) = found.read.values()
        return Survey(account_id, found.region, found.where, outcomes, unread_lines(outcomes))
    regional = [rule for rule in rules if not rule.account_wide]
    once = [rule for rule in rules if rule.account_wide]
    parts: list[Callable[[], Any]] = [
        lambda: over_regions(target, lambda a: _in_region(a, regional)),
        lambda: run(Reader(home), once),
    ]
    with time_limit(runtime().settings.wait_seconds):
        found, of_account = each(parts, lambda part: part(), len(parts))
    lines = [*found.unread(unread_lines), *unread_lines(of_account)]
    return Survey(
        account_id,
        found.region,
        found.where,
        merged(rules, [*found.read.values(), of_account]),
        most(lines),
        tuple(region for region, answer in found.answers.items() if isinstance(answer, Unread)),
    )


def merged(rules: Sequence[Rule], parts: Sequence[Sequence[Outcome]]) -> list[Outcome]:
    """One outcome per check: the findings of all regions, each once, in the order of the checks.

    A trail of all regions is seen from each of them. That nothing of a kind exists is said once,
    and only where it holds everywhere.
    """
    by_rule: dict[str, list[Outcome]] = {rule.id: [] for rule in rules}
    for part in parts:
        for outcome in part:
            by_rule[outcome.rule.id].append(outcome)
    outcomes = []
    for rule in rules:
        findings = list(dict.fromkeys(f for o in by_rule[rule.id] for f in o.findings))
        some = [f for f in findings if f.resource != NOTHING] or findings[:1]
        unread = dict.fromkeys(line for o in by_rule[rule.id] for line in o.unread)
        outcomes.append(Outcome(rule, tuple(some), tuple(unread)))
    return outcomes


def _in_region(a: Aws, rules: Sequence[Rule]) -> list[Outcome] | Unread:
    """The outcomes of one of several regions; Unread as a whole where nothing could be read."""
    outcomes = run(Reader(a, AT_ONCE_IN_EACH), rules)
    findings = [f for o in outcomes for f in o.findings]
    if not findings or any(f.verdict != "UNKNOWN" for f in findings):
        return outcomes
    reason = f"none of {len(outcomes)} checks could be judged, first: {findings[0].evidence}"
    return Unread(operation=findings[0].resource, reason=reason)
