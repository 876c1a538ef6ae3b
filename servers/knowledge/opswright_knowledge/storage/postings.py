"""PostgreSQL's word indexes: who holds a word, in the order of their numbers.

A GIN index gathers all who hold a word before it tells the first, so that a page of a common word
takes time in line with all of them. Here each (word, number) is a row of its own, whose index is
read in that order, as far as a page goes; `words`, a tsvector beside it, tells where words stand.
"""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Float,
    Select,
    Subquery,
    cast,
    column,
    literal,
    select,
    table,
    text,
    union,
    union_all,
)
from sqlalchemy.dialects.postgresql import TSQUERY, TSVECTOR

from opswright_knowledge.storage.dialect import WordIndex
from opswright_knowledge.storage.names import first_after

MOST_PLACES = 255
"""How many places of a word PostgreSQL surely keeps: its documents allow 256 (section 12.11)."""

MOST_ENDINGS = 32
"""How many words with one beginning are each read in order; of more, all holders are gathered."""

SAMPLE = 200
"""By how many of its first holders a word is judged to be rare or common."""

MOST_LED = 10_000
"""How many memories are looked through for those that hold several common words."""

K1, B = 1.2, 0.75
"""BM25's parameters, as FTS5 has them."""

_NUMBER = column("number", BigInteger)
_WORDS = table("resource_words", _NUMBER, column("words", TSVECTOR))
_HELD = {
    name: table(f"{name}_held", column("word"), column("number", BigInteger))
    for name in ("memory_words", "resource_words")
}
WORD_TABLES = [name for index, held in _HELD.items() for name in (index, held.name)]

_ADD = {
    "memory_words": "INSERT INTO memory_words (number, words, length) "
    "SELECT number, to_tsvector('opswright_words', words), length "
    "FROM unnest(CAST(:numbers AS bigint[]), CAST(:words AS text[]), CAST(:lengths AS int[])) "
    "AS given (number, words, length)",
    "resource_words": "INSERT INTO resource_words (number, words) "
    "SELECT number, CAST(words AS tsvector) "
    "FROM unnest(CAST(:numbers AS bigint[]), CAST(:words AS text[])) AS given (number, words)",
}
_STEPS = text(
    "WITH RECURSIVE step (word) AS ("
    "(SELECT word FROM resource_words_held WHERE word >= :begin AND word < :end "
    "ORDER BY word LIMIT 1) UNION ALL "
    "SELECT (SELECT h.word FROM resource_words_held h WHERE h.word > step.word AND h.word < :end "
    "ORDER BY h.word LIMIT 1) FROM step WHERE step.word IS NOT NULL) "
    "SELECT word FROM step WHERE word IS NOT NULL LIMIT :most"
)


class _Lead(NamedTuple):
    """Where the numbers come from that a query looks through."""

    numbers: Select[Any]
    share: float
    """Of the first records, how many hold it: the fewer, the sooner a page is full."""


