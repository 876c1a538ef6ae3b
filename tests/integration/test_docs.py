"""The documentation is true: its links, commands, flags, settings, tools, examples."""

import ast
import importlib
import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from fastmcp import Client

from opswright.config import SUITE, load_servers
from opswright.plan import Condition, PlannedMessage, Step
from opswright.planners.blueprint import Blueprint, Parameter, build
from opswright_core.changes import ChangeStatus
from opswright_core.settings import ApprovalPolicy, Settings, parse_toolsets
from opswright_core.tools import Risk

ROOT = Path(__file__).parents[2]
README, CONFIGURATION = ROOT / "README.md", ROOT / "docs" / "configuration.md"
PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *ROOT.glob("docs/*.md"),
        ROOT / "core/README.md",
        ROOT / "orchestrator/README.md",
        *ROOT.glob("servers/*/README.md"),
        *ROOT.glob("benchmarks/*.md"),
    ]
)
CODE = [
    path
    for folder in ("core", "servers", "orchestrator")
    for path in ROOT.glob(f"{folder}/**/*.py")
]
VARIABLE = re.compile(r"\bOPSWRIGHT_[A-Z]+(?:_[A-Z]+)*\b(?![*_])")
TEST_VARIABLES = {"OPSWRIGHT_REQUIRE"}
SERVER_COMMANDS = {"approve", "doctor"}
SUBCOMMANDS = {
    *("run", "plan", "status", "resume", "approve", "undo", "doctor", "sandbox"),
    *("pause", "cancel", "worker", "serve", "blueprints", "install-completion"),
}
FLAG = re.compile(r"(?<![\w-])--?[a-z][\w-]*")

MEMBERS = [ROOT / "core", ROOT / "orchestrator", *(ROOT / "servers" / name for name in SUITE)]

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
each_server = pytest.mark.parametrize("name", SUITE)


def fenced(page: Path, language: str = r"\w*") -> list[str]:
    """The code blocks of a page in one language; all of them without one."""
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(), re.DOTALL | re.MULTILINE)


def prose(page: Path) -> str:
    """A page without its code blocks."""
    return re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)


def spans(page: Path) -> list[str]:
    """What a page sets as code: inline, and each line of plain code blocks."""
    inline = re.findall(r"`([^`\n]+)`", prose(page))
    return inline + [line for block in fenced(page, "") for line in block.splitlines()]


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as Markdown viewers name them."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", h.lower()).strip().replace(" ", "-") for h in headings}


def commands(page: Path) -> list[list[str]]:
    """The `opswright…` command lines that a page shows, as words, without comments."""
    shown = []
    for span in spans(page):
        if match := re.match(r"\s*(?:\$ )?(opswright(?:-[a-z-]+)?(?: .*)?)$", span):
            words = shlex.split(match.group(1), comments=True)
            if words != ["opswright-core"]:  # a distribution, no command
                shown.append(words)
    for block in fenced(page, "json"):
        entries = json.loads(block)
        for entry in (entries.get("mcpServers") or entries.get("servers") or {}).values():
            if entry.get("command", "").startswith("opswright-"):
                shown.append([entry["command"], *entry.get("args", [])])
    return shown


@cache
def usage(*command: str) -> str:
    """What a command says about itself."""
    beside = Path(sys.executable).with_name(command[0])
    asked = subprocess.run(
        [str(beside), *command[1:], "--help"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, "COLUMNS": "200"},
    )
    assert asked.returncode == 0, asked.stderr
    return asked.stdout


def flags_of(*command: str) -> set[str]:
    """The flags of a command, the short ones as well."""
    return set(FLAG.findall(usage(*command))) | {"--help"}


@cache
def scripts() -> frozenset[str]:
    """The console scripts of the suite."""
    found = entry_points(group="console_scripts")
    return frozenset(e.name for e in found if e.name.startswith("opswright"))


