"""Paths on this machine that a caller names, and files written there."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

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


@contextmanager
def written_whole(path: Path) -> Iterator[IO[str]]:
    """A new file that is there whole or not at all; its owner alone may read it.

    Raises BadInputError where it is there already, or cannot be written.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.link(part, path)  # unlike a rename, this overwrites nothing
    except OSError as exc:
        raise BadInputError(
            f"{path} cannot be written: {exc.strerror}. Name a new file in a directory that is "
            "there and writable."
        ) from exc
    finally:
        part.unlink(missing_ok=True)
