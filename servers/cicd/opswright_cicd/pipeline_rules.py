"""What is wrong in a pipeline file: pure judgements over parsed GitHub Actions and GitLab CI YAML.

Sources: GitHub's "Security hardening for GitHub Actions" (pinning, permissions, script injection,
pull_request_target), GitLab's "Pipeline security" and CI/CD YAML reference.
"""

import re
from collections.abc import Iterator
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

Rule = Literal[
    "unpinned-action",
    "unpinned-image",
    "unpinned-include",
    "missing-permissions",
    "write-all-permissions",
    "no-timeout",
    "secret-echoed",
    "script-injection",
    "untrusted-checkout",
]
Severity = Literal["high", "medium", "low"]

_SHA = re.compile(r"@[0-9a-f]{40}$")
_PRINTS = re.compile(r"\b(echo|printf|cat\s*<<<|Write-Host|Write-Output|print)\b|\bset\s+-\w*x")
_GITHUB_SECRET = re.compile(r"\$\{\{[^}]*\bsecrets\.(\w+)")
_GITLAB_SECRET = re.compile(r"\$\{?(\w*(?:TOKEN|PASSWORD|SECRET|PRIVATE_KEY|API_KEY)\w*)\}?")
# Where GitHub lets a stranger choose the text.
_STRANGER = re.compile(
    r"\$\{\{[^}]*\b(github\.head_ref|github\.event\.(?:issue|pull_request|comment|review|discussion|pages|commits"
    r"|head_commit|workflow_run)[\w.*\[\]']*\.(?:title|body|message|name|email|ref|label|head_branch))\b"
)
_GITLAB_RESERVED = frozenset(
    [
        "default",
        "include",
        "stages",
        "variables",
        "workflow",
        "image",
        "services",
        "cache",
        "before_script",
        "after_script",
        "spec",
        "pages:deploy",
    ]
)


class PipelineFinding(BaseModel):
    """One thing to mend in a pipeline."""

    model_config = ConfigDict(frozen=True)
    file: str = ""
    job: str
    rule: Rule
    severity: Severity
    detail: str
    fix: str


def judge_github(workflow: dict[Any, Any]) -> list[PipelineFinding]:
    """Judge one GitHub Actions workflow."""
    return list(_github(workflow))


def judge_gitlab(pipeline: dict[Any, Any]) -> list[PipelineFinding]:
    """Judge one .gitlab-ci.yml."""
    return list(_gitlab(pipeline))


def _finding(job: str, rule: Rule, severity: Severity, detail: str, fix: str) -> PipelineFinding:
    return PipelineFinding(job=job, rule=rule, severity=severity, detail=detail, fix=fix)


def _github(workflow: dict[Any, Any]) -> Iterator[PipelineFinding]:
    jobs = {str(k): v for k, v in _mapping(workflow.get("jobs")).items() if isinstance(v, dict)}
    triggers = workflow.get("on", workflow.get(True))  # YAML 1.1 reads a bare `on` as true
    from_strangers = "pull_request_target" in (
        triggers if isinstance(triggers, dict | list) else [triggers]
    )
    permissions = workflow.get("permissions")
    if permissions is None and any("permissions" not in job for job in jobs.values()):
        yield _finding(
            "",
            "missing-permissions",
            "medium",
            "no permissions block: jobs get the repository's default token",
            "add `permissions: {contents: read}` at the top",
        )
    for name, block in [("", permissions), *((n, j.get("permissions")) for n, j in jobs.items())]:
        if block == "write-all":
            yield _finding(
                name,
                "write-all-permissions",
                "high",
                "the token may write everything",
                "name what is needed",
            )
    for name, job in jobs.items():
        if "uses" in job:
            yield from _uses(name, job["uses"])
        elif "timeout-minutes" not in job:
            yield _finding(
                name,
                "no-timeout",
                "low",
                "a job that hangs runs for 6 hours",
                "set `timeout-minutes`",
            )
        for step in job.get("steps") or []:
            if isinstance(step, dict):
                yield from _uses(name, step.get("uses"))
                yield from _github_script(name, str(step.get("run") or ""))
                if from_strangers:
                    yield from _checkout(name, step)


