"""One read in several regions: side by side, a few at a time, and none left out in silence."""

import contextvars
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from opswright_core.aws import ALL_REGIONS, Aws, AwsTarget, note_region
from opswright_core.errors import BadInputError
from opswright_core.runtime import aws
from opswright_core.verdicts import Unread, attempt

T = TypeVar("T")

MOST_AT_ONCE = 8


def over_regions(target: AwsTarget, read: Callable[[Aws], T]) -> dict[str, T | Unread]:
    """Read in every region that `target.region` names: what came of it, or why nothing did.

    It may be one region (an error is then the call's own), several with commas between them, or
    `all` for those that are enabled in the account, which needs ec2:DescribeRegions. The answer is
    in the order asked for. Raises BadInputError for what is no region's name.
    """
    named = target.region or ""
    if named != ALL_REGIONS and "," not in named:
        here = aws(target)
        return {here.region: read(here)}
    if named == ALL_REGIONS:
        home = aws(target.model_copy(update={"region": None}))
        regions = _enabled(home)
    else:
        regions = list(dict.fromkeys(part.strip() for part in named.split(",") if part.strip()))
        if not regions:
            raise BadInputError(f"target.region {named!r} names no region; write eu-west-1.")
        home = aws(target.model_copy(update={"region": regions[0]}))
    places = [home.at(region) for region in regions]
    for place in places:
        note_region(place.region)
    with ThreadPoolExecutor(MOST_AT_ONCE, thread_name_prefix="region") as pool:
        futures = [
            # A context can be entered by one thread at a time: each gets its own copy.
            pool.submit(contextvars.copy_context().run, attempt, lambda p=place: read(p))
            for place in places
        ]
        return {
            place.region: future.result() for place, future in zip(places, futures, strict=True)
        }


def unread_regions(answers: dict[str, T | Unread]) -> list[str]:
    """One line for each region that could not be read."""
    return [f"{region}: {a.reason}" for region, a in answers.items() if isinstance(a, Unread)]


def _enabled(home: Aws) -> list[str]:
    found = home.client("ec2").describe_regions(AllRegions=False)["Regions"]
    return sorted(region["RegionName"] for region in found)