class PostedWords:
    """The part of PostgreSQL's dialect that is about words."""

    def index(
        self, connection: Connection, index: WordIndex, entries: Iterable[tuple[int, list[str]]]
    ) -> None:
        """Index the words of new (number, words)."""
        each = list(entries)
        if not each:
            return
        values: dict[str, list[Any]] = {"numbers": [number for number, _ in each]}
        if index == "memory_words":
            values["words"] = [" ".join(words) for _, words in each]
            values["lengths"] = [len(words) for _, words in each]
        else:
            values["words"] = [_vector(words) for _, words in each]
        statement = text(
            f"WITH added AS ({_ADD[index]} RETURNING number, words) "  # noqa: S608
            f"INSERT INTO {index}_held (word, number) "
            "SELECT lexeme, number FROM added, unnest(tsvector_to_array(words)) AS lexeme"
        )
        connection.execute(statement, values)

    def unindex(self, connection: Connection, index: WordIndex, numbers: Sequence[int]) -> None:
        """Take records out of an index."""
        if numbers:
            statement = text(
                f"WITH gone AS (DELETE FROM {index} WHERE number = ANY(:numbers) "  # noqa: S608
                "RETURNING number, words), "
                "stale AS (SELECT lexeme, number FROM gone, "
                "unnest(tsvector_to_array(words)) AS lexeme) "
                f"DELETE FROM {index}_held held USING stale "
                "WHERE held.word = stale.lexeme AND held.number = stale.number"
            )
            connection.execute(statement, {"numbers": list(numbers)})

    def stems(self, connection: Connection, words: Sequence[str]) -> list[str]:
        """The words as PostgreSQL stems them."""
        asked = text("SELECT tsvector_to_array(to_tsvector('opswright_words', :words))")
        return list(connection.execute(asked, {"words": " ".join(words)}).scalar_one())

    def holding(
        self, connection: Connection, stems: Sequence[str], *, every: bool, most: int
    ) -> Select[Any]:
        """The number of the newest memories with every stem, or any.

        Those with every stem are looked for among the newest `MOST_LED` that hold the rarest.
        """
        held = _HELD["memory_words"].c
        each = [select(held.number).where(held.word == stem) for stem in stems]
        newest = [one.order_by(held.number.desc()).limit(most) for one in each]
        if len(stems) == 1:
            return newest[0]
        if not every:
            some = union(*(one.subquery().select() for one in newest)).subquery().c
            return select(some.number).order_by(some.number.desc()).limit(most)
        shares = _shares(connection, "memory_words", stems, newest_first=True)
        rarest, *others = sorted(range(len(stems)), key=lambda place: shares[stems[place]])
        led = newest[rarest].limit(MOST_LED).subquery().c
        asked = select(led.number).order_by(led.number.desc()).limit(most)
        for other in others:
            asked = asked.where(each[other].where(held.number == led.number).exists())
        return asked

    def ranked(self, connection: Connection, held: Mapping[str, int]) -> Subquery:
        """BM25 as FTS5 has it, but for the mean length, which is that of what matches."""
        stored = connection.execute(text("SELECT max(number) FROM memory_words")).scalar_one() or 0
        return (
            text(
                "SELECT m.number AS number, sum(a.idf * t.n * (:k1 + 1) / "
                "(t.n + :k1 * (1 - :b + :b * m.length / m.mean))) AS relevance "
                "FROM (SELECT number, words, length, avg(length) OVER () AS mean "
                "FROM memory_words WHERE number IN (SELECT number FROM memory_words_held "
                "WHERE word = ANY(CAST(:stems AS text[])))) m "
                "CROSS JOIN LATERAL (SELECT lexeme, cardinality(positions) AS n "
                "FROM unnest(m.words)) t "
                "JOIN unnest(CAST(:stems AS text[]), CAST(:idfs AS float8[])) AS a(stem, idf) "
                "ON a.stem = t.lexeme GROUP BY m.number"
            )
            .bindparams(
                k1=K1,
                b=B,
                stems=list(held),
                idfs=[_idf(count, stored) for count in held.values()],
            )
            .columns(number=BigInteger, relevance=Float)
            .subquery()
        )

    def phrased(
        self,
        connection: Connection,
        phrases: Sequence[Sequence[str]],
        *,
        begun: bool,
        sure: Sequence[Sequence[str]] = (),
    ) -> Select[Any]:
        """The number of each resource with every phrase; if `begun`, its last word may go on.

        Of those of `sure` it is enough that one may lead.
        """
        leads = [
            *_leads(connection, phrases, begun=begun),
            *_leads(connection, sure, begun=False),
        ]
        lead = min(leads, key=lambda one: one.share)
        if not phrases or (len(phrases) == 1 and len(phrases[0]) == 1 and not sure):
            return lead.numbers
        query = " & ".join(f"({_phrase(phrase, ':*' if begun else '')})" for phrase in phrases)
        led = lead.numbers.subquery()
        holds: ColumnElement[bool] = _WORDS.c.words.op("@@")(cast(literal(query), TSQUERY))
        beside = led.join(_WORDS, _WORDS.c.number == led.c.number)
        return select(led.c.number).select_from(beside).where(holds)


