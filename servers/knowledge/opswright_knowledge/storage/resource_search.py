"""Finds resources by what is known of them, in bounded time however many there are."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from sqlalchemy import ColumnElement, Select, String, exists, func, or_, select, tuple_
from sqlalchemy import cast as sql_cast

from opswright_knowledge.records import Counts, Resource
from opswright_knowledge.storage.full_text import has_words
from opswright_knowledge.storage.schema import (
    resource_counts,
    resource_relations,
    resource_tags,
    resources,
)

if TYPE_CHECKING:
    from opswright_knowledge.storage.unit_of_work import UnitOfWork

MOST_COUNTED = 10_000
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
        """Living resources that fit, by type and id.

        Returns at most `limit` + 1 of them, and how many there are by type.
        """
        c = resources.c
        equal = ((c.status, status), (c.account, account), (c.region, region))
        narrowed = [column == value for column, value in equal if value is not None]
        if id is not None:
            narrowed.append((c.id == id) | ((c.arn == id) & (c.arn != "")))
        if query is not None and has_words(query):
            narrowed.append(self._among((c.number,), self._unit.full_text.resources(query)))
        if tag is not None:
            narrowed.append(self._among(_KEY, self._tagged(tag)))
        if attribute is not None:
            narrowed.append(_with_attribute(attribute))
        if related_to is not None:
            narrowed.append(tuple_(*_KEY).in_(self._neighbours(related_to)))
        fits = [self._unit.own(resources), c.deleted_at.is_(None), *narrowed]
        if type is not None:
            fits.append(c.type == type)
        counts = self._counted(fits) if narrowed else self._living(type)
        if after is not None:
            same_type = type is not None and type == after[0]
            fits.append(c.id > after[1] if same_type else tuple_(*_KEY) > tuple_(*after))
        listing = select(resources).where(*fits).order_by(c.type, c.id).limit(limit + 1)
        rows = self._connection.execute(listing).mappings()
        return [Resource.model_validate(dict(row)) for row in rows], counts

    def _among(
        self, columns: tuple[ColumnElement[Any], ...], found: Select[Any]
    ) -> ColumnElement[bool]:
        """Whether a resource is among those found, which may be very many.

        Few are gathered first. Where there are many, each resource is looked up in its turn, since
        a page of them is soon full.
        """
        counting = select(func.count()).select_from(found.limit(MOST_COUNTED + 1).subquery())
        if self._connection.execute(counting).scalar_one() <= MOST_COUNTED:
            return tuple_(*columns).in_(found)
        same = zip(found.selected_columns, columns, strict=True)
        return exists(found.where(*(one == other for one, other in same)).correlate(resources))

    def _living(self, type: str | None) -> Counts:
        c = resource_counts.c
        fits = [self._unit.own(resource_counts), c.living > 0]
        if type is not None:
            fits.append(c.type == type)
        asked = select(c.type, c.living).where(*fits).order_by(c.type)
        return Counts({kind: int(number) for kind, number in self._connection.execute(asked)})

    def _counted(self, fits: Sequence[ColumnElement[bool]]) -> Counts:
        some = select(resources.c.type).where(*fits).limit(MOST_COUNTED + 1).subquery()
        asked = select(some.c.type, func.count()).group_by(some.c.type).order_by(some.c.type)
        found = {kind: int(number) for kind, number in self._connection.execute(asked)}
        return Counts(found, complete=sum(found.values()) <= MOST_COUNTED)

    def _tagged(self, tag: str) -> Select[Any]:
        c = resource_tags.c
        key, equals, value = tag.partition("=")
        asked = select(c.type, c.id).where(self._unit.own(resource_tags), c.key == key)
        return asked.where(c.value == value) if equals else asked

    def _neighbours(self, name: str) -> Any:
        """A query for the keys of what is related to a resource, either way."""
        r, n = resources.c, resource_relations.c
        known = self._unit.resources.named([name])
        names = {name} | {x for one in known for x in (one.id, one.arn) if x}
        own = self._unit.own(resource_relations)
        sources = select(n.type, n.id).where(own, n.target.in_(names))
        targets = select(n.target).where(own, n.id.in_(names))
        pointed = select(r.type, r.id).where(
            self._unit.own(resources), r.id.in_(targets) | (r.arn.in_(targets) & (r.arn != ""))
        )
        return sources.union(pointed)


def _with_attribute(text: str) -> ColumnElement[bool]:
    """Whether an attribute is there, or has a value: `size`, `size=3`, `network.public=true`.

    A name with dots is looked for as it stands and as a path into objects.
    """
    name, equals, value = text.partition("=")
    paths = {(name,), tuple(name.split("."))}
    found = [_at(path) for path in sorted(paths)]
    if not equals:
        return or_(*(one.is_not(None) for one in found))
    # SQLite reads JSON's true and false as 1 and 0, PostgreSQL as these words.
    meant = {"true": ("true", "1"), "false": ("false", "0")}.get(value.lower(), (value,))
    return or_(*(sql_cast(one, String).in_(meant) for one in found))


def _at(path: Sequence[str]) -> ColumnElement[Any]:
    """What an attribute holds, as text; step by step, since a path as a whole is quoted wrongly."""
    inner: Any = resources.c.attributes
    for name in path:
        inner = inner[name]
    return cast(ColumnElement[Any], inner.as_string())
