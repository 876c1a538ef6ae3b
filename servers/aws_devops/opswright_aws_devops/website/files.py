"""The files of a website: what a folder holds, and how each is served."""

import hashlib
import mimetypes
import re
from dataclasses import dataclass
from pathlib import Path

from opswright_aws_devops.buckets.folders import walk
from opswright_core.errors import BadInputError, ConflictError
from opswright_core.local_paths import local_path

MOST_FILES = 1_000
MOST_BYTES = 100 * 1024 * 1024
"""Of one file; a website's are smaller, and one request carries it."""

_TYPES = {
    ".avif": "image/avif",
    ".map": "application/json",
    ".mjs": "text/javascript",
    ".js": "text/javascript",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
    ".webp": "image/webp",
    ".woff": "font/woff",
    ".woff2": "font/woff2",
}
"""What Python's own table lacks, or has otherwise than RFC 9239 and the IANA registry."""

_REVALIDATED = (".html", ".htm", ".xml", ".json", ".txt", ".webmanifest")
_FINGERPRINT = re.compile(r"[.-](?=[A-Za-z0-9_]*\d)[A-Za-z0-9_]{8,}\.[a-z0-9.]+$")
_KNOWN = mimetypes.MimeTypes(filenames=())  # not the machine's table: the same answer everywhere


@dataclass(frozen=True)
class SiteFile:
    """A file and the key it has in the bucket."""

    key: str
    path: Path
    size_bytes: int
    md5: str
    """Hex; what S3 gives as ETag of an object put at once and encrypted with its own keys."""


@dataclass(frozen=True)
class Folder:
    """What of a folder goes on the website, and what is left out."""

    files: list[SiteFile]
    skipped: list[str]


def scan(text: str) -> Folder:
    """Read a website's folder. Raises BadInputError when it is not one, or too large."""
    root = local_path(text)
    if not root.is_dir():
        raise BadInputError(f"{text[:200]!r} is not a folder on this machine; give its path.")
    if not (root / "index.html").is_file():
        raise BadInputError(
            f"{text[:200]!r} has no index.html: name the folder with the built site."
        )
    root = root.resolve()
    files: list[SiteFile] = []
    skipped: list[str] = []
    for path in walk(root, skipped):
        key = path.relative_to(root).as_posix()
        size = path.stat().st_size
        if size > MOST_BYTES:
            raise BadInputError(f"{key} has {size:,} bytes; at most {MOST_BYTES:,} are uploaded.")
        if len(files) == MOST_FILES:
            raise BadInputError(
                f"{text[:200]!r} has more than {MOST_FILES:,} files: too many for one change. "
                "Is it the built site, without its sources and packages?"
            )
        files.append(SiteFile(key, path, size, md5_of(path)))
    return Folder(files, skipped)


def md5_of(path: Path) -> str:
    """The MD5 of a file's content, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def content_of(file: SiteFile) -> bytes:
    """A file's content. Raises ConflictError when it is not the one that was planned."""
    try:
        content = file.path.read_bytes()
    except OSError as exc:
        raise ConflictError(f"{file.key} cannot be read any more: {exc.strerror}") from exc
    if hashlib.md5(content, usedforsecurity=False).hexdigest() != file.md5:
        raise ConflictError(f"{file.key} was changed meanwhile; call again for a new plan.")
    return content


def content_type(key: str) -> str:
    """The media type that a file is served with; text says that it is UTF-8."""
    suffix = Path(key).suffix.lower()
    guessed, encoding = _KNOWN.guess_type(key)
    kind = _TYPES.get(suffix) or (None if encoding else guessed) or "application/octet-stream"
    is_text = kind.startswith("text/") or kind in {"application/json", "application/xml"}
    return f"{kind}; charset=utf-8" if is_text else kind


def cache_control(key: str) -> str:
    """How long browsers and CloudFront keep a file.

    Pages are asked for again each time, files with a fingerprint in their name never, all others
    after an hour.
    """
    name = key.rpartition("/")[2]
    if name.endswith(_REVALIDATED):
        return "no-cache"
    if _FINGERPRINT.search(name):
        return "public, max-age=31536000, immutable"
    return "public, max-age=3600"
