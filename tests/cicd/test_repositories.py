"""Reading git repositories."""

import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from tests.cicd.conftest import GitRepository, done, refused

from opswright_cicd.history import Commit, FileChange, breaking_hints, is_breaking
from opswright_cicd.locations import locate
from opswright_cicd.repository import natural, opened, pick
from opswright_cicd.server import create_server
from opswright_core.errors import BadInputError, NotFoundError
from opswright_core.settings import Settings


async def test_versions_come_newest_first(connect: Any, repo: GitRepository) -> None:
    repo.git("tag", "v1.0.1", "v1.0.0^{commit}")
    async with connect(create_server) as client:
        answer = await done(client, "list_versions", repository=str(repo.path))
    assert [v["version"] for v in answer["items"]] == ["v1.1.0", "v1.0.1", "v1.0.0"]
    newest = answer["items"][0]
    assert newest["commit"] == repo.git("rev-parse", "v1.1.0^{commit}")
    assert newest["subject"] == "Release v1.1.0"
    assert answer["summary"] == "3 versions, newest v1.1.0"


async def test_a_repository_shows_what_it_builds_from_and_what_is_unreleased(
    connect: Any, repo: GitRepository
) -> None:
    head = repo.commit("fix: third", {"app.py": "print(3)\n"})
    (repo.path / "app.py").write_text("print(4)\n")
    async with connect(create_server) as client:
        answer = await done(client, "inspect_repository", repository=str(repo.path))
        tagged = await done(client, "inspect_repository", repository=str(repo.path), ref="v1.0.0")
    assert answer["commit"] == head
    assert answer["branch"] == "main"
    assert answer["dirty"] is True
    assert (answer["last_version"], answer["commits_since_last_version"]) == ("v1.1.0", 1)
    assert answer["build_files"] == [".github/workflows/ci.yml", "pyproject.toml", "run"]
    assert answer["languages"] == {"Python": 1, "SQL": 1}
    assert (tagged["last_version"], tagged["commits_since_last_version"]) == ("v1.0.0", 0)


async def test_a_comparison_names_what_may_break(connect: Any, repo: GitRepository) -> None:
    async with connect(create_server) as client:
        answer = await done(
            client,
            "compare_versions",
            repository=str(repo.path),
            from_version="v1.0.0",
            to_version="1.1.0",
        )
        backwards = await done(
            client,
            "compare_versions",
            repository=str(repo.path),
            from_version="v1.1.0",
            to_version="v1.0.0",
        )
    assert (answer["commit_count"], answer["to_version"]) == (1, "v1.1.0")
    assert answer["file_counts"] == {"modified": 1, "added": 1, "deleted": 1}
    assert [f["path"] for f in answer["files"]] == ["app.py", "migrations/0001.sql", "old.py"]
    assert answer["is_upgrade"] is True
    hints = " | ".join(answer["breaking_hints"])
    assert "says it breaks: feat!: second" in hints
    assert "migrations change: 1" in hints
    assert backwards["is_upgrade"] is False
    assert backwards["breaking_hints"][0] == "1 commits of v1.1.0 are not in v1.0.0"


async def test_a_remote_repository_is_read_from_a_clone(connect: Any, repo: GitRepository) -> None:
    url = f"file://{repo.path}"
    async with connect(create_server) as client:
        answer = await done(client, "list_versions", repository=url)
        state = await done(client, "inspect_repository", repository=url)
    assert [v["version"] for v in answer["items"]] == ["v1.1.0", "v1.0.0"]
    assert state["dirty"] is None


def test_one_version_of_a_remote_is_cloned_without_the_others(repo: GitRepository) -> None:
    with opened(f"file://{repo.path}", version="1.0.0") as shallow:
        assert [tag.name for tag in shallow.tags()] == ["v1.0.0"]
        assert shallow.run("rev-list", "--count", "--all") == "1"
    with (
        pytest.raises(NotFoundError, match=r"no tag 'v9.0.0'; nearest: v1"),
        opened(f"file://{repo.path}", version="v9.0.0"),
    ):
        pass


