"""Lints templates with cfn-lint (the extra `lint`), in a process of its own.

It takes half a second and 140 MB for a small template, which a server should not carry on with.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from opswright_core.text import clean
from opswright_core.verdicts import Unread

TIMEOUT_SECONDS = 60.0
MEMORY_BYTES = 1 << 30
"""Address space that the process may take, where the system lets it be limited."""

MOST_TOLD = 10
"""Findings that a plan names one by one."""

_LINT = """
import sys
try:
    import resource
    resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[1]),) * 2)
except (ImportError, OSError, ValueError):
    pass
del sys.argv[1]
from cfnlint.runner.cli import main
main()
"""
_LEVELS: dict[str, "Level"] = {"Error": "error", "Warning": "warning", "Informational": "info"}
_ORDER = ("error", "warning", "info")

Level = Literal["error", "warning", "info"]


class LintFinding(BaseModel):
    """What cfn-lint says of one place of a template."""

    model_config = ConfigDict(frozen=True)
    rule: str
    """Its id, like E3002; E, W or I by its level."""
    level: Level
    message: str
    path: str
    """Like Resources/Bucket/Properties/BucketName; empty for the template as a whole."""
    line: int

    def __str__(self) -> str:
        where = f"{self.path} (line {self.line})" if self.path else f"line {self.line}"
        return f"{self.rule} {where}: {self.message}"


def is_installed() -> bool:
    """Whether cfn-lint is here."""
    return find_spec("cfnlint") is not None


def lint(template: str, regions: Sequence[str]) -> list[LintFinding] | Unread:
    """Everything cfn-lint finds in a template for those regions, errors first.

    `Unread` when it is not installed, does not know a region, ends without an answer, or takes
    longer than `TIMEOUT_SECONDS` or more memory than `MEMORY_BYTES`.
    """
    if not is_installed():
        return _unread("cfn-lint is not installed: pip install 'opswright-aws-devops[lint]'.")
    if odd := [region for region in regions if not region.replace("-", "").isalnum()]:
        return _unread(f"{odd[0]!r} is no region.")
    command = [sys.executable, "-c", _LINT, str(MEMORY_BYTES), "--format=json"]
    command += ["--regions", *regions] if regions else []
    # An empty folder, so that no .cfnlintrc of whoever started the server, nor a module there,
    # takes part.
    with tempfile.TemporaryDirectory(prefix="opswright-lint-") as folder:
        try:
            done = subprocess.run(
                command, input=template, capture_output=True, text=True, encoding="utf-8",
                timeout=TIMEOUT_SECONDS, check=False, cwd=folder,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return _unread(f"cfn-lint did not end within {TIMEOUT_SECONDS:.0f} s.")
    try:
        found: list[dict[str, Any]] = json.loads(done.stdout)
        findings = [_finding(item) for item in found]
    except (ValueError, KeyError, TypeError):
        said = (done.stderr.strip() or done.stdout.strip()).splitlines() or ["no word"]
        return _unread(f"cfn-lint ended with {done.returncode}: {clean(said[-1], 300)}")
    return sorted(findings, key=lambda f: (_ORDER.index(f.level), f.line, f.rule))


def lint_warnings(template: str, region: str) -> list[str]:
    """Errors and warnings of cfn-lint in words, `MOST_TOLD` at most; none where it is not here."""
    if not is_installed():
        return []
    found = lint(template, [region])
    if isinstance(found, Unread):
        return [f"Not linted: {found.reason}"]
    told = [f"cfn-lint: {finding}" for finding in found if finding.level != "info"]
    more = [f"cfn-lint: {len(told) - MOST_TOLD} more."] if len(told) > MOST_TOLD else []
    return told[:MOST_TOLD] + more


def _finding(item: dict[str, Any]) -> LintFinding:
    where = item["Location"]
    return LintFinding(
        rule=item["Rule"]["Id"],
        level=_LEVELS[item["Level"]],
        message=clean(item["Message"], 400),
        path=clean("/".join(str(part) for part in where.get("Path") or []), 300),
        line=where["Start"]["LineNumber"],
    )


def _unread(reason: str) -> Unread:
    return Unread(operation="cfn-lint", reason=reason)