def git(repository: Path, *arguments: str) -> str:
    """What git prints."""
    ran = subprocess.run(
        ["git", "-C", str(repository), *arguments], capture_output=True, text=True, check=True
    )
    return ran.stdout


def create_server(name: str, tmp_path: Path, toolsets: frozenset[str] = frozenset({"all"})) -> Any:
    """A server of the suite, with all that it can offer or with some toolsets."""
    settings = Settings(allow_writes=True, toolsets=toolsets, mind="skills", state_dir=tmp_path)
    return importlib.import_module(f"opswright_{name}.server").create_server(settings)


@each_page
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert target.is_relative_to(ROOT), link
        if anchor:
            assert anchor in anchors(target), link


@each_page
def test_every_command_shown_exists_with_its_flags(page: Path) -> None:
    for words in commands(page):
        program, rest = words[0], words[1:]
        if program.endswith(("-<server>", "-X")):
            program = "opswright-cost"
        assert program in scripts(), words
        command = [program]
        if program == "opswright" and rest and not rest[0].startswith("-"):
            assert rest[0] in SUBCOMMANDS, words
            command.append(rest[0])
            if rest[0] == "sandbox" and len(rest) > 1:
                command.append(rest[1])
        for asked in SERVER_COMMANDS & set(rest) if program != "opswright" else ():
            command.append(asked)
        given = {word.partition("=")[0] for word in rest if FLAG.fullmatch(word.partition("=")[0])}
        assert given <= flags_of(program) | flags_of(*command), words


@each_page
def test_every_flag_named_alone_is_a_flag_of_ours(page: Path) -> None:
    ours = flags_of("opswright-cost").union(
        *(flags_of("opswright", c) for c in SUBCOMMANDS),
        *(flags_of("opswright-cost", c) for c in SERVER_COMMANDS),
    )
    for span in spans(page):
        if span.startswith("--") and not span.endswith("*"):
            assert FLAG.findall(span)[0] in ours, span


@each_server
def test_servers_take_the_same_flags(name: str) -> None:
    assert flags_of(f"opswright-{name.replace('_', '-')}") == flags_of("opswright-cost")


def test_every_command_and_flag_is_documented() -> None:
    text = CONFIGURATION.read_text()
    for flag in flags_of("opswright-cost").union(
        *(flags_of("opswright-cost", c) for c in SERVER_COMMANDS)
    ):
        assert f"`{flag}`" in text or flag == "-h", flag
    listed = re.findall(r"^    (\w+) ", usage("opswright-cost"), re.MULTILINE)
    assert set(listed) == SERVER_COMMANDS
    for command in SERVER_COMMANDS:
        assert re.search(rf"^\| `{command}\b", text, re.MULTILINE)
    rows = re.findall(r"^\| `opswright ([a-z-]+).*$", text, re.MULTILINE)
    assert set(rows) == SUBCOMMANDS
    for command in rows:
        (row,) = re.findall(rf"^\| `opswright {command}.*$", text, re.MULTILINE)
        own = flags_of("opswright", *([command] if command != "sandbox" else [command, "up"]))
        documented = {flag for flag in FLAG.findall(row) if flag.startswith("--")}
        assert documented == {f for f in own if f.startswith("--")} - {"--help", "--version"}


def test_the_commands_are_all_there_are() -> None:
    listed = re.findall(r"^│ ([a-z][a-z-]+)  ", usage("opswright"), re.MULTILINE)
    assert set(listed) == SUBCOMMANDS


def test_the_variables_documented_are_those_in_the_code() -> None:
    in_code = {
        name
        for path in CODE
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        for name in VARIABLE.findall(node.value)
    }
    assert set(VARIABLE.findall(CONFIGURATION.read_text())) == in_code
    for page in PAGES:
        assert set(VARIABLE.findall(page.read_text())) <= in_code | TEST_VARIABLES, page


