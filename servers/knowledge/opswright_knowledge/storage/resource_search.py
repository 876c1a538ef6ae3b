"""Finds resources by what is known of them, in bounded time however many there are.

What is narrowed by words is read from the word index, in the order of recording; what goes by an id
or a neighbour, by number; the rest in the order of its keys.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    ColumnElement,
    Select,
    String,
    Subquery,
    and_,
    exists,
    func,
    or_,
    select,
    tuple_,
    union,
    union_all,
)
from sqlalchemy import cast as sql_cast

from opswright_core.canonical import canonical_json
from opswright_core.errors import BadInputError
from opswright_knowledge.records import Counts, Resource
from opswright_knowledge.storage.dialect import Dialect
from opswright_knowledge.storage.full_text import has_words
from opswright_knowledge.storage.lookup import looked_up
from opswright_knowledge.storage.schema import (
    resource_counts,
    resource_relations,
    resource_tags,
    resources,
)

if TYPE_CHECKING:
    from opswright_knowledge.storage.unit_of_work import UnitOfWork

MOST_COUNTED = 1_000
"""How far resources are counted that are narrowed by more than their type."""

_KEY = (resources.c.type, resources.c.id)


class ResourceSearch:
    """Finds resources, within a transaction."""

    def __init__(self, unit: "UnitOfWork") -> None:
        self._unit = unit
        self._connection = unit.connection

    def find(
        self,
        *,
        type: str | None = None,
        id: str | None = None,
        query: str | None = None,
        tag: str | None = None,
        attribute: str | None = None,
        status: str | None = None,
        account: str | None = None,
        region: str | None = None,
        related_to: str | None = None,
        after: Sequence[str] | None = None,
        limit: int = 50,
    ) -> tuple[list[Resource], Counts]:
        """Living resources that fit, by type and id; in the order of recording when words do it.

        A query, a tag, an attribute and a status are looked for in the word index, each by itself;
        a tag and its value alone in the index of tags.
        Returns at most `limit` + 1 of them, and how many there are by type.
        """
        c = resources.c
        equal = ((c.status, status), (c.account, account), (c.region, region))
        fits = [column == value for column, value in equal if value is not None]
        others = (query, attribute, status, account, region, id, related_to)
        is_tag_alone = "=" in (tag or "") and not any(others)
        if tag is not None:
            fits += self._has_tag(tag) if is_tag_alone else [self._tagged(tag)]
        if attribute is not None:
            fits.append(_with_attribute(attribute, self._unit.dialect))
        words = self._phrases(query)
        sure = self._phrases(None, _as_told(tag), _as_told(attribute, path=True), status)
        order: tuple[ColumnElement[Any], ...] = _KEY
        source: Any = resources
        near = self._names_of(related_to) if related_to is not None else set()
        if id is not None or near:
            fits += [c.number.in_(self._called(id))] if id is not None else []
            fits += [self._is_near(near)] if id is not None and near else []
            if query is not None and has_words(query):
                fits.append(c.number.in_(self._phrased(self._phrases(query), begun=True)))
        elif is_tag_alone:
            t = resource_tags.c
            source = resource_tags.join(resources, and_(t.namespace == c.namespace, *_same_key(t)))
            order = (t.type, t.id)
        elif words or sure:
            matching = self._matching(words, [*sure, *self._phrases(None, type, region)])
            source = matching.join(resources, matching.c.number == c.number)
            order = (matching.c.number,)
        narrowed = bool(fits or words or sure)
        fits += [self._unit.own(resources), c.deleted_at.is_(None)]
        if type is not None:
            fits.append(c.type == type)
        if near and id is None:
            return self._neighbours(near, fits, after, limit)
        asked = select(resources).select_from(source).where(*fits)
        kinds = select(c.type).select_from(source).where(*fits)
        counts = self._counted(kinds) if narrowed else self._living(type)
        if after is not None and len(order) == 1:
            asked = asked.where(order[0] > self._number(after))
        elif after is not None:
            same_type = type is not None and type == after[0]
            asked = asked.where(
                order[1] > after[1] if same_type else tuple_(*order) > tuple_(*after)
            )
        rows = self._connection.execute(asked.order_by(*order).limit(limit + 1)).mappings()
        return [Resource.model_validate(dict(row)) for row in rows], counts

    def _living(self, type: str | None) -> Counts:
        c = resource_counts.c
        fits = [self._unit.own(resource_counts), c.living > 0]
        if type is not None:
            fits.append(c.type == type)
        asked = select(c.type, c.living).where(*fits).order_by(c.type)
        return Counts({kind: int(number) for kind, number in self._connection.execute(asked)})

    def _counted(self, kinds: Select[Any]) -> Counts:
        some = kinds.limit(MOST_COUNTED + 1).subquery()
        asked = select(some.c.type, func.count()).group_by(some.c.type).order_by(some.c.type)
        found = {kind: int(number) for kind, number in self._connection.execute(asked)}
        return Counts(found, complete=sum(found.values()) <= MOST_COUNTED)

    def _matching(self, words: Sequence[Sequence[str]], sure: Sequence[Sequence[str]]) -> Subquery:
        """The numbers of what holds every phrase; those of `sure` are looked at besides.

        The last word of each of the query may go on, unless many hold the words as they stand:
        gathering how a common word may go on takes time in line with all that hold it.
        """
        plain = self._phrased(words, begun=False, sure=sure)
        if words and self._unit.counted(plain, MOST_COUNTED) <= MOST_COUNTED:
            return self._phrased(words, begun=True, sure=sure).subquery()
        return plain.subquery()

    def _phrased(
        self,
        phrases: Sequence[Sequence[str]],
        *,
        begun: bool,
        sure: Sequence[Sequence[str]] = (),
    ) -> Select[Any]:
        return self._unit.dialect.phrased(self._connection, phrases, begun=begun, sure=sure)

    def _phrases(self, query: str | None, *others: str | None) -> list[list[str]]:
        """What the word index must hold next to each other: each part of the query, the others."""
        parts = [*(query or "").split(), *(text for text in others if text)]
        return [phrase for part in parts if (phrase := self._unit.full_text.of(part))]

    def _number(self, key: Sequence[str]) -> int:
        c = resources.c
        asked = select(c.number).where(self._unit.own(resources), c.type == key[0], c.id == key[1])
        number = self._connection.execute(asked).scalar_one_or_none()
        if number is None:
            raise BadInputError(
                "The resource that this cursor names was pruned meanwhile. Call again without it."
            )
        return int(number)

    def _tagged(self, tag: str) -> ColumnElement[bool]:
        same = (*_same_key(resource_tags.c), *self._has_tag(tag))
        return exists().where(*same).correlate(resources)

    def _has_tag(self, tag: str) -> list[ColumnElement[bool]]:
        c = resource_tags.c
        key, equals, value = tag.partition("=")
        found = [self._unit.own(resource_tags), c.key == key]
        return [*found, c.value == looked_up(value)] if equals else found

    def _called(self, name: str) -> Any:
        """A query for the numbers of what has an id or ARN: `OR` would use neither index."""
        c, own = resources.c, self._unit.own(resources)
        return union_all(
            select(c.number).where(own, c.id == name),
            select(c.number).where(own, c.arn == name, c.arn != ""),
        )

    def _names_of(self, name: str) -> set[str]:
        """What relations may call a resource: its id and its ARN."""
        known = self._unit.resources.named([name])
        return {name} | {x for one in known for x in (one.id, one.arn) if x}

    def _is_near(self, names: set[str]) -> ColumnElement[bool]:
        """Whether a resource is related to one of these names, either way."""
        r, n = resources.c, resource_relations.c
        related = self._unit.own(resource_relations)
        to = exists().where(related, *_same_key(n), n.target.in_(names))
        by = exists().where(related, n.id.in_(names), n.target.in_((r.id, r.arn)))
        return or_(to.correlate(resources), by.correlate(resources))

    def _neighbours(
        self,
        names: set[str],
        fits: Sequence[ColumnElement[bool]],
        after: Sequence[str] | None,
        limit: int,
    ) -> tuple[list[Resource], Counts]:
        """What is related to one of the names, either way, by type and id.

        Half the account may rely on one network, so that these are read from the index in their
        order, as far as the page goes. What it relies on itself is in its own record, so few.
        """
        n, related = resource_relations.c, self._unit.own(resource_relations)
        key = (n.type, n.id)
        joined = resource_relations.join(
            resources, (resources.c.namespace == n.namespace) & and_(*_same_key(n))
        )
        other = resource_relations.alias()
        again = exists().where(
            other.c.namespace == n.namespace,
            *(other.c[same] == n[same] for same in ("type", "id", "target")),
            other.c.kind < n.kind,
        )
        once = ~again.correlate(resource_relations)
        asked_of = select(n.target).where(related, n.id.in_(names), n.target != "").distinct()
        targets = self._connection.execute(asked_of).scalars().all()
        ways = [
            (joined, key, [related, n.target == name, once])
            for name in sorted(names)
        ] + [
            (resources, _KEY, [column.in_(targets)])
            for column in (resources.c.id, resources.c.arn) if targets
        ]  # fmt: skip
        found: dict[tuple[str, str], Any] = {}
        counted = []
        for source, order, way in ways:
            numbers = select(resources.c.number, resources.c.type).select_from(source)
            counted.append(numbers.where(*way, *fits).limit(MOST_COUNTED + 1).subquery().select())
            asked = select(resources).select_from(source).where(*way, *fits)
            if after is not None:
                asked = asked.where(tuple_(*order) > tuple_(*after))
            for row in self._connection.execute(asked.order_by(*order).limit(limit + 1)).mappings():
                found[row["type"], row["id"]] = row
        kinds = select(union(*counted).subquery().c.type)
        rows = [found[one] for one in sorted(found)][: limit + 1]
        return [Resource.model_validate(dict(row)) for row in rows], self._counted(kinds)


def _same_key(c: Any) -> tuple[ColumnElement[bool], ...]:
    return c.type == resources.c.type, c.id == resources.c.id


def _as_told(pair: str | None, *, path: bool = False) -> str | None:
    """`key=value` as the JSON that holds it reads, for the word index: cut into the same words."""
    if pair is None:
        return None
    key, equals, value = pair.partition("=")
    if path:
        key = key.split(".")[-1]
    return canonical_json({key: value} if equals else key)


def _with_attribute(text: str, dialect: Dialect) -> ColumnElement[bool]:
    """Whether an attribute is there, or has a value: `size`, `size=3`, `network.public=true`.

    A name with dots is looked for as it stands and as a path into objects, step by step, since a
    path as a whole is quoted wrongly.
    """
    name, equals, value = text.partition("=")
    fits = []
    for *steps, last in sorted({(name,), tuple(name.split("."))}):
        within: Any = resources.c.attributes
        for step in steps:
            within = within[step]
        held = within[last].as_string()
        is_boolean = dialect.is_boolean(within, last)
        if not equals:
            fits.append(held.is_not(None))
        elif value.lower() in {"true", "false"}:  # which SQLite reads as 1 and 0
            read = sql_cast(held, String).in_((value.lower(), str(int(value.lower() == "true"))))
            fits.append(or_(and_(is_boolean, read), sql_cast(held, String) == value))
        else:
            fits.append(and_(sql_cast(held, String) == value, ~func.coalesce(is_boolean, False)))
    return or_(*fits)
