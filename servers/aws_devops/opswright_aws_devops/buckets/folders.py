"""Folders on this machine whose files are uploaded."""

from collections.abc import Iterator
from pathlib import Path


def walk(folder: Path, skipped: list[str]) -> Iterator[Path]:
    """Files below a folder, in order; hidden ones (`.git`, `.env`) and links are left out."""
    for path in sorted(folder.iterdir()):
        hidden = path.name.startswith(".") and path.name != ".well-known"
        if hidden or path.is_symlink() or not path.name.isprintable():
            skipped.append(path.name.encode("ascii", "replace").decode())
        elif path.is_dir():
            yield from walk(path, skipped)
        elif path.is_file():
            yield path