def test_the_defaults_documented_are_the_real_ones() -> None:
    rows = [line.split(" | ") for line in CONFIGURATION.read_text().splitlines() if "|" in line]
    documented = {
        name: row[2].strip().strip("`")
        for row in rows
        if len(row) == 4
        for name in VARIABLE.findall(row[1])
    }
    settings = Settings.from_environment({})
    assert documented["OPSWRIGHT_APPROVALS"] == settings.approvals
    assert documented["OPSWRIGHT_MIND"] == settings.mind
    assert documented["OPSWRIGHT_MODEL"] == settings.model
    assert documented["OPSWRIGHT_TOOLSETS"] == ",".join(settings.toolsets)
    assert documented["OPSWRIGHT_ALLOW_WRITES"] == "off"
    assert settings.allow_writes is False


def test_every_approval_policy_status_and_risk_is_explained() -> None:
    text = (ROOT / "docs" / "approvals-and-undo.md").read_text()
    for policy in get_args(ApprovalPolicy):
        assert f"- **`{policy}`**" in text, policy
    for status in get_args(ChangeStatus):
        assert f"| `{status}` |" in text, status
    for risk in get_args(Risk):
        assert f"`{risk}`" in (ROOT / "docs" / "architecture.md").read_text(), risk


@each_page
def test_every_make_target_named_exists(page: Path) -> None:
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for span in spans(page):
        for target in re.findall(r"\bmake (\w+)", span):
            assert target in targets, span


@each_page
def test_every_file_named_exists(page: Path) -> None:
    for span in re.findall(r"`([^`\n]+)`", prose(page)):
        if re.fullmatch(r"(core|servers|orchestrator|tests|docs|benchmarks)/[\w./-]+", span):
            assert (ROOT / span).exists(), span


@each_server
async def test_a_server_readme_has_every_tool_with_its_risk_and_toolset(
    name: str, tmp_path: Path
) -> None:
    text = (ROOT / "servers" / name / "README.md").read_text()
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    async with Client(create_server(name, tmp_path)) as client:
        tools = {tool.name: tool.meta["opswright"] for tool in await client.list_tools()}
    for tool, declared in tools.items():
        assert f"`{tool}`" in text, f"{tool} is not in the README"
        row = next((r for r in rows if f"`{tool}`" in r.split("|")[1]), None)
        if row:
            assert declared["risk"] in row, f"{tool} is {declared['risk']}: {row}"
            if declared["toolset"] != "default":
                assert declared["toolset"] in row, f"{tool} is of {declared['toolset']}: {row}"
    named = {
        tool for row in rows for tool in re.findall(r"`([a-z]+_\w+|[a-z]+)`", row.split("|")[1])
    }
    toolsets = {declared["toolset"] for declared in tools.values()}
    assert named - toolsets <= tools.keys()


@each_server
async def test_a_server_readme_names_no_tool_skill_or_resource_that_is_not_there(
    name: str, tmp_path: Path
) -> None:
    text = (ROOT / "servers" / name / "README.md").read_text()
    async with Client(create_server(name, tmp_path)) as client:
        tools = {tool.name for tool in await client.list_tools()}
        card = json.loads((await client.read_resource("agent://card"))[0].text)
        uris = {str(r.uri) for r in await client.list_resources()}
        templates = {t.uri_template for t in await client.list_resource_templates()}
    uris |= templates | {template.partition("{?")[0] for template in templates}
    skills = {skill["name"] for skill in card["skills"]}
    verbs = {name.partition("_")[0] for name in tools | skills if "_" in name}
    known = tools | skills
    for word in re.findall(r"`([a-z]+_\w+)`", text):
        assert word in known or word.partition("_")[0] not in verbs, word
    for uri in re.findall(r"`([a-z]+://[^`]*)`", text):
        if uri.partition(":")[0] in {"agent", "journal", "knowledge", "result"}:
            assert uri in uris, uri