def _leads(
    connection: Connection, phrases: Sequence[Sequence[str]], *, begun: bool
) -> Iterator[_Lead]:
    """What a query may be led by: the holders of each word that stands as it is, or goes on."""
    if not phrases:
        return
    held = _HELD["resource_words"]
    whole = sorted({word for phrase in phrases for word in (phrase[:-1] if begun else phrase)})
    begins = sorted({phrase[-1] for phrase in phrases}) if begun else []
    endings = {begin: _endings(connection, begin) for begin in begins}
    words = {*whole, *(word for found in endings.values() for word in found)}
    shares = _shares(connection, "resource_words", sorted(words))
    for word in whole:
        yield _Lead(_held_by(held, [word]), shares[word])
    for begin, found in endings.items():
        share = sum(shares[word] for word in found)
        if len(found) <= MOST_ENDINGS:
            yield _Lead(_held_by(held, found or [begin]), share)
        else:
            goes_on = held.c.word >= begin, held.c.word < first_after(begin)
            yield _Lead(select(held.c.number).where(*goes_on).distinct(), share)


def _endings(connection: Connection, begin: str) -> list[str]:
    """The words that begin so, as far as `MOST_ENDINGS` and one."""
    values = {"begin": begin, "end": first_after(begin), "most": MOST_ENDINGS + 1}
    return list(connection.execute(_STEPS, values).scalars())


def _shares(
    connection: Connection, index: WordIndex, words: Sequence[str], *, newest_first: bool = False
) -> dict[str, float]:
    """Of the first records (the newest, if so), how many hold each word."""
    order, far = ("DESC", "last - min(number)") if newest_first else ("ASC", "max(number)")
    asked = text(
        "WITH known AS (SELECT coalesce(max(number), 0) + 1 AS last FROM "  # noqa: S608
        f"{index}) SELECT word, many, CASE WHEN many < :sample THEN last ELSE far END AS among "
        "FROM known, unnest(CAST(:words AS text[])) AS asked (word), "
        f"LATERAL (SELECT count(*) AS many, {far} AS far FROM (SELECT number FROM {index}_held h "
        f"WHERE h.word = asked.word ORDER BY number {order} LIMIT :sample) AS sampled) AS judged"
    )
    rows = connection.execute(asked, {"sample": SAMPLE, "words": list(words)})
    return {row.word: row.many / max(row.among, 1) for row in rows}


def _held_by(held: Any, words: Sequence[str]) -> Select[Any]:
    """The numbers of what holds any of some words, each once, in their order."""
    each = [
        select(held.c.number).where(held.c.word == word).order_by(held.c.number) for word in words
    ]
    if len(each) == 1:
        return each[0]
    together = union_all(*(one.subquery().select() for one in each)).subquery()
    return select(together.c.number).distinct()


def _idf(held: int, stored: int) -> float:
    """FTS5's: a word that most hold weighs next to nothing, but never less."""
    return max(math.log((max(stored, held) - held + 0.5) / (held + 0.5)), 1e-6)


def _vector(words: Sequence[str]) -> str:
    """The words, which are letters and digits alone, with their places.

    PostgreSQL forgets the places of a word beyond `MOST_PLACES`, so where one is that frequent, the
    pairs of words that follow each other are words of their own.
    """
    placed = " ".join(f"'{word}':{place}" for place, word in enumerate(words, 1))
    if max(Counter(words).values(), default=0) <= MOST_PLACES:
        return placed
    return " ".join([placed, *sorted(set(_pairs(words)))])


def _phrase(words: Sequence[str], star: str) -> str:
    """A query for words next to each other, by their places or, without those, by pairs."""
    placed = " <-> ".join(f"'{word}'" for word in words) + star
    pairs = " & ".join(_pairs(words))
    return f"({placed}) | ({pairs}{star})" if pairs else placed


def _pairs(words: Sequence[str]) -> Iterator[str]:
    return (f"'{one}~{following}'" for one, following in pairwise(words))
