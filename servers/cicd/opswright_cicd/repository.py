"""Reads git repositories: local ones in place, remote ones from a short-lived bare clone."""

import difflib
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from opswright_cicd.locations import SCHEMES, Location, locate
from opswright_core.errors import BadInputError, NotFoundError, OpswrightError
from opswright_core.text import clean

GIT_SECONDS = 120.0
"""The longest a git command may take before it is stopped."""

_REF = re.compile(r"[A-Za-z0-9_@][\w./@+~^-]{0,199}")
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}")

_SETTINGS = {
    "core.fsmonitor": "false",  # a repository's own configuration could name a command here
    "core.quotePath": "false",
    "core.autocrlf": "false",
    "tar.umask": "0022",  # the same archive whoever makes it
}


class GitError(OpswrightError):
    """A git command failed; the message is what git said, without credentials."""


@dataclass(frozen=True)
class Tag:
    """A tag that points to a commit.

    `date` is ISO 8601, of the tag, or of the commit of a plain tag.
    """

    name: str
    commit: str
    date: str
    subject: str


@dataclass(frozen=True)
class Repository:
    """An open repository; every command goes through `run`, with a time limit."""

    git: Any
    shown: str
    is_local: bool
    has_work_tree: bool

    def run(self, *arguments: str, **options: Any) -> str:
        """Run a git command and return its output. Raises GitError."""
        return _run(self.git, arguments, self.shown, **options)

    def tags(self) -> list[Tag]:
        """Every tag of a commit, newest first; of one moment, the higher version first."""
        fields = "%(refname:strip=2)%00%(objectname)%00%(*objectname)%00%(objecttype)%(*objecttype)"
        fields += "%00%(creatordate:iso-strict)%00%(contents:subject)"
        found = []
        for line in self.run("for-each-ref", f"--format={fields}", "refs/tags").splitlines():
            name, own, pointed, kinds, date, subject = line.split("\0", 5)
            if kinds in {"commit", "tagcommit"}:
                found.append(Tag(name, pointed or own, date, clean(subject, 200)))
        return sorted(found, key=lambda tag: (_moment(tag.date), natural(tag.name)), reverse=True)

    def tag(self, version: str) -> Tag:
        """The tag of a version, with or without its leading v.

        Raises NotFoundError with the nearest names.
        """
        by_name = {tag.name: tag for tag in self.tags()}
        return by_name[pick(version, list(by_name), self.shown)]

    def commit(self, ref: str) -> str:
        """The full id of the commit a ref names. Raises BadInputError, NotFoundError."""
        if not _REF.fullmatch(ref) or ".." in ref:
            raise BadInputError(f"{clean(ref, 80)!r} is not the name of a branch, tag or commit.")
        try:
            return self.run(
                "rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}"
            )
        except GitError as exc:
            raise NotFoundError(
                f"{self.shown} has no commit {ref!r}; list_versions shows its tags."
            ) from exc


@contextmanager
def opened(repository: str, *, version: str | None = None) -> Iterator[Repository]:
    """Open a repository for reading.

    A remote one is cloned bare and without file contents into a temporary directory; with
    `version`, only
    the commit of that tag, with its contents. Raises BadInputError, NotFoundError, GitError.
    """
    import git

    location = locate(repository)
    if location.path is not None:
        try:
            repo = git.Repo(location.path, search_parent_directories=False)
        except (git.InvalidGitRepositoryError, git.NoSuchPathError) as exc:
            raise BadInputError(
                f"{location.shown} is not a git repository (no .git in it). Name the repository's "
                "top directory."
            ) from exc
        with repo:
            repo.git.update_environment(**_environment({}))
            yield Repository(repo.git, location.shown, True, not repo.bare)
        return
    with tempfile.TemporaryDirectory(prefix="opswright-git-", ignore_cleanup_errors=True) as folder:
        _clone(location, folder, version)
        with git.Repo(folder) as repo:
            repo.git.update_environment(**_environment(location.config))
            yield Repository(repo.git, location.shown, False, False)


def pick(version: str, names: Sequence[str], shown: str) -> str:
    """The tag meant by a version. Raises BadInputError, or NotFoundError with the nearest names."""
    if not _VERSION.fullmatch(version):
        raise BadInputError(
            f"{clean(version, 80)!r} is not a version: letters, digits and . _ + - (at most 64), "
            "beginning with a letter or digit."
        )
    for name in (version, f"v{version}", version.removeprefix("v")):
        if name in names:
            return name
    near = difflib.get_close_matches(version, names, 3, 0.5) or list(names)[:3]
    offered = f"nearest: {', '.join(near)}" if near else "it has no tags; make one with create_tag"
    raise NotFoundError(f"{shown} has no tag {version!r}; {offered}.")


def natural(name: str) -> list[tuple[int, int | str]]:
    """A sort key under which v1.10.0 comes after v1.9.0, and v1.0.0-rc1 before v1.0.0."""
    main, _, pre = name.removeprefix("v").partition("-")
    key: list[tuple[int, int | str]] = [_part(part) for part in re.findall(r"\d+|[A-Za-z]+", main)]
    return [*key, (-1, pre)] if pre else [*key, (0, 0)]


def _part(part: str) -> tuple[int, int | str]:
    return (2, int(part)) if part.isdigit() else (1, part)


def _moment(date: str) -> float:
    from datetime import datetime

    return datetime.fromisoformat(date).timestamp()


def _clone(location: Location, folder: str, version: str | None) -> None:
    import git

    command = git.Git(folder)
    command.update_environment(**_environment(location.config))
    if version is None:
        wanted = ["--filter=blob:none"]
    else:
        listed = _run(
            command, ("ls-remote", "--tags", "--refs", "--", location.url), location.shown
        )
        names = [line.partition("refs/tags/")[2] for line in listed.splitlines()]
        wanted = ["--depth=1", f"--branch={pick(version, names[::-1], location.shown)}"]
    clone = ("clone", "--quiet", "--bare", *wanted, "--", location.url, folder)
    _run(command, clone, location.shown)


def _run(git: Any, arguments: Sequence[str], shown: str, **options: Any) -> str:
    from git import GitCommandError

    try:
        output = git.execute(["git", *arguments], kill_after_timeout=GIT_SECONDS, **options)
    except GitCommandError as exc:
        said = clean(re.sub(r"^\s*stderr:\s*", "", str(exc.stderr)).strip(" '\n"), 400)
        raise GitError(f"git {arguments[0]} on {shown} failed: {said or exc.status}") from exc
    return str(output)


def _environment(config: dict[str, str]) -> dict[str, str]:
    """What git runs with: no prompts, the transports offered, settings no file overrides."""
    settings = {**_SETTINGS, **config}
    pairs: dict[str, str] = {}
    for number, (key, value) in enumerate(settings.items()):
        pairs |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return {
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ALLOW_PROTOCOL": ":".join(SCHEMES),
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_CONFIG_COUNT": str(len(settings)),
        "GIT_SSH_COMMAND": "ssh -o BatchMode=yes",
        "LC_ALL": "C.UTF-8",
        **pairs,
    }