def test_mcp_json_names_the_six_servers_by_their_commands() -> None:
    servers = load_servers(ROOT / "mcp.json")
    assert tuple(servers) == SUITE
    assert {server.command for server in servers.values()} == scripts() - {"opswright"}
    for name, server in servers.items():
        assert server.command == f"opswright-{name.replace('_', '-')}"
        given = {argument for argument in server.args if argument.startswith("--")}
        assert given <= flags_of(server.command)


def test_the_readme_tables_every_server() -> None:
    text = README.read_text()
    for name in SUITE:
        assert f"| [{name}](servers/{name}/README.md) |" in text


def test_the_readme_example_runs_and_prints_what_is_said(tmp_path: Path) -> None:
    (code,) = fenced(README, "python")
    (tmp_path / "example.py").write_text(code)
    repository = tmp_path / "shop"
    repository.mkdir()
    git(repository, "init", "--quiet")
    git(repository, "config", "user.name", "Test")
    git(repository, "config", "user.email", "test@example.com")
    git(repository, "commit", "--quiet", "--allow-empty", "-m", "First")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [sys.executable, "example.py", str(repository)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={**os.environ, "PATH": path, "HOME": str(tmp_path)},
    )
    assert done.returncode == 0, done.stderr
    price, asked, made = done.stdout.splitlines()
    assert f"`{price}`" in README.read_text()
    assert asked.startswith("needs_approval Tag ")
    assert made.startswith("done ['delete tag v1.0.0")
    assert git(repository, "tag").split() == ["v1.0.0"]


def test_the_blueprint_page_shows_one_that_works_and_names_every_field() -> None:
    page = ROOT / "docs" / "blueprints.md"
    shown, waiting = fenced(page, "yaml")
    blueprint = Blueprint(**yaml.safe_load(shown))
    _, network = [Step(**step) for step in yaml.safe_load(waiting)]
    assert network.producers == ("quotas",)
    plan = build(blueprint, blueprint.examples[0], {}, "plan-1")
    assert getattr(plan, "parameters", {})["application"] == "shop"
    fields = {
        field
        for model in (Blueprint, Parameter, Step, Condition, PlannedMessage)
        for field in model.model_fields
    }
    named = set(re.findall(r"`([\w]+)`", page.read_text()))
    assert fields <= named
    for path in (ROOT / "orchestrator/opswright/blueprints").glob("*.yaml"):
        assert f"`{path.stem}`" in page.read_text()


@each_page
def test_json_shown_is_json(page: Path) -> None:
    for block in fenced(page, "json"):
        json.loads(block)


@each_page
def test_pages_are_plain(page: Path) -> None:
    text = page.read_text()
    assert not re.search(r"[\U0001F300-\U0001FAFF\u2600-\u27BF]", text.replace("✓", "")), "emoji"
    vague = r"\b(seamless|powerful|cutting-edge|blazing|world-class|effortless|robust|leverag)\w*"
    assert not re.findall(vague, text, re.IGNORECASE)


@each_page
def test_toolsets_shown_exist(page: Path, tmp_path: Path) -> None:
    for words in commands(page):
        name = words[0].removeprefix("opswright-").replace("-", "_")
        if "--toolsets" in words and name in SUITE:
            chosen = parse_toolsets(words[words.index("--toolsets") + 1])
            create_server(name, tmp_path, chosen)  # raises for one that does not exist


@pytest.mark.parametrize("member", MEMBERS, ids=lambda m: m.name)
def test_a_package_has_a_readme_and_the_licence_of_the_tree(member: Path) -> None:
    licence = (ROOT / "LICENSE").read_text()
    assert "Apache License" in licence[:200]
    assert "END OF TERMS AND CONDITIONS" in licence
    declared = tomllib.loads((member / "pyproject.toml").read_text())["project"]
    assert declared["license"] == "Apache-2.0"
    assert (member / "README.md").read_text().startswith("# opswright")
