"""Reads parts of a description, each of which may be refused, and judges what was read."""

from collections.abc import Callable
from typing import Any

from opswright_aws_devops.access.resource_access import Exposure, callers, judge
from opswright_aws_devops.lookup import if_exists
from opswright_core.aws import Aws
from opswright_core.errors import BadInputError
from opswright_core.verdicts import Unread, attempt

Parts = dict[str, Any]
NOT_READ = "NotRead"
"""Where a reader says what was refused to it."""


def by_policy(a: Aws, read: Any, policy: Any) -> Parts:
    """Who may use a resource by its policy, and for whom; `read` is the answer that told it."""
    return {
        "Access": judged(lambda: judge(policy, a.account_id), read),
        "Callers": callers_of(policy),
    }


def judged(judge_it: Callable[[], tuple[Exposure, str]], *reads: Any) -> tuple[Exposure, str]:
    """What was judged of what was read; unknown where a part was refused."""
    if refused := reasons(*reads):
        return "unknown", "not read: " + "; ".join(refused)
    try:
        return judge_it()
    except BadInputError as exc:
        return "unknown", f"its policy cannot be judged: {exc}"


def callers_of(policy: Any) -> list[str]:
    """ARNs on whose behalf a service may come in; none where the policy was not read."""
    try:
        return callers(policy) if isinstance(policy, str) else []
    except BadInputError:  # which `Access` tells
        return []


def look(call: Callable[[], Any]) -> Any:
    """What a call tells: None where there is no such thing, `Unread` where it was refused."""
    return attempt(lambda: if_exists(call))


def known(read: Any) -> dict[str, Any]:
    """What was read, {} where nothing was."""
    return read if isinstance(read, dict) else {}


def reasons(*reads: Any) -> list[str]:
    """Why parts were refused, of those that were."""
    return [read.reason for read in reads if isinstance(read, Unread)]
