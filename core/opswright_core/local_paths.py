"""Paths on this machine that a caller names."""

from pathlib import Path

from opswright_core.errors import BadInputError


def local_path(text: str) -> Path:
    """The path that a text names, `~` expanded; it need not exist.

    Raises BadInputError for what cannot be a path here, so that looking at it raises nothing odd.
    """
    try:
        path = Path(text).expanduser()
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return path
    except (ValueError, RuntimeError, OSError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else str(exc)
        raise BadInputError(
            f"{text[:80]!r} cannot be looked at: {reason}. Name another path, an absolute one best."
        ) from exc
    return path
