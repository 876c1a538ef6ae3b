"""The official MCP conformance suite, against a fixture server and against the real ones."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import platformdirs
import pytest
from tests.conftest import need
from tests.core.processes import ROOT, serving

pytestmark = [pytest.mark.conformance, pytest.mark.slow, pytest.mark.timeout(600)]

SUITE = "@modelcontextprotocol/conformance"
PINS = {SUITE: "0.2.0-alpha.12", "node": "22.23.3"}
"""The suite needs Node 22, which distributions do not have yet; npm brings both."""

EVERYTHING = [sys.executable, str(ROOT / "tests/conformance/everything.py")]
EXPECTED = ROOT / "tests/conformance/expected-failures.yml"
SERVERS = ["aws_devops", "cicd", "cost", "knowledge", "metrics", "opswright", "security"]

APPLICABLE = {
    "server-initialize", "server-session-lifecycle", "logging-set-level", "ping", "tools-list",
    "resources-list", "resources-subscribe", "resources-unsubscribe", "sep-2164-resource-not-found",
    "prompts-list", "server-sse-multiple-streams", "dns-rebinding-protection", "caching",
    "http-header-validation", "input-required-result-unsupported-methods",
}  # fmt: skip
"""The scenarios that call none of the suite's own tools, resources and prompts."""


class Conformance:
    """The suite, installed in a directory of its own."""

    def __init__(self, place: Path) -> None:
        self._command = [
            str(place / "node_modules/node/bin/node"),
            str(place / "node_modules" / SUITE / "dist/index.js"),
        ]

    def run(self, base: str, *options: str) -> tuple[int, str]:
        """Run against a server; the exit code, and the summary."""
        ended = subprocess.run(
            [*self._command, "server", "--url", f"{base}/mcp", *options],
            capture_output=True, text=True, timeout=500,
        )  # fmt: skip
        said = ended.stdout + ended.stderr
        return ended.returncode, said[said.find("=== SUMMARY") :]


@pytest.fixture(scope="module")
def suite() -> Conformance:
    """Installs the pinned suite into the user's cache, once."""
    npm = shutil.which("npm")
    need("npm", npm is not None, "npm is not installed (apt-get install nodejs npm)")
    assert npm is not None
    named = "-".join(re.sub(r"\W+", ".", version) for version in PINS.values())
    place = platformdirs.user_cache_path("opswright") / f"conformance-{named}"
    if not (place / "complete").exists():
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        (place / "package.json").write_text(json.dumps({"private": True, "dependencies": PINS}))
        quiet = ["--no-package-lock", "--no-audit", "--no-fund", "--loglevel=error"]
        ended = subprocess.run(
            [npm, "install", *quiet], cwd=place, capture_output=True, text=True, timeout=500
        )
        need("npm", ended.returncode == 0, f"npm could not install the suite: {ended.stderr}")
        (place / "complete").touch()
    return Conformance(place)


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> object:
    with serving(EVERYTHING, tmp_path_factory.mktemp("everything") / "state") as base:
        yield base


def test_every_scenario_passes_but_those_that_fastmcp_cannot_do(
    suite: Conformance, everything: str
) -> None:
    code, summary = suite.run(everything, "--suite", "all", "--expected-failures", str(EXPECTED))
    assert code == 0, summary


@pytest.mark.parametrize("revision", ["2025-11-25", "2026-07-28"])
def test_all_that_a_revision_requires_passes_on_its_own_wire(
    suite: Conformance, everything: str, revision: str
) -> None:
    code, summary = suite.run(everything, "--requirements", revision)
    assert code == 0, summary
    assert re.search(r"Total: [1-9]\d+ passed", summary)


def test_each_expected_failure_has_its_reason() -> None:
    lines = [line.strip() for line in EXPECTED.read_text().splitlines()]
    groups = "\n".join("#" if line.startswith("#") else line[:1] for line in lines)
    assert re.fullmatch(r"(#\n)+s\n((#\n)+(-\n?)+)+", groups)


@pytest.mark.parametrize("server", SERVERS)
def test_a_real_server_passes_what_applies_to_it(
    suite: Conformance, tmp_path: Path, server: str
) -> None:
    serve = [f"opswright_{server}"] if server != "opswright" else ["opswright", "serve"]
    command = [sys.executable, "-m", *serve]
    with serving(command, tmp_path / "state") as base:
        _, summary = suite.run(base, "--suite", "all")
    passed = set(re.findall(r"^✓ ([\w-]+): [1-9]\d* passed, 0 failed", summary, re.MULTILINE))
    assert passed >= APPLICABLE, APPLICABLE - passed
