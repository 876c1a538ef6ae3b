"""Judges whether the next smaller instance of the same family would do. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from opswright_cost.series import percentile

SIZES = (
    "nano",
    "micro",
    "small",
    "medium",
    "large",
    "xlarge",
    "2xlarge",
    "4xlarge",
    "8xlarge",
    "12xlarge",
    "16xlarge",
    "24xlarge",
    "32xlarge",
    "48xlarge",
)
HEADROOM_PERCENT = 80.0
"""Use on the smaller type stays under it: Compute Optimizer's default headroom of 20 %."""
BUSY_PERCENT = 90.0
BASELINE_PERCENT = {
    "nano": 5,
    "micro": 10,
    "small": 20,
    "medium": 20,
    "large": 30,
    "xlarge": 40,
    "2xlarge": 40,
}
"""CPU baseline per vCPU of t3, t3a and t4g (EC2 user guide); above it credits are used up."""
BURSTABLE = frozenset({"t3", "t3a", "t4g"})

Verdict = Literal["downsize", "fits", "busy", "unknown"]


@dataclass(frozen=True)
class Spec:
    """What an instance type has."""

    vcpus: int
    memory_mib: int


@dataclass(frozen=True)
class Usage:
    """Hourly maxima of CPU and memory use in percent; empty where nothing was reported."""

    cpu: Sequence[float]
    memory: Sequence[float]


def next_smaller(instance_type: str, specs: Mapping[str, Spec]) -> str | None:
    """The next smaller type of the same family that exists; None when it is the smallest."""
    family, _, size = instance_type.partition(".")
    if size not in SIZES:
        return None
    smaller = [f"{family}.{s}" for s in SIZES[: SIZES.index(size)]]
    return next((t for t in reversed(smaller) if t in specs), None)


def judge(
    instance_type: str, usage: Usage, specs: Mapping[str, Spec], least_points: int
) -> tuple[Verdict, str | None, str]:
    """Say whether an instance could be smaller: (verdict, suggested type, why).

    CPU is judged by the 95th percentile of hourly maxima; memory, where the CloudWatch agent
    reports it, by its highest value. Fewer than `least_points` hours of CPU give `unknown`.
    """
    if len(usage.cpu) < least_points:
        return "unknown", None, f"CPU data of {len(usage.cpu)} hours, {least_points} are needed"
    p95 = percentile(usage.cpu, 95)
    if p95 > BUSY_PERCENT or max(usage.memory, default=0) > BUSY_PERCENT:
        return "busy", None, f"CPU p95 {p95:.0f} %: look at a larger type"
    smaller = next_smaller(instance_type, specs)
    if smaller is None or instance_type not in specs:
        return "fits", None, "no smaller type in this family"
    own, less = specs[instance_type], specs[smaller]
    cpu = p95 * own.vcpus / less.vcpus
    family, _, size = smaller.partition(".")
    limit = (
        BASELINE_PERCENT.get(size, HEADROOM_PERCENT) if family in BURSTABLE else HEADROOM_PERCENT
    )
    if cpu > limit:
        return "fits", None, f"CPU p95 would be {cpu:.0f} % on {smaller} (limit {limit:.0f} %)"
    if usage.memory:
        memory = max(usage.memory) * own.memory_mib / less.memory_mib
        if memory > HEADROOM_PERCENT:
            return "fits", None, f"memory would be {memory:.0f} % on {smaller}"
        return "downsize", smaller, f"on {smaller}: CPU p95 {cpu:.0f} %, memory {memory:.0f} %"
    if own.vcpus == less.vcpus:
        return (
            "unknown",
            None,
            f"{smaller} differs only in memory, which nobody reports (CloudWatch agent)",
        )
    return (
        "downsize",
        smaller,
        f"CPU p95 {cpu:.0f} % on {smaller}; memory is not reported, check it",
    )
