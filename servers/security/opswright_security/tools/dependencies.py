"""Scans dependency files for known vulnerabilities, loose versions and missing hashes."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from opswright_core.local_paths import local_path
from opswright_core.runtime import runtime
from opswright_core.text import clean
from opswright_core.tools import read_tool
from opswright_core.verdicts import Unread, Verdict
from opswright_security.advisories import OSV_URL, look_up
from opswright_security.lockfiles import Ecosystem, Package, find_files, read_packages

_SHOWN = 40


class Vulnerable(BaseModel):
    """A package with known advisories."""

    model_config = ConfigDict(frozen=True)
    package: str
    version: str
    ecosystem: Ecosystem
    file: str
    advisories: list[str] = Field(description="OSV ids; 8 at most")


class DependencyScan(BaseModel):
    """What the dependency files hold."""

    model_config = ConfigDict(frozen=True)
    verdict: Verdict = Field(
        description="FAIL by an advisory; UNKNOWN if any package could not be looked up"
    )
    summary: str
    files: list[str]
    packages: int
    vulnerable: list[Vulnerable] = Field(description="40 at most")
    total_vulnerable: int | None = Field(description="null: the database could not be asked")
    unpinned: list[str] = Field(description="40 at most")
    total_unpinned: int
    total_unhashed: int
    unread: list[str]


@read_tool(toolset="vulnerabilities")
def scan_dependencies(
    path: Annotated[str, Field(description="Folder or lock file on this machine", max_length=500)],
) -> DependencyScan:
    """Scan requirements.txt, poetry, uv and npm locks for vulnerabilities and loose versions."""
    files = find_files(local_path(path))
    packages = list(dict.fromkeys(p for file in files for p in read_packages(file)))
    pinned = [p for p in packages if p.version]
    advisories = look_up(pinned, runtime().extras.get("osv_url", OSV_URL)) if pinned else {}
    return scan_of([str(file) for file in files], packages, advisories)


def scan_of(
    files: Sequence[str], packages: Sequence[Package], advisories: dict[Package, list[str]] | Unread
) -> DependencyScan:
    """Judge what was read; a package without a version cannot be looked up: never a pass."""
    unpinned = sorted({f"{clean(p.name, 80)} ({p.file})" for p in packages if not p.version})
    unhashed = sum(not p.hashed for p in packages)
    unread = [advisories.reason] if isinstance(advisories, Unread) else []
    found = {} if isinstance(advisories, Unread) else advisories
    known = "vulnerable unknown" if unread else f"{len(found)} vulnerable"
    return DependencyScan(
        verdict="FAIL" if found else "UNKNOWN" if unread or unpinned or not packages else "PASS",
        summary=f"{len(packages)} packages in {len(files)} files: {known}, "
        f"{len(unpinned)} not pinned, {unhashed} without a hash.",
        files=list(files[:20]),
        packages=len(packages),
        vulnerable=[
            Vulnerable(
                package=clean(p.name, 80),
                version=clean(str(p.version), 40),
                ecosystem=p.ecosystem,
                file=p.file,
                advisories=ids[:8],
            )
            for p, ids in list(found.items())[:_SHOWN]
        ],
        total_vulnerable=None if unread else len(found),
        unpinned=unpinned[:_SHOWN],
        total_unpinned=len(unpinned),
        total_unhashed=unhashed,
        unread=unread,
    )
