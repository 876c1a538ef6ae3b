"""Reads dependency files: which packages, which versions, whether pinned and hashed."""

import json
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from opswright_core.errors import BadInputError

Ecosystem = Literal["PyPI", "npm"]
LARGEST_BYTES = 20_000_000
_SKIPPED = {"node_modules", ".git", ".venv", "venv", "__pycache__"}
_REQUIREMENT = re.compile(
    r"(?P<name>[A-Za-z0-9][\w.-]*)(?:\[[^\]]*\])?\s*"
    r"(?:===?\s*(?P<version>[\w.!+-]+)\s*(?:;|--hash|$))?"
)


@dataclass(frozen=True)
class Package:
    """One package of one file; `version` is None where it is not pinned."""

    ecosystem: Ecosystem
    name: str
    version: str | None
    hashed: bool
    file: str


def find_files(path: Path) -> list[Path]:
    """The dependency files at a path. Raises BadInputError when there are none."""
    if path.is_file() and _parser(path):
        return [path]
    found = []
    if path.is_dir():
        found = sorted(
            p
            for p in path.rglob("*")
            if _parser(p) and p.is_file() and not _SKIPPED & set(p.relative_to(path).parts)
        )
    if not found:
        raise BadInputError(
            f"No dependency file at {str(path)!r}: pass a folder or a requirements*.txt, "
            "package-lock.json, poetry.lock or uv.lock."
        )
    return found


def read_packages(path: Path) -> list[Package]:
    """The packages of one file. Raises BadInputError for one too large, or that does not parse."""
    parse = _parser(path)
    if parse is None or path.stat().st_size > LARGEST_BYTES:
        raise BadInputError(f"{path} is too large ({LARGEST_BYTES // 1_000_000} MB at most).")
    try:
        return parse(path.read_text(encoding="utf-8", errors="replace"), path.name)
    except (ValueError, KeyError, AttributeError) as exc:
        raise BadInputError(f"{path} is no valid {path.name}: {str(exc)[:120]}.") from exc


def _parser(path: Path) -> Callable[[str, str], list[Package]] | None:
    if path.name in {"poetry.lock", "uv.lock"}:
        return parse_toml_lock
    if path.name == "package-lock.json":
        return parse_package_lock
    if path.name == "requirements.lock" or re.fullmatch(r"requirements[\w.-]*\.txt", path.name):
        return parse_requirements
    return None


def parse_requirements(text: str, file: str) -> list[Package]:
    """Pip's requirements: one a line, hashes on lines that go on."""
    packages = []
    for line in re.sub(r"\\\s*\n", " ", text).splitlines():
        entry = re.sub(r"(^|\s)#.*", "", line).strip()
        match = _REQUIREMENT.match(entry)
        if not entry or entry.startswith("-") or match is None:
            continue
        found = Package("PyPI", match["name"], match["version"], "--hash=" in entry, file)
        packages.append(found)
    return packages


def parse_toml_lock(text: str, file: str) -> list[Package]:
    """Packages of a poetry or uv lock, without the project itself."""
    packages = []
    for entry in tomllib.loads(text).get("package", []):
        source = entry.get("source", {})
        if "version" not in entry or {"virtual", "editable", "directory"} & set(source):
            continue
        files = [*entry.get("files", []), *entry.get("wheels", []), entry.get("sdist") or {}]
        hashed = any(f.get("hash") for f in files)
        packages.append(Package("PyPI", entry["name"], entry["version"], hashed, file))
    return packages


def parse_package_lock(text: str, file: str) -> list[Package]:
    """Npm's lock, versions 1 to 3; links and the project itself are left out."""
    lock = json.loads(text)
    if "packages" in lock:
        entries = [
            (path.rpartition("node_modules/")[2], entry)
            for path, entry in lock["packages"].items()
            if "node_modules/" in path and not entry.get("link")
        ]
    else:
        entries = _nested(lock.get("dependencies", {}))
    return [
        Package("npm", e.get("name", name), e.get("version"), "integrity" in e, file)
        for name, e in entries
    ]


def _nested(dependencies: Mapping[str, Any]) -> list[tuple[str, Any]]:
    found = []
    for name, entry in dependencies.items():
        found.append((name, entry))
        found += _nested(entry.get("dependencies", {}))
    return found
