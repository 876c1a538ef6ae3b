"""Dependency files: what they hold, what is known against it, and nothing made up offline."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from opswright_security.lockfiles import parse_package_lock, parse_requirements, parse_toml_lock
from opswright_security.server import create_server

Connect = Callable[..., AbstractAsyncContextManager[Any]]


class Osv(BaseHTTPRequestHandler):
    """Knows one advisory, on jinja2 2.4.1."""

    def do_POST(self) -> None:
        queries = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["queries"]
        results = [
            {"vulns": [{"id": "GHSA-xxxx"}]}
            if (q["package"]["name"], q["version"]) == ("jinja2", "2.4.1")
            else {}
            for q in queries
        ]
        body = json.dumps({"results": results}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nothing."""


@pytest.fixture
def osv(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    server = HTTPServer(("127.0.0.1", 0), Osv)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv("OPSWRIGHT_OSV_URL", f"http://127.0.0.1:{server.server_port}")
    yield
    server.shutdown()
    thread.join()
    server.server_close()


async def scan(connect: Connect, path: Path) -> Any:
    async with connect(create_server) as client:
        return await client.call_tool(
            "scan_dependencies", {"path": str(path)}, raise_on_error=False
        )


@pytest.mark.usefixtures("osv")
async def test_known_advisories_fail_and_loose_versions_are_never_a_pass(
    connect: Connect, tmp_path: Path
) -> None:
    (tmp_path / "requirements.txt").write_text("jinja2==2.4.1\nflask>=2\n")
    answer = (await scan(connect, tmp_path)).structured_content
    assert (answer["verdict"], answer["total_vulnerable"]) == ("FAIL", 1)
    assert answer["vulnerable"][0]["advisories"] == ["GHSA-xxxx"]
    (tmp_path / "requirements.txt").write_text("flask>=2\njinja2==3.1.6\n")
    assert (await scan(connect, tmp_path)).structured_content["verdict"] == "UNKNOWN"
    (tmp_path / "requirements.txt").write_text("jinja2==3.1.6 --hash=sha256:ab\n")
    answer = (await scan(connect, tmp_path)).structured_content
    assert (answer["verdict"], answer["total_unhashed"]) == ("PASS", 0)


async def test_offline_is_unknown_never_a_pass(
    connect: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPSWRIGHT_OSV_URL", "http://127.0.0.1:9")
    (tmp_path / "requirements.txt").write_text("jinja2==3.1.6\n")
    answer = (await scan(connect, tmp_path)).structured_content
    assert (answer["verdict"], answer["total_vulnerable"]) == ("UNKNOWN", None)
    assert "not reachable" in answer["unread"][0]


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("notes.txt", "x", "No dependency file"),
        ("uv.lock", "[[package", "no valid uv.lock"),
        ("package-lock.json", "[", "no valid package-lock.json"),
    ],
)
async def test_what_is_no_dependency_file_is_refused(
    connect: Connect, tmp_path: Path, name: str, text: str, says: str
) -> None:
    (tmp_path / name).write_text(text)
    r = await scan(connect, tmp_path / name)
    assert r.is_error
    assert says in r.content[0].text


def test_requirements_are_read_with_their_hashes() -> None:
    text = (
        "# pinned\n-r other.txt\na==1.0 \\\n    --hash=sha256:ab\nB[x]==2 ; python_version>'3'\n"
        "c~=3.0  # loose\n\n"
    )
    found = [(p.name, p.version, p.hashed) for p in parse_requirements(text, "r")]
    assert found == [("a", "1.0", True), ("B", "2", False), ("c", None, False)]


def test_locks_of_uv_and_poetry_leave_the_project_out() -> None:
    text = (
        '[[package]]\nname="me"\nversion="0"\nsource={editable="."}\n'
        '[[package]]\nname="a"\nversion="1"\nwheels=[{url="u",hash="sha256:ab"}]\n'
        '[[package]]\nname="b"\nversion="2"\nfiles=[{file="f",hash="sha256:ab"}]\n'
    )
    found = [(p.name, p.version, p.hashed) for p in parse_toml_lock(text, "uv.lock")]
    assert found == [("a", "1", True), ("b", "2", True)]


def test_npm_locks_of_all_versions_are_read() -> None:
    entry = {"version": "1.0.0", "integrity": "sha512-x"}
    new = {"packages": {"": {}, "node_modules/@a/b": entry, "node_modules/c": {"link": True}}}
    old = {"dependencies": {"a": {**entry, "dependencies": {"b": {"version": "2.0.0"}}}}}
    assert [p.name for p in parse_package_lock(json.dumps(new), "l")] == ["@a/b"]
    found = [(p.name, p.version, p.hashed) for p in parse_package_lock(json.dumps(old), "l")]
    assert found == [("a", "1.0.0", True), ("b", "2.0.0", False)]
