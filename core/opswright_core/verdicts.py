"""Three answers, never two: what could not be read is UNKNOWN, never a pass."""

from collections.abc import Callable, Iterable
from typing import Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from opswright_core.errors import CloudError

Verdict = Literal["PASS", "FAIL", "UNKNOWN"]
T = TypeVar("T")


class Unread(BaseModel):
    """Something that could not be read, and why."""

    model_config = ConfigDict(frozen=True)
    operation: str = Field(description="The call that was refused or failed, service:Operation")
    reason: str = Field(description="What the provider said")
    permission: str | None = Field(
        None, description="The permission to grant, where one was missing"
    )

    @classmethod
    def of(cls, error: CloudError) -> "Unread":
        """What a refused or failed cloud call leaves unread."""
        return cls(operation=error.operation, reason=str(error), permission=error.permission)


class Check(BaseModel):
    """One thing that was checked by reading it."""

    model_config = ConfigDict(frozen=True)
    name: str = Field(description="What was checked")
    verdict: Verdict
    evidence: str = Field("", description="What was read, or why it could not be read")
    resource: str = Field("", description="Id of the resource it is about")


def attempt(read: Callable[[], T]) -> T | Unread:
    """Run a read; a refused or failed cloud call becomes `Unread` instead of an exception."""
    from opswright_core.aws import translate

    try:
        return read()
    except Exception as exc:
        error = translate(exc)
        if not isinstance(error, CloudError):
            raise
        return Unread.of(error)


def check(name: str, condition: bool | Unread, evidence: str = "", resource: str = "") -> Check:
    """Judge a condition that was read; an `Unread` gives UNKNOWN with its reason."""
    if isinstance(condition, Unread):
        return Check(name=name, verdict="UNKNOWN", evidence=condition.reason, resource=resource)
    return Check(
        name=name, verdict="PASS" if condition else "FAIL", evidence=evidence, resource=resource
    )


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """FAIL if any failed, else UNKNOWN if any is unknown (or there are none), else PASS."""
    seen = set(verdicts)
    if "FAIL" in seen:
        return "FAIL"
    return "UNKNOWN" if "UNKNOWN" in seen or not seen else "PASS"