async def test_a_git_daemon_serves_as_a_remote(
    connect: Any, repo: GitRepository, unused_port: int
) -> None:
    daemon = subprocess.Popen(
        ["git", "daemon", "--export-all", "--listen=127.0.0.1", f"--port={unused_port}",
         f"--base-path={repo.path.parent}", "--reuseaddr"],
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    try:
        async with connect(create_server) as client:
            for _ in range(50):
                result = await client.call_tool(
                    "list_versions",
                    {"repository": f"git://127.0.0.1:{unused_port}/sample"},
                    raise_on_error=False,
                )
                if not result.is_error:
                    break
                time.sleep(0.1)
        assert result.structured_content["total"] == 2
    finally:
        daemon.terminate()
        daemon.wait()


@pytest.mark.parametrize(
    ("repository", "says"),
    [
        ("--upload-pack=touch /tmp/x", "begin with '-'"),
        ("ext::sh -c touch% /tmp/x", "transport helper"),
        ("ftp://example.com/a.git", "not offered"),
        ("ssh://-oProxyCommand=x/a", "no usable host"),
        ("/no/such/place", "not a directory"),
        ("", "not a repository"),
        ("https://glpat-abc@example.com/a.git", "x-access-token"),
    ],
)
async def test_a_repository_that_git_should_not_see_is_refused(
    connect: Any, repository: str, says: str
) -> None:
    async with connect(create_server) as client:
        said = await refused(client, "list_versions", repository=repository)
    assert says in said
    assert "glpat-abc" not in said


async def test_a_directory_without_git_is_refused(connect: Any, tmp_path: Path) -> None:
    async with connect(create_server) as client:
        said = await refused(client, "inspect_repository", repository=str(tmp_path))
    assert "not a git repository" in said


async def test_refs_that_are_no_refs_are_refused(connect: Any, repo: GitRepository) -> None:
    async with connect(create_server) as client:
        for ref, says in [
            ("--all", "not the name"),
            ("a..b", "not the name"),
            ("gone", "no commit"),
        ]:
            said = await refused(client, "inspect_repository", repository=str(repo.path), ref=ref)
            assert says in said
        said = await refused(
            client,
            "compare_versions",
            repository=str(repo.path),
            from_version="v1.0.0",
            to_version="v1.2.0",
        )
    assert "nearest: v1.1.0" in said or "nearest: v1.0.0" in said


def test_credentials_of_a_url_go_into_the_environment_alone() -> None:
    location = locate("https://user:s3cret@example.com/a.git")
    assert location.shown == location.url == "https://example.com/a.git"
    assert "s3cret" not in repr(location)
    assert list(location.config) == ["http.https://example.com/.extraHeader"]
    with pytest.raises(BadInputError, match="password"):
        locate("ssh://user:pw@example.com/a.git")
    assert locate("git@github.com:a/b.git").url == "git@github.com:a/b.git"


def test_a_failing_clone_says_what_git_said_without_the_credentials(connect: Any) -> None:
    with (
        pytest.raises(
            Exception, match="git clone on http://127.0.0.1:9/a.git failed".replace(".", r"\.")
        ) as caught,
        opened("http://user:s3cret@127.0.0.1:9/a.git"),
    ):
        pass
    assert "s3cret" not in str(caught.value)


def test_versions_sort_as_people_count() -> None:
    names = ["v1.10.0", "v1.9.0", "v1.0.0-rc1", "v1.0.0", "2.0"]
    assert sorted(names, key=natural) == ["v1.0.0-rc1", "v1.0.0", "v1.9.0", "v1.10.0", "2.0"]


def test_a_version_is_found_with_and_without_its_v() -> None:
    assert pick("1.0", ["v1.0"], "r") == "v1.0"
    assert pick("v1.0", ["1.0"], "r") == "1.0"
    with pytest.raises(BadInputError, match="not a version"):
        pick("a/../b", ["v1.0"], "r")
    with pytest.raises(NotFoundError, match="it has no tags"):
        pick("v1", [], "r")


@pytest.mark.parametrize(
    ("subject", "body", "breaks"),
    [
        ("feat!: x", "", True),
        ("fix(api)!: x", "", True),
        ("feat: x", "BREAKING CHANGE: the api\n", True),
        ("feat: x", "no BREAKING CHANGE: here", False),
        ("wow! great", "", False),
    ],
)
def test_a_breaking_commit_is_known_by_its_words(subject: str, body: str, breaks: bool) -> None:
    assert is_breaking(subject, body) is breaks


@pytest.mark.parametrize(
    ("path", "change", "hint"),
    [
        ("package.json", "modified", "dependencies change: 1 (package.json)"),
        ("db/migrate/1_a.rb", "added", "database migrations change: 1 (db/migrate/1_a.rb)"),
        ("api/openapi.yaml", "modified", "interface definitions change: 1 (api/openapi.yaml)"),
        ("a.py", "deleted", "files deleted: 1 (a.py)"),
    ],
)
def test_files_give_hints(path: str, change: str, hint: str) -> None:
    assert breaking_hints("1.0", "1.1", [], [FileChange(path=path, change=change)]) == [hint]


def test_a_major_version_is_a_hint_and_a_quiet_change_none() -> None:
    commit = Commit(commit="a" * 40, author="a", date="d", subject="fix: x")
    assert breaking_hints("v1.2.0", "v2.0.0", [commit], []) == ["major version goes from 1 to 2"]
    assert breaking_hints("v1.2.0", "v1.3.0", [commit], []) == []


async def test_a_tag_is_made_approved_pushed_and_undone(
    connect: Any, settings: Settings, repo: GitRepository, tmp_path: Path
) -> None:
    origin = tmp_path / "origin.git"
    subprocess.run(["git", "init", "--quiet", "--bare", str(origin)], check=True)
    repo.git("remote", "add", "origin", str(origin))
    call = {"repository": str(repo.path), "version": "v1.2.0", "message": "third", "push": True}
    async with connect(create_server) as client:
        assert "not one" in await refused(client, "create_tag", **call)

    from dataclasses import replace

    from fastmcp import Client

    async with Client(create_server(replace(settings, approvals="token"))) as client:
        asked = (await client.call_tool("create_tag", call)).structured_content
        assert asked is not None
        assert asked["status"] == "needs_approval"
        made = await done(client, "create_tag", **call, approval=asked["approval"]["token"])
        assert made["outputs"]["commit"] == repo.git("rev-parse", "HEAD")
        assert "v1.2.0" in repo.git("ls-remote", "--tags", "origin")
        again = await done(client, "create_tag", **call)
        assert again["reused"] is True

        undo = {"change_id": made["change_id"]}
        asked = (await client.call_tool("undo_change", undo)).structured_content
        assert asked is not None
        undone = await done(client, "undo_change", **undo, approval=asked["approval"]["token"])
    assert [c["verdict"] for c in undone["checks"]] == ["PASS", "PASS"]
    assert repo.git("tag", "--list", "v1.2.0") == ""
    assert repo.git("ls-remote", "--tags", "origin") == ""


async def test_a_released_tag_does_not_move(connect: Any, repo: GitRepository) -> None:
    repo.commit("more", {"app.py": "print(9)\n"})
    call = {"repository": str(repo.path), "message": "again", "dry_run": True}
    async with connect(create_server) as client:
        assert "must not move" in await refused(client, "create_tag", version="v1.1.0", **call)
        assert "no remote named origin" in await refused(
            client, "create_tag", version="v1.3.0", push=True, **call
        )
        assert "local repository" in await refused(
            client, "create_tag", version="v2", **{**call, "repository": f"file://{repo.path}"}
        )
