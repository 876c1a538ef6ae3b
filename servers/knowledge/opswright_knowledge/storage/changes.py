"""Reads the change log."""

from typing import TYPE_CHECKING

from sqlalchemy import ColumnElement, func, select

from opswright_knowledge.records import ChangeEntry
from opswright_knowledge.storage.schema import changes

if TYPE_CHECKING:
    from opswright_knowledge.storage.unit_of_work import UnitOfWork


class Changes:
    """The change log, within a transaction."""

    def __init__(self, unit: "UnitOfWork") -> None:
        self._unit = unit

    def after(
        self, revision: int, *, since: str | None = None, limit: int = 100
    ) -> tuple[list[ChangeEntry], int]:
        """Changes after a revision (and at or after a time), oldest first.

        Returns at most `limit`, and how many there are.
        """
        fits: list[ColumnElement[bool]] = [changes.c.revision > revision]
        if since is not None:
            fits.append(changes.c.at >= since)
        counting = select(func.count()).select_from(changes).where(*fits)
        total = self._unit.connection.execute(counting).scalar_one()
        asked = select(changes).where(*fits).order_by(changes.c.revision).limit(limit)
        rows = self._unit.connection.execute(asked).mappings()
        return [ChangeEntry.model_validate(dict(row)) for row in rows], total
