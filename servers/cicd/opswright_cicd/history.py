"""What lies between two commits, and what in it may break those who use the software."""

import re
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

from opswright_cicd.repository import Repository
from opswright_core.text import clean

MOST_COMMITS = 5000

_DEPENDENCIES = re.compile(
    r"(^|/)(package(-lock)?\.json|yarn\.lock|pnpm-lock\.yaml|pyproject\.toml|poetry\.lock|uv\.lock|"
    r"requirements[^/]*\.(txt|lock)|go\.(mod|sum)|Cargo\.(toml|lock)|Gemfile(\.lock)?|pom\.xml|build\.gradle(\.kts)?)$"
)
_MIGRATIONS = re.compile(
    r"(^|/)(migrations?|alembic/versions|db/migrate)/[^/]+\.(py|sql|rb|js|ts)$"
)
_INTERFACE = re.compile(r"(^|/)(openapi|swagger)[^/]*\.(ya?ml|json)$|\.(proto|graphql|avsc)$")
# Conventional Commits 1.0.0: `type(scope)!: …`, or a footer `BREAKING CHANGE: …`.
_BREAKING_SUBJECT = re.compile(r"^\w+(\([^)]*\))?!:")
_BREAKING_FOOTER = re.compile(r"^BREAKING[ -]CHANGE:", re.MULTILINE)


class Commit(BaseModel):
    """One commit; author and subject are outside text, cleaned."""

    model_config = ConfigDict(frozen=True)
    commit: str
    author: str
    date: str
    subject: str
    breaking: bool = False


class FileChange(BaseModel):
    """One file that differs."""

    model_config = ConfigDict(frozen=True)
    path: str
    change: str


def commits_between(repo: Repository, older: str, newer: str) -> list[Commit]:
    """The commits in `newer` and not in `older`, newest first, at most `MOST_COMMITS`."""
    text = repo.run(
        "log",
        f"--max-count={MOST_COMMITS}",
        "--format=%H%x00%an%x00%cI%x00%s%x00%b%x01",
        f"{older}..{newer}",
        "--",
    )
    found = []
    for entry in filter(None, (part.strip("\n") for part in text.split("\x01"))):
        commit, author, date, subject, body = entry.split("\0", 4)
        found.append(
            Commit(
                commit=commit,
                author=clean(author, 80),
                date=date,
                subject=clean(subject, 160),
                breaking=is_breaking(subject, body),
            )
        )
    return found


def files_between(repo: Repository, older: str, newer: str) -> list[FileChange]:
    """The files that differ between two commits, by path."""
    words = {"A": "added", "D": "deleted", "M": "modified", "T": "type changed"}
    parts = repo.run("diff", "--name-status", "--no-renames", "-z", older, newer, "--").split("\0")
    return [
        FileChange(path=clean(path, 300), change=words.get(letter[:1], letter))
        for letter, path in zip(parts[0::2], parts[1::2], strict=False)
    ]


def is_breaking(subject: str, body: str) -> bool:
    """Whether a commit says itself that it breaks something (Conventional Commits)."""
    return bool(_BREAKING_SUBJECT.match(subject) or _BREAKING_FOOTER.search(body))


def breaking_hints(
    from_version: str, to_version: str, commits: Sequence[Commit], files: Sequence[FileChange]
) -> list[str]:
    """What to look at before upgrading; a hint is a reason to read, not a verdict."""
    hints = []
    before, after = _major(from_version), _major(to_version)
    if before is not None and after is not None and after > before:
        hints.append(f"major version goes from {before} to {after}")
    hints += [f"{c.commit[:12]} says it breaks: {c.subject}" for c in commits if c.breaking]
    for what, chosen in (
        ("database migrations change", [f for f in files if _MIGRATIONS.search(f.path)]),
        ("interface definitions change", [f for f in files if _INTERFACE.search(f.path)]),
        ("dependencies change", [f for f in files if _DEPENDENCIES.search(f.path)]),
        ("files deleted", [f for f in files if f.change == "deleted"]),
    ):
        if chosen:
            named = ", ".join(f.path for f in chosen[:3]) + (", …" if len(chosen) > 3 else "")
            hints.append(f"{what}: {len(chosen)} ({named})")
    return hints


def _major(version: str) -> int | None:
    match = re.match(r"v?(\d+)\.", version)
    return int(match[1]) if match else None
