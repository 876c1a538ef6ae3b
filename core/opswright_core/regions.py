"""One read in several regions: side by side, a few at a time, and none left out in silence."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Generic, TypeVar

from pydantic import Field

from opswright_core.aws import ALL_REGIONS, Aws, AwsTarget, note_region, translate
from opswright_core.errors import BadInputError, CloudError, CredentialsError
from opswright_core.parallel import each, time_limit
from opswright_core.runtime import aws, runtime
from opswright_core.verdicts import Unread

T = TypeVar("T")

_NAMED = 3

WideTarget = Annotated[
    AwsTarget,
    Field(description="Profile, region (also `all` or `a,b`), role; else environment"),
]
"""The `target` of a tool that reads several regions at once."""


@dataclass(frozen=True)
class Regional(Generic[T]):
    """What one read gave in each region that was asked for, in that order."""

    home: Aws
    """For what the whole account has once (IAM, the list of buckets): read it here, not in each."""
    answers: Mapping[str, T | Unread]
    disabled: tuple[str, ...] = ()
    """Regions that the account has not enabled, so that `all` left them out."""

    @property
    def read(self) -> dict[str, T]:
        """What was read, by region."""
        return {r: a for r, a in self.answers.items() if not isinstance(a, Unread)}

    @property
    def is_wide(self) -> bool:
        """Whether several regions were asked for."""
        return len(self.answers) > 1

    @property
    def region(self) -> str:
        """The regions asked for, as answers name them: `eu-west-1, us-east-1`."""
        return ", ".join(self.answers)

    @property
    def where(self) -> str:
        """The same in few words, for a summary."""
        if len(self.answers) <= _NAMED:
            return self.region
        off = f" ({len(self.disabled)} more are not enabled)" if self.disabled else ""
        return f"{len(self.answers)} regions{off}"

    def unread(self, within: Callable[[T], Iterable[str]] = lambda _: ()) -> list[str]:
        """A line for all that could not be read: whole regions, and what `within` names in others.

        Each says its regions, unless there is one only.
        """
        alike: dict[str, tuple[str, list[str]]] = {}
        for region, answer in self.answers.items():
            lines = [answer.reason] if isinstance(answer, Unread) else within(answer)
            for line in dict.fromkeys(lines):
                # The same refusal names another region's ARN in each.
                alike.setdefault(line.replace(region, ""), (line, []))[1].append(region)
        if not self.is_wide:
            return [line for line, _ in alike.values()]
        return [f"{_some(regions)}: {line}" for line, regions in alike.values()]


def is_wide(target: AwsTarget) -> bool:
    """Whether `target.region` names several regions."""
    return target.region == ALL_REGIONS or "," in (target.region or "")


def home_of(target: AwsTarget) -> Aws:
    """Where to read what the account has once: the first region named, or that of the environment.

    Raises BadInputError for what is no region's name.
    """
    region = target.region
    if is_wide(target):
        region = None if region == ALL_REGIONS else _listed(target)[0]
    return aws(target.model_copy(update={"region": region}))


def over_regions(target: AwsTarget, read: Callable[[Aws], T | Unread]) -> Regional[T]:
    """Read in every region that `target.region` names: what came of it, or why nothing did.

    It may be one region (an error is then the call's own), several with commas between them, or
    `all` for those that are enabled in the account, which needs ec2:DescribeRegions. Calls that
    could not begin within the server's wait (25 s) stay unread. Raises BadInputError for what is
    no region's name, and CredentialsError, since no region can be read without.
    """
    home = home_of(target)
    if not is_wide(target):
        with time_limit(runtime().settings.wait_seconds):
            return Regional(home, {home.region: read(home)})
    regions, disabled = _regions_of(home) if target.region == ALL_REGIONS else (_listed(target), [])
    places = [home.at(region) for region in regions]
    for place in places:
        note_region(place.region)
    with time_limit(runtime().settings.wait_seconds):
        answers = each(places, lambda place: _attempt(lambda: read(place)))
    return Regional(home, dict(zip(regions, answers, strict=True)), tuple(disabled))


def _listed(target: AwsTarget) -> list[str]:
    parts = (part.strip() for part in (target.region or "").split(","))
    regions = list(dict.fromkeys(part for part in parts if part))
    if not regions:
        raise BadInputError(f"target.region {target.region!r} names no region; write eu-west-1.")
    return regions


def _attempt(read: Callable[[], T | Unread]) -> T | Unread:
    try:
        return read()
    except Exception as exc:
        error = translate(exc)
        if isinstance(error, CredentialsError) or not isinstance(error, CloudError):
            raise error from exc
        return Unread.of(error)


def _regions_of(home: Aws) -> tuple[list[str], list[str]]:
    """The partition's regions that the account has enabled, and those that it has not."""
    session = home.session
    partition = session.get_partition_for_region(home.region)
    on: list[str] = []
    off: list[str] = []
    for region in home.client("ec2").describe_regions(AllRegions=True)["Regions"]:
        name = region["RegionName"]
        if session.get_partition_for_region(name) == partition:  # an emulator lists them all
            (off if region.get("OptInStatus") == "not-opted-in" else on).append(name)
    return sorted(on), sorted(off)


def _some(regions: list[str]) -> str:
    more = len(regions) - _NAMED
    return ", ".join(regions[:_NAMED]) + (f" and {more} more" if more > 0 else "")