def _uses(job: str, uses: Any) -> Iterator[PipelineFinding]:
    text = str(uses or "")
    if not text or text.startswith("./"):
        return
    if text.startswith("docker://"):
        if "@sha256:" not in text:
            yield _finding(job, "unpinned-image", "medium", text, "pin the image by digest")
    elif not _SHA.search(text):
        yield _finding(
            job,
            "unpinned-action",
            "medium",
            f"{text} can change under you",
            "pin it to a full commit id",
        )


def _github_script(job: str, script: str) -> Iterator[PipelineFinding]:
    for line in script.splitlines():
        if (
            (secret := _GITHUB_SECRET.search(line))
            and _PRINTS.search(line)
            and not _redirected(line)
        ):
            yield _finding(
                job,
                "secret-echoed",
                "high",
                f"prints {secret[1]}: masking misses any transformed copy",
                "pass it in `env` and never print it",
            )
    if stranger := _STRANGER.search(script):
        yield _finding(
            job,
            "script-injection",
            "high",
            f"{stranger[1]} is put into the script as code",
            'pass it in `env` and use "$NAME"',
        )


def _checkout(job: str, step: dict[Any, Any]) -> Iterator[PipelineFinding]:
    ref = str(_mapping(step.get("with")).get("ref", ""))
    if "actions/checkout" in str(step.get("uses")) and re.search(r"head[._](sha|ref)|/merge", ref):
        yield _finding(
            job,
            "untrusted-checkout",
            "high",
            "pull_request_target runs a stranger's code with the secrets",
            "use `pull_request`, or do not check out the head",
        )


def _gitlab(pipeline: dict[Any, Any]) -> Iterator[PipelineFinding]:
    default = _mapping(pipeline.get("default"))
    shared = default.get("timeout")
    for include in _listed(pipeline.get("include")):
        if isinstance(include, dict) and (
            "remote" in include or ("project" in include and not _is_pinned(include.get("ref")))
        ):
            where = str(include.get("remote") or include.get("project"))
            yield _finding(
                "",
                "unpinned-include",
                "medium",
                f"{where} can change under you",
                "include a project at a full commit id",
            )
    for name, image in (("", pipeline.get("image")), ("", default.get("image"))):
        yield from _image(name, image)
    yield from _gitlab_scripts("", pipeline)
    yield from _gitlab_scripts("", default)
    for key, job in pipeline.items():
        if key in _GITLAB_RESERVED or not isinstance(job, dict) or str(key).startswith("."):
            continue
        yield from _image(str(key), job.get("image"))
        yield from _gitlab_scripts(str(key), job)
        if (
            "timeout" not in job
            and shared is None
            and "trigger" not in job
            and "extends" not in job
        ):
            yield _finding(
                str(key),
                "no-timeout",
                "low",
                "only the project's limit ends a job that hangs",
                "set `timeout` here or in `default`",
            )


def _image(job: str, image: Any) -> Iterator[PipelineFinding]:
    name = str((image.get("name") if isinstance(image, dict) else image) or "")
    last = name.rpartition("/")[2]
    if (
        name
        and "$" not in name
        and "@sha256:" not in name
        and (":" not in last or last.endswith(":latest"))
    ):
        yield _finding(
            job,
            "unpinned-image",
            "medium",
            f"{name} can change under you",
            "name a version or a digest",
        )


def _gitlab_scripts(job: str, holder: dict[Any, Any]) -> Iterator[PipelineFinding]:
    for part in ("before_script", "script", "after_script"):
        for command in _listed(holder.get(part)):
            for line in str(command).splitlines():
                if (
                    (secret := _GITLAB_SECRET.search(line))
                    and _PRINTS.search(line)
                    and not _redirected(line)
                ):
                    yield _finding(
                        job,
                        "secret-echoed",
                        "high",
                        f"prints {secret[1]}",
                        "never print it; mask the variable",
                    )


def _redirected(line: str) -> bool:
    """Whether the line hands what it prints to a command or a file instead of the log."""
    return "|" in line or ">" in line.replace("2>&1", "")


def _is_pinned(ref: Any) -> bool:
    return bool(re.fullmatch(r"[0-9a-f]{40}", str(ref or "")))


def _mapping(value: Any) -> dict[Any, Any]:
    return value if isinstance(value, dict) else {}


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]
