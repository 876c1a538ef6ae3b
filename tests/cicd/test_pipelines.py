"""Judging pipeline files."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.cicd.conftest import done, refused

from opswright_cicd.pipeline_rules import judge_github, judge_gitlab
from opswright_cicd.server import create_server

SHA = "a" * 40
GITHUB = [
    (f"steps: [{{uses: actions/checkout@{SHA}}}]", []),
    ("steps: [{uses: actions/checkout@v4}]", ["unpinned-action"]),
    ("steps: [{uses: ./local}]", []),
    ("steps: [{uses: 'docker://alpine:3'}]", ["unpinned-image"]),
    ("steps: [{uses: 'docker://alpine@sha256:abc'}]", []),
    ("steps: [{run: 'echo ${{ secrets.KEY }}'}]", ["secret-echoed"]),
    ("steps: [{run: 'echo ${{ secrets.KEY }} | docker login --password-stdin'}]", []),
    ("steps: [{run: 'deploy --key ${{ secrets.KEY }}'}]", []),
    ("steps: [{run: 'echo ${{ github.event.issue.title }}'}]", ["script-injection"]),
    ("steps: [{run: 'git checkout ${{ github.head_ref }}'}]", ["script-injection"]),
    ("steps: [{run: 'echo ${{ github.sha }}'}]", []),
    ("permissions: write-all\nsteps: []", ["write-all-permissions"]),
    ("uses: org/repo/.github/workflows/a.yml@main", ["unpinned-action"]),
]


@pytest.mark.parametrize(("job", "rules"), GITHUB)
def test_github_jobs(job: str, rules: list[str]) -> None:
    body = {"timeout-minutes": 5, **yaml.safe_load(job)}
    workflow = {True: "push", "permissions": {"contents": "read"}, "jobs": {"build": body}}
    assert [f.rule for f in judge_github(workflow)] == rules


def test_a_bare_github_workflow_lacks_permissions_and_a_timeout() -> None:
    found = judge_github({"on": "push", "jobs": {"build": {"steps": None}}})
    assert [f.rule for f in found] == ["missing-permissions", "no-timeout"]
    own = {"permissions": {}, "timeout-minutes": 1}
    assert judge_github({"on": "push", "jobs": {"build": own}}) == []


@pytest.mark.parametrize(
    "trigger", ["pull_request_target", ["pull_request_target"], {"pull_request_target": None}]
)
def test_a_strangers_code_must_not_run_with_the_secrets(trigger: Any) -> None:
    ref = {"ref": "${{ github.event.pull_request.head.sha }}"}
    steps = [{"uses": f"actions/checkout@{SHA}", "with": ref}]
    job = {"timeout-minutes": 1, "permissions": {}, "steps": steps}
    assert [f.rule for f in judge_github({True: trigger, "jobs": {"b": job}})] == [
        "untrusted-checkout"
    ]
    assert judge_github({True: "pull_request", "jobs": {"b": job}}) == []


GITLAB = [
    ("job: {script: [make], timeout: 1h}", []),
    ("job: {script: [make]}", ["no-timeout"]),
    ("default: {timeout: 1h}\njob: {script: make}", []),
    ("job: {script: [make], timeout: 1h, image: python}", ["unpinned-image"]),
    ("image: {name: 'reg.io:5000/py:latest'}", ["unpinned-image"]),
    ("image: 'reg.io:5000/py:3.12'", []),
    ("image: $IMAGE", []),
    ("include: [{remote: 'https://x/y.yml'}]", ["unpinned-include"]),
    ("include: {project: a/b, ref: main, file: x}", ["unpinned-include"]),
    (f"include: [{{project: a/b, ref: {SHA}, file: x}}, local.yml]", []),
    ("job: {script: ['echo $DB_PASSWORD'], timeout: 1h}", ["secret-echoed"]),
    ("before_script: ['echo \"${API_KEY}\"']", ["secret-echoed"]),
    ("job: {script: ['echo $CI_JOB_TOKEN | docker login'], timeout: 1h}", []),
    (".hidden: {script: [make]}\nvariables: {A: b}", []),
]


@pytest.mark.parametrize(("text", "rules"), GITLAB)
def test_gitlab_pipelines(text: str, rules: list[str]) -> None:
    assert [f.rule for f in judge_gitlab(yaml.safe_load(text))] == rules


async def test_a_repository_is_reviewed_worst_first_and_what_cannot_be_read_is_named(
    connect: Any, tmp_path: Path
) -> None:
    workflows = tmp_path / ".github" / "workflows"
    workflows.mkdir(parents=True)
    (workflows / "a.yml").write_text(
        "on: push\njobs:\n  b:\n    steps:\n      - uses: actions/checkout@v4\n"
        "      - run: echo ${{ secrets.TOKEN }}\n"
    )
    (workflows / "broken.yaml").write_text("a: [")
    (workflows / "big.yml").write_text("#" * 300_000)
    (tmp_path / ".gitlab-ci.yml").write_text(
        "job:\n  timeout: 1h\n  script:\n    - !reference [.x, script]\n"
    )
    async with connect(create_server) as client:
        answer = await done(client, "review_pipeline", path=str(tmp_path))
    assert [f["rule"] for f in answer["items"]] == [
        "secret-echoed", "missing-permissions", "unpinned-action", "no-timeout",
    ]  # fmt: skip
    assert answer["items"][0]["file"] == ".github/workflows/a.yml"
    assert answer["summary"] == "2 files read: 1 high, 2 medium, 1 low"
    assert [u.split(":")[0] for u in answer["unread"]] == [
        ".github/workflows/big.yml", ".github/workflows/broken.yaml",
    ]  # fmt: skip


async def test_what_is_no_pipeline_is_refused(connect: Any, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("x")
    async with connect(create_server) as client:
        assert "has no .github" in await refused(client, "review_pipeline", path=str(tmp_path))
        assert "not a YAML file" in await refused(
            client, "review_pipeline", path=str(tmp_path / "a.txt")
        )
