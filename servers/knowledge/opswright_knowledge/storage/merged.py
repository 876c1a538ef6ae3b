"""Several lists, each of which an index has in its order, as one."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, union_all

Fits = list[ColumnElement[bool]]
"""What the rows of a list fulfil."""


def merged(parts: Sequence[Select[Any]]) -> Select[Any]:
    """The rows of several queries of the same columns; each keeps its own order and limit.

    An `IN` would have the database gather all rows of all lists before it sorts them.
    """
    return union_all(*(part.subquery().select() for part in parts)).subquery().select()
