"""Reviews pipeline files."""

from collections import Counter
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from opswright_cicd.pipeline_rules import PipelineFinding, Severity, judge_github, judge_gitlab
from opswright_cicd.tools.repositories import Cursor
from opswright_core.errors import BadInputError, NotFoundError
from opswright_core.local_paths import local_path
from opswright_core.pages import Page, page
from opswright_core.text import clean
from opswright_core.tools import read_tool

MOST_BYTES = 256 * 1024
MOST_FILES = 100
_ORDER: dict[Severity, int] = {"high": 0, "medium": 1, "low": 2}


@read_tool(toolset="pipelines")
def review_pipeline(
    path: Annotated[str, Field(description="Pipeline file, or a repository", max_length=500)],
    cursor: Cursor = None,
) -> Page[PipelineFinding]:
    """Judge GitHub Actions and GitLab CI files: pins, permissions, leaks, injection, timeouts."""
    top = local_path(path)
    findings: list[PipelineFinding] = []
    unread: list[str] = []
    files = pipeline_files(top)
    for file in files:
        name = str(file.relative_to(top)) if top.is_dir() else file.name
        parsed = _parse(file)
        if isinstance(parsed, str):
            unread.append(f"{clean(name, 200)}: {parsed}")
            continue
        found = judge_gitlab(parsed) if is_gitlab(file) else judge_github(parsed)
        findings += [
            f.model_copy(
                update={
                    "file": clean(name, 200),
                    "job": clean(f.job, 80),
                    "detail": clean(f.detail, 200),
                }
            )
            for f in found
        ]
    findings.sort(key=lambda f: (_ORDER[f.severity], f.file, f.job))
    counts = Counter(f.severity for f in findings)
    said = ", ".join(f"{counts[s]} {s}" for s in _ORDER if counts[s]) or "nothing to mend"
    return page(
        findings,
        cursor=cursor,
        unread=unread,
        summary=f"{len(files) - len(unread)} files read: {said}",
    )


def pipeline_files(top: Path) -> list[Path]:
    """The pipeline files of a repository, or the one file named.

    Raises NotFoundError, BadInputError.
    """
    if top.is_file():
        if top.suffix not in {".yml", ".yaml"}:
            raise BadInputError(f"{str(top)!r} is not a YAML file.")
        return [top]
    workflows = top / ".github" / "workflows"
    found = [
        file
        for file in [*sorted(workflows.glob("*.y*ml")), top / ".gitlab-ci.yml"]
        if file.is_file() and not file.is_symlink()
    ]
    if not found:
        raise NotFoundError(
            f"{str(top)!r} has no .github/workflows/*.yml and no .gitlab-ci.yml. Name a "
            "repository's top directory "
            "or one file."
        )
    return found[:MOST_FILES]


def is_gitlab(file: Path) -> bool:
    """Whether a file is GitLab's, by its name."""
    return "gitlab" in file.name


def _parse(file: Path) -> dict[Any, Any] | str:
    """The file's YAML mapping, or why it could not be read."""
    import yaml

    if file.stat().st_size > MOST_BYTES:
        return f"larger than {MOST_BYTES} bytes"
    try:
        parsed = yaml.load(file.read_text(encoding="utf-8"), Loader=_loader())  # noqa: S506 (a SafeLoader)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as exc:
        return f"not YAML: {clean(str(exc).splitlines()[0], 160)}"
    return parsed if isinstance(parsed, dict) else "not a mapping"


def _loader() -> Any:
    """YAML's safe loader, with GitLab's `!reference [job, part]` read as text."""
    import yaml

    class Loader(yaml.SafeLoader):
        pass

    def reference(loader: Any, node: Any) -> str:
        return f"!reference {loader.construct_sequence(node)}"

    Loader.add_constructor("!reference", reference)
    return Loader
