"""The regions that a task names."""

import pytest

from opswright_core.agent.place import InRegion, InRegions
from opswright_core.agent.skills import fill


@pytest.mark.parametrize(
    ("task", "regions"),
    [
        ("list what we have", None),
        ("list what we have in eu-west-1", "eu-west-1"),
        ("list what we have in eu-west-1, us-east-1 and ap-southeast-2", "eu-west-1,us-east-1,"
         "ap-southeast-2"),
        ("list what we have in us-gov-west-1 or cn-north-1", "us-gov-west-1,cn-north-1"),
        ("list what we have in all regions", "all"),
        ("find waste in every one of our regions", None),
        ("find waste in all of our regions", "all"),
        ("find waste in every AWS region", "all"),
        ("find waste everywhere", "all"),
        ("find waste across the account", "all"),
        ("find waste across our whole account", "all"),
        ("audit the entire account", "all"),
        ("an account-wide audit", "all"),
        ("find waste everywhere in eu-west-1", "eu-west-1"),
        ("who is in the account", None),
        ("compare the regional prices", None),
    ],
)  # fmt: skip
def test_regions_are_taken_from_the_words(task: str, regions: str | None) -> None:
    inputs = fill(InRegions, task, {})
    assert isinstance(inputs, InRegions)
    assert inputs.region == regions
    assert inputs.where == ({"target": {"region": regions}} if regions else {})


def test_the_context_goes_before_the_words() -> None:
    inputs = fill(InRegions, "everywhere", {"region": "eu-west-1"})
    assert isinstance(inputs, InRegions)
    assert inputs.region == "eu-west-1"


def test_a_skill_of_one_region_does_not_take_all() -> None:
    inputs = fill(InRegion, "build a network everywhere", {})
    assert isinstance(inputs, InRegion)
    assert inputs.region is None
