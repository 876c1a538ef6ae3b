"""Reads side by side: in order, within the time, and the first failure ends them."""

import contextvars
import threading

import pytest

from opswright_core.errors import DeadlineError
from opswright_core.parallel import each, refuse_late, time_limit

mark: contextvars.ContextVar[str] = contextvars.ContextVar("mark")


def test_answers_come_in_the_order_of_the_items_from_a_few_threads() -> None:
    seen: set[str] = set()

    def read(number: int) -> int:
        seen.add(threading.current_thread().name)
        return number * 2

    assert each(range(500), read, 3) == [number * 2 for number in range(500)]
    assert 1 <= len(seen) <= 3


def test_threads_inherit_the_context() -> None:
    mark.set("here")
    assert each([1, 2], lambda _: mark.get()) == ["here", "here"]


def test_the_first_failure_is_raised_and_what_waited_is_not_begun() -> None:
    begun = []

    def read(number: int) -> None:
        begun.append(number)
        raise ValueError(number)

    with pytest.raises(ValueError, match="0"):
        each(range(10_000), read, 1)
    assert len(begun) < 10_000


def test_nothing_is_sent_after_the_time_limit_not_even_from_threads() -> None:
    refuse_late("ec2:DescribeVpcs")  # without a limit anything goes
    with time_limit(60):
        refuse_late("ec2:DescribeVpcs")
        with time_limit(-1), pytest.raises(DeadlineError) as caught:
            each([1], lambda _: refuse_late("ec2:DescribeVpcs"))
        assert caught.value.operation == "ec2:DescribeVpcs"
        assert "one region" in str(caught.value)
        refuse_late("ec2:DescribeVpcs")


def test_an_inner_limit_cannot_extend_the_outer_one() -> None:
    with time_limit(-1), time_limit(60), pytest.raises(DeadlineError):
        refuse_late("ec2:DescribeVpcs")
