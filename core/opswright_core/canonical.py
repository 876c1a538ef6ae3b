"""One JSON form and one digest for everything that is compared, approved or chained."""

import dataclasses
import hashlib
import json
from typing import Any

from pydantic import BaseModel


def canonical_json(value: Any) -> str:
    """Render JSON with sorted keys and no spaces; models and dataclasses by their fields."""
    return _encode(value)


def size_bytes(value: Any) -> int:
    """How many bytes the canonical JSON takes as UTF-8."""
    return len(canonical_json(value).encode())


def digest(value: Any) -> str:
    """SHA-256 of the canonical JSON, in hex."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    if isinstance(value, set | frozenset):
        return sorted(value)
    return str(value)


_encode = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=_plain
).encode
