"""Makes the release artifact of a commit: a tar.gz that is the same, byte for byte, each time."""

import gzip
import hashlib
import posixpath
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from opswright_cicd.repository import Repository
from opswright_core.errors import BadInputError
from opswright_core.text import clean

MOST_FILES = 50_000
MOST_BYTES = 512 * 1024 * 1024
"""Uncompressed. A release above it is data rather than software."""

_EXECUTABLE, _SYMLINK, _SUBMODULE = "100755", "120000", "160000"


@dataclass(frozen=True)
class Entry:
    """One file of a commit's tree."""

    mode: str
    object_id: str
    size_bytes: int
    path: str


@dataclass(frozen=True)
class Artifact:
    """A built artifact on this disk; it goes when the `with` block ends."""

    path: Path
    sha256: str
    size_bytes: int
    file_count: int
    warnings: tuple[str, ...]


@contextmanager
def built(repo: Repository, commit: str) -> Iterator[Artifact]:
    """Build the artifact of a commit. Raises BadInputError for a tree that cannot be released.

    The bytes depend on the commit, git's tar writer and zlib alone: no time, user or path goes in.
    """
    entries = tree(repo, commit)
    check_tree(entries, lambda object_id: repo.run("cat-file", "blob", object_id))
    with tempfile.TemporaryDirectory(prefix="opswright-release-") as folder:
        path = Path(folder) / "release.tar.gz"
        with path.open("wb") as raw, gzip.GzipFile("", "wb", 6, raw, mtime=0) as packed:
            repo.run("archive", "--format=tar", commit, output_stream=packed)
        with path.open("rb") as stream:
            sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
        yield Artifact(path, sha256, path.stat().st_size, len(entries), warnings(entries))


def tree(repo: Repository, commit: str) -> list[Entry]:
    """Every file of a commit."""
    entries = []
    for line in filter(
        None, repo.run("ls-tree", "-r", "-z", "-l", "--full-tree", commit).split("\0")
    ):
        about, path = line.split("\t", 1)
        mode, _, object_id, size = about.split()
        entries.append(Entry(mode, object_id, int(size) if size.isdigit() else 0, path))
    return entries


def check_tree(entries: list[Entry], content: Callable[[str], str]) -> None:
    """Refuse what would be too big, or would unpack outside its directory. Raises BadInputError.

    `content` reads a symbolic link's target by its object id.
    """
    size = sum(entry.size_bytes for entry in entries)
    if not entries or len(entries) > MOST_FILES or size > MOST_BYTES:
        raise BadInputError(
            f"The tree has {len(entries)} files and {size} bytes; a release has 1 to {MOST_FILES} "
            "files and at "
            f"most {MOST_BYTES} bytes. Keep data out of the repository."
        )
    for entry in entries:
        if _escapes(entry.path):
            raise BadInputError(
                f"The tree holds {clean(entry.path, 120)!r}, which leaves the release."
            )
        if entry.mode == _SYMLINK:
            target = content(entry.object_id)
            if _escapes(posixpath.join(posixpath.dirname(entry.path), target)) or target[:1] == "/":
                raise BadInputError(
                    f"The symbolic link {clean(entry.path, 120)!r} points to "
                    f"{clean(target, 120)!r}, outside the "
                    "release. Make it relative and inside."
                )


def warnings(entries: list[Entry]) -> tuple[str, ...]:
    """What would keep a release from starting, or be missing in it."""
    top = {entry.path: entry.mode for entry in entries}
    found = []
    if top.get("run") != _EXECUTABLE and "Procfile" not in top:
        found.append(
            "The release has neither an executable `run` nor a Procfile: an instance could not "
            "start it."
        )
    if modules := [e.path for e in entries if e.mode == _SUBMODULE]:
        found.append(f"Submodules are not packed: {clean(', '.join(modules), 200)}.")
    return tuple(found)


def _escapes(path: str) -> bool:
    normal = posixpath.normpath(path)
    return normal.startswith(("/", "../")) or normal == ".." or "\\" in path
