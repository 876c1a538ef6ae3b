"""One finding of waste, and the sweep that collects them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from opswright_core.aws import Aws
from opswright_core.verdicts import Unread, attempt
from opswright_cost.prices import PriceBook

T = TypeVar("T")

WINDOW_DAYS = 14
"""AWS Compute Optimizer and Trusted Advisor judge idleness over 14 days."""
LEAST_DAYS = 7
"""With data of fewer days nothing is called idle."""

WasteKind = Literal[
    "unattached_volume",
    "gp2_volume",
    "orphan_snapshot",
    "unassociated_address",
    "idle_load_balancer",
    "idle_nat_gateway",
    "stopped_instance",
    "idle_instance",
    "previous_generation",
    "idle_database",
    "log_group_without_retention",
    "bucket_without_lifecycle",
]


class Finding(BaseModel):
    """Something that is paid for and seems not to be needed, or not in this form."""

    model_config = ConfigDict(frozen=True)
    kind: WasteKind
    resource: str
    region: str = ""
    name: str = ""
    why: str
    monthly_usd: float | None = Field(
        description="What it would save; None when not known, never 0"
    )
    risk: Literal["low", "medium", "high"] = Field(description="Of acting on it")
    next: str


@dataclass
class Sweep:
    """One search for waste: where, with which prices, and what came of it."""

    aws: Aws
    book: PriceBook
    now: datetime
    findings: list[Finding] = field(default_factory=list)
    looked_at: dict[str, int] = field(default_factory=dict)
    unread: list[str] = field(default_factory=list)
    covered: set[tuple[WasteKind, str]] = field(default_factory=set)
    """(kind, resource) of findings whose saving is within another's, so that none counts twice."""

    def read(self, what: str, gather: Callable[[], list[T]]) -> list[T] | None:
        """Run one read and count what it gave; None (and a note) when it was refused."""
        found = attempt(gather)
        if isinstance(found, Unread):
            self.unread.append(f"{what}: {found.reason}")
            return None
        self.looked_at[what] = len(found)
        return found

    def kept(self) -> list[Finding]:
        """The findings that are in no other one, each with its region."""
        return [
            f.model_copy(update={"region": self.aws.region})
            for f in self.findings
            if (f.kind, f.resource) not in self.covered
        ]

    def undetermined(self, what: str, ids: list[str]) -> None:
        """Say which resources could not be judged, with the first few by name."""
        if ids:
            more = f" and {len(ids) - 5} more" if len(ids) > 5 else ""
            self.unread.append(f"{what}: {len(ids)} ({', '.join(ids[:5])}{more})")


def saved(before: float | None, after: float | None) -> float | None:
    """The difference of two monthly prices; None when either is not known."""
    return None if before is None or after is None else round(before - after, 2)
