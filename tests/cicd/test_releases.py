"""Building releases: the same tag, the same bytes; kept with their digest."""

import hashlib
import tarfile
from pathlib import Path
from typing import Any

import pytest
from tests.cicd.conftest import BUCKET, GitRepository, Stage, done, refused

from opswright_cicd.artifact import MOST_BYTES, Entry, built, check_tree, warnings
from opswright_cicd.repository import opened
from opswright_cicd.server import create_server
from opswright_core.errors import BadInputError


def release_of(repo: GitRepository, version: str = "v1.0.0", **other: Any) -> dict[str, Any]:
    return {
        "application": "shop",
        "repository": str(repo.path),
        "version": version,
        "bucket": BUCKET,
        **other,
    }


def keys(stage: Stage) -> list[str]:
    listed = stage.client_of("s3").list_objects_v2(Bucket=BUCKET)
    return [item["Key"] for item in listed.get("Contents", [])]


def test_the_same_tag_gives_the_same_bytes(repo: GitRepository, tmp_path: Path) -> None:
    with opened(str(repo.path)) as first, built(first, first.tag("v1.0.0").commit) as artifact:
        here = artifact.sha256
        with tarfile.open(artifact.path) as archive:
            names = archive.getnames()
            assert archive.getmember("run").mode == 0o755
    copy = tmp_path / "copy"
    repo.git("clone", "--quiet", str(repo.path), str(copy))
    with opened(str(copy)) as second, built(second, second.tag("v1.0.0").commit) as artifact:
        assert artifact.sha256 == here
    with opened(str(repo.path)) as third, built(third, third.tag("v1.1.0").commit) as artifact:
        assert artifact.sha256 != here
    assert {"run", "app.py", "old.py"} <= set(names)


async def test_a_release_is_stored_under_its_digest_and_verified(
    connect: Any, repo: GitRepository, stage: Stage
) -> None:
    async with connect(create_server) as client:
        planned = await client.call_tool("build_release", {**release_of(repo), "dry_run": True})
        assert planned.structured_content["status"] == "planned"
        assert keys(stage) == []
        change = await done(client, "build_release", **release_of(repo))
    made = change["outputs"]
    body = stage.client_of("s3").get_object(Bucket=BUCKET, Key=made["artifact_key"])
    content = body["Body"].read()
    assert hashlib.sha256(content).hexdigest() == made["artifact_sha256"]
    assert made["artifact_key"] == f"releases/shop/v1.0.0/{made['artifact_sha256'][:12]}.tar.gz"
    assert made["size_bytes"] == len(content)
    assert made["commit"] == repo.git("rev-parse", "v1.0.0^{commit}")
    assert body["Metadata"]["commit"] == made["commit"]
    assert {c["verdict"] for c in change["checks"]} == {"PASS"}


async def test_a_release_is_built_from_a_remote_too(
    connect: Any, repo: GitRepository, stage: Stage
) -> None:
    async with connect(create_server) as client:
        local = await done(client, "build_release", **release_of(repo))
        remote = await done(
            client, "build_release", **release_of(repo, repository=f"file://{repo.path}")
        )
    assert remote["outputs"]["artifact_sha256"] == local["outputs"]["artifact_sha256"]
    assert len(keys(stage)) == 1
    assert remote["resources"] == []


async def test_a_repeat_changes_nothing_and_undo_removes_the_artifact(
    connect: Any, repo: GitRepository, stage: Stage
) -> None:
    async with connect(create_server) as client:
        change = await done(client, "build_release", **release_of(repo))
        again = await done(client, "build_release", **release_of(repo))
        assert (again["reused"], again["change_id"]) == (True, change["change_id"])
        undone = await done(client, "undo_change", change_id=change["change_id"])
        assert [c["verdict"] for c in undone["checks"]] == ["PASS"]
        assert keys(stage) == []


async def test_an_artifact_that_was_replaced_is_not_taken_for_the_release(
    connect: Any, repo: GitRepository, stage: Stage
) -> None:
    async with connect(create_server) as client:
        change = await done(client, "build_release", **release_of(repo))
        key = change["outputs"]["artifact_key"]
        stage.client_of("s3").put_object(Bucket=BUCKET, Key=key, Body=b"evil")
        said = await refused(client, "build_release", **release_of(repo))
    assert "holds other bytes" in said


async def test_a_released_tag_that_moved_is_refused(
    connect: Any, repo: GitRepository, stage: Stage
) -> None:
    async with connect(create_server) as client:
        await done(client, "build_release", **release_of(repo))
        repo.git("tag", "--force", "v1.0.0", "main")
        said = await refused(client, "build_release", **release_of(repo))
    assert "must not move" in said


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"version": "v1.2.0"}, "nearest: v1."),
        ({"version": "--exec=x"}, "not a version"),
        ({"repository": "-x"}, "begin with '-'"),
        ({"repository": "ext::sh -c id"}, "transport helper"),
        ({"bucket": "no-such-bucket"}, "no bucket 'no-such-bucket'"),
        ({"bucket": "Bad_Bucket"}, "pattern"),
        ({"application": "../x"}, "pattern"),
    ],
)
async def test_what_cannot_be_released_is_refused_before_anything_is_sent(
    connect: Any, repo: GitRepository, stage: Stage, wrong: dict[str, str], says: str
) -> None:
    async with connect(create_server) as client:
        said = await refused(client, "build_release", **release_of(repo, **wrong))
    assert says in said
    assert keys(stage) == []


async def test_a_link_that_leaves_the_release_is_refused(
    connect: Any, repo: GitRepository, stage: Stage
) -> None:
    (repo.path / "leak").symlink_to("/etc/passwd")
    repo.commit("leak", {})
    repo.tag("v2.0.0")
    async with connect(create_server) as client:
        said = await refused(client, "build_release", **release_of(repo, "v2.0.0"))
    assert "'leak' points to '/etc/passwd', outside" in said


async def test_a_release_that_cannot_start_is_warned_about(
    connect: Any, repo: GitRepository, stage: Stage
) -> None:
    (repo.path / "run").unlink()
    repo.commit("no run", {})
    repo.tag("v2.0.0")
    async with connect(create_server) as client:
        planned = await client.call_tool(
            "build_release", {**release_of(repo, "v2.0.0"), "dry_run": True}
        )
    assert "neither an executable `run` nor a Procfile" in str(planned.structured_content)


@pytest.mark.parametrize(
    ("entries", "says"),
    [
        ([], "0 files"),
        ([Entry("100644", "a", MOST_BYTES + 1, "big")], "1 files"),
        ([Entry("100644", "a", 1, "../x")], "leaves the release"),
        ([Entry("100644", "a", 1, "a\\b")], "leaves the release"),
        ([Entry("120000", "../../x", 1, "a/link")], "outside the release"),
    ],
)
def test_a_tree_that_cannot_be_a_release(entries: list[Entry], says: str) -> None:
    with pytest.raises(BadInputError, match=says):
        check_tree(entries, lambda object_id: object_id)


def test_a_tree_that_can() -> None:
    check_tree([Entry("120000", "../x", 1, "a/link"), Entry("100755", "b", 1, "run")], str)
    assert warnings([Entry("100644", "b", 1, "Procfile")]) == ()
    assert (
        "Submodules" in warnings([Entry("160000", "b", 0, "m"), Entry("100755", "b", 1, "run")])[0]
    )
