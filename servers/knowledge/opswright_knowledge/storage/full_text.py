"""Finds memories and resources by words, in bounded time however many there are.

Each word is indexed with its namespace's number before it (`12qpayments`), so that one team's words
neither match nor weigh in another's.
"""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import CTE, Float, Select, func, literal, select

from opswright_knowledge.words import words

if TYPE_CHECKING:
    from opswright_knowledge.storage.unit_of_work import UnitOfWork

COMMON = 500
"""A word that more memories hold tells little: it is left out where there are rarer ones."""


class FullText:
    """The word indexes, within a transaction."""

    def __init__(self, unit: "UnitOfWork") -> None:
        self._unit = unit
        self._connection = unit.connection

    def of(self, text: str) -> list[str]:
        """The words of a text as they are indexed."""
        own = f"{self._unit.namespace}q"
        return [own + word for word in words(text)]

    def memories(self, asked: Sequence[str]) -> CTE:
        """(number, relevance) of the memories that are worth ranking for some words.

        BM25 weighs every memory that holds a word, which takes a second where a million do. So the
        words that at most `COMMON` hold decide, and every memory with one of them is ranked. Where
        all words are commoner than that, the newest `COMMON` memories that hold them all (any of
        them, when none does) are alike in relevance.
        """
        dialect = self._unit.dialect
        stems = dialect.stems(self._connection, self.of(" ".join(asked)))
        held = {stem: self._counted([stem], every=True) for stem in stems}
        telling = {stem: count for stem, count in held.items() if count <= COMMON}
        if telling or not stems:
            ranked = dialect.ranked(self._connection, telling)
            return _gathered(select(ranked.c.number, ranked.c.relevance))
        every = self._counted(stems, every=True) > 0
        newest = dialect.holding(self._connection, stems, every=every, most=COMMON).subquery()
        return _gathered(select(newest.c.number, literal(1.0, Float).label("relevance")))

    def _counted(self, stems: Sequence[str], *, every: bool) -> int:
        """How many memories hold the stems, counted no further than `COMMON` and one."""
        some = self._unit.dialect.holding(self._connection, stems, every=every, most=COMMON + 1)
        counting = select(func.count()).select_from(some.subquery())
        return int(self._connection.execute(counting).scalar_one())


def _gathered(found: Select[Any]) -> CTE:
    """Found once, before the memories are looked up: SQLite would search anew for each of them."""
    return found.cte("matching").prefix_with("MATERIALIZED")


def has_words(query: str) -> bool:
    """Whether a query holds any word at all."""
    return re.search(r"[^\W_]", query) is not None
