"""Reads git repositories: their versions, what is in them, what changed."""

from collections import Counter
from pathlib import PurePosixPath
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from opswright_cicd.history import (
    Commit,
    FileChange,
    breaking_hints,
    commits_between,
    files_between,
)
from opswright_cicd.repository import GitError, Repository, Tag, opened
from opswright_core.errors import NotFoundError
from opswright_core.pages import Page, page
from opswright_core.runtime import runtime
from opswright_core.text import clean
from opswright_core.tools import read_tool

RepositoryName = Annotated[str, Field(description="Local path or git URL", max_length=500)]
VersionName = Annotated[str, Field(description="Tag, like v1.2.0", max_length=64)]
Cursor = Annotated[str | None, Field(description="From the page before")]

BUILD_FILES = {
    "Dockerfile",
    "Procfile",
    "app.json",
    "pyproject.toml",
    "requirements.txt",
    "package.json",
    "go.mod",
    "Cargo.toml",
    "pom.xml",
    "build.gradle",
    "Makefile",
    "Gemfile",
    "buildspec.yml",
    "buildspec.yaml",
    ".gitlab-ci.yml",
    "Jenkinsfile",
    "docker-compose.yml",
    "compose.yaml",
    "run",
}
LANGUAGES = {
    ".py": "Python",
    ".js": "JavaScript",
    ".ts": "TypeScript",
    ".tsx": "TypeScript",
    ".go": "Go",
    ".rs": "Rust",
    ".java": "Java",
    ".kt": "Kotlin",
    ".rb": "Ruby",
    ".php": "PHP",
    ".cs": "C#",
    ".sh": "Shell",
    ".tf": "Terraform",
    ".c": "C",
    ".cpp": "C++",
    ".html": "HTML",
    ".css": "CSS",
    ".sql": "SQL",
}


class Version(BaseModel):
    """A tagged version."""

    model_config = ConfigDict(frozen=True)
    version: str
    commit: str
    date: str
    subject: str


class RepositoryState(BaseModel):
    """What is in a repository at one commit."""

    model_config = ConfigDict(frozen=True)
    repository: str
    ref: str
    branch: str | None = Field(description="Checked-out branch; absent when detached")
    commit: str
    subject: str
    dirty: bool | None = Field(description="Uncommitted changes; absent without a work tree")
    last_version: str | None
    commits_since_last_version: int
    languages: dict[str, int] = Field(description="Files per language, most first")
    build_files: list[str]


class Comparison(BaseModel):
    """What changed from one version to another."""

    model_config = ConfigDict(frozen=True)
    repository: str
    from_version: str
    to_version: str
    from_commit: str
    to_commit: str
    is_upgrade: bool = Field(description="Whether to_version contains all of from_version")
    commit_count: int
    file_counts: dict[str, int]
    breaking_hints: list[str]
    commits: Page[Commit]
    files: list[FileChange] = Field(description="The first 50")


@read_tool
def list_versions(repository: RepositoryName, cursor: Cursor = None) -> Page[Version]:
    """List the tagged versions of a git repository, newest first."""

    def read() -> list[Tag]:
        with opened(repository) as repo:
            return repo.tags()

    tags = runtime().snapshots.get(cursor, ("list_versions", repository), read)
    versions = [
        Version(version=t.name, commit=t.commit, date=t.date, subject=t.subject) for t in tags
    ]
    newest = f", newest {tags[0].name}" if tags else "; make one with create_tag"
    return page(versions, cursor=cursor, summary=f"{len(tags)} versions{newest}")


@read_tool
def inspect_repository(
    repository: RepositoryName,
    ref: Annotated[str, Field(description="Branch, tag or commit", max_length=200)] = "HEAD",
) -> RepositoryState:
    """Show what a repository holds: commit, languages, build files, unreleased work."""
    with opened(repository) as repo:
        commit = repo.commit(ref)
        paths = repo.run("ls-tree", "-r", "-z", "--name-only", "--full-tree", commit).split("\0")
        languages = Counter(
            language for p in paths if (language := LANGUAGES.get(PurePosixPath(p).suffix))
        )
        last = _last_tag(repo, commit)
        since = repo.run("rev-list", "--count", f"{last}..{commit}" if last else commit, "--")
        return RepositoryState(
            repository=repo.shown,
            ref=ref,
            branch=_branch(repo),
            commit=commit,
            subject=clean(repo.run("log", "-1", "--format=%s", commit, "--"), 160),
            dirty=bool(repo.run("status", "--porcelain")) if repo.has_work_tree else None,
            last_version=last,
            commits_since_last_version=int(since),
            languages=dict(languages.most_common()),
            build_files=sorted(clean(p, 200) for p in paths if is_build_file(p))[:100],
        )


@read_tool
def compare_versions(
    repository: RepositoryName,
    from_version: VersionName,
    to_version: VersionName,
    cursor: Cursor = None,
) -> Comparison:
    """Show what changed between two versions: commits, files, and hints of breaking changes."""
    key = ("compare_versions", repository, from_version, to_version)
    found, commits = runtime().snapshots.get(
        cursor, key, lambda: _compared(repository, from_version, to_version)
    )
    shown = page(commits, cursor=cursor, limit=25, summary=f"{len(commits)} commits")
    return found.model_copy(update={"commits": shown})


def _compared(
    repository: str, from_version: str, to_version: str
) -> tuple[Comparison, list[Commit]]:
    """What changed but for the commits, which come in pages, and all of those."""
    with opened(repository) as repo:
        older, newer = repo.tag(from_version), repo.tag(to_version)
        commits = commits_between(repo, older.commit, newer.commit)
        files = files_between(repo, older.commit, newer.commit)
        missing = repo.run("rev-list", "--count", f"{newer.commit}..{older.commit}", "--")
    hints = breaking_hints(older.name, newer.name, commits, files)
    if missing != "0":
        hints.insert(0, f"{missing} commits of {older.name} are not in {newer.name}")
    found = Comparison(
        repository=repo.shown,
        from_version=older.name,
        to_version=newer.name,
        from_commit=older.commit,
        to_commit=newer.commit,
        is_upgrade=missing == "0",
        commit_count=len(commits),
        file_counts=dict(Counter(f.change for f in files)),
        breaking_hints=hints[:20],
        commits=Page[Commit](items=[], total=len(commits)),
        files=files[:50],
    )
    return found, commits


def is_build_file(path: str) -> bool:
    """Whether a path says how the software is built, run or delivered."""
    pure = PurePosixPath(path)
    workflow = pure.match(".github/workflows/*.yml") or pure.match(".github/workflows/*.yaml")
    return workflow or (len(pure.parts) <= 2 and pure.name in BUILD_FILES)


def _branch(repo: Repository) -> str | None:
    try:
        return clean(repo.run("symbolic-ref", "--quiet", "--short", "HEAD"), 200)
    except GitError:
        return None


def _last_tag(repo: Repository, commit: str) -> str | None:
    try:
        return repo.run("describe", "--tags", "--abbrev=0", commit)
    except (GitError, NotFoundError):
        return None
