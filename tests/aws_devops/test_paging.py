"""A page of a service is cut before it is looked through for secrets."""

from typing import Any

import pytest

from opswright_aws_devops.api.models import find
from opswright_aws_devops.api.paging import Answer, pagination_of, read_pages
from opswright_core.canonical import size_bytes
from opswright_core.pages import PAGE_BYTES

DESCRIBE = find("ec2", "DescribeInstances")


def reservations(count: int, texts: int) -> Answer:
    """What one call may answer: everything at once, deep."""
    inner = {"InstanceId": "i-1", "Tags": [{"Key": f"k{n}", "Value": "v"} for n in range(texts)]}
    return {
        "Reservations": [{"ReservationId": f"r-{n}", "Instances": [inner]} for n in range(count)]
    }


class Shown:
    """Shows all as it is, and counts what it was given."""

    def __init__(self) -> None:
        self.items = 0

    def __call__(self, answer: Answer) -> Answer:
        self.items += len(answer.get("Reservations", []))
        return answer


def read(answer: Answer, shown: Shown, *, limit: int, cursor: str | None = None) -> Any:
    paging = pagination_of(DESCRIBE)
    assert paging is not None
    return read_pages(
        lambda _: answer, paging, {}, shown, cursor=cursor, limit=limit, measured=lambda data: data
    )


@pytest.mark.parametrize(("texts", "limit"), [(2, 50), (40, 500), (2_000, 50)])
def test_what_is_not_given_is_not_looked_through(texts: int, limit: int) -> None:
    answer, shown = reservations(5_000, texts), Shown()
    listing = read(answer, shown, limit=limit)
    assert 1 <= listing.count <= limit
    assert shown.items <= 2 * listing.count + 1
    assert listing.count == 1 or size_bytes(listing.data) <= PAGE_BYTES


def test_a_page_is_as_full_as_the_budget_lets_it_be_and_the_cursor_misses_nothing() -> None:
    answer, seen, cursor = reservations(120, 40), [], None
    whole = answer["Reservations"]
    while True:
        listing = read(answer, Shown(), limit=500, cursor=cursor)
        seen += listing.data["Reservations"]
        if listing.cursor is None:
            break
        one_more = {"Reservations": [*listing.data["Reservations"], whole[0]]}
        assert size_bytes(one_more) > PAGE_BYTES
        cursor = listing.cursor
    assert seen == whole
