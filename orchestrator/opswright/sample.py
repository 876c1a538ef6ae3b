"""The sandbox's sample application: a tiny web app in git, with tags v1.0.0 and v1.1.0."""

import os
import subprocess
from pathlib import Path

_APP = '''"""A tiny web application: says hello, and says that it is well at /healthz."""

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

VERSION = "{version}"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        body = b"ok" if self.path == "/healthz" else f"{greeting} from {{VERSION}}".encode()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    ThreadingHTTPServer(("", 8080), Handler).serve_forever()
'''
_RUN = "#!/bin/sh\nexec python3 app.py\n"


def write(path: Path) -> Path:
    """Make the repository at `path`, or leave the one that is there; always the same commits."""
    if (path / ".git").is_dir():
        return path
    path.mkdir(parents=True)
    _git(path, "init", "--quiet", "--initial-branch=main")
    for number, (version, greeting) in enumerate(
        (("v1.0.0", "Hello"), ("v1.1.0", "Hello and welcome")), start=1
    ):
        (path / "app.py").write_text(
            _APP.replace("{version}", version)
            .replace("{greeting}", greeting)
            .replace("{{", "{")
            .replace("}}", "}")
        )
        (path / "run").write_text(_RUN)
        (path / "run").chmod(0o755)
        (path / "README.md").write_text(f"# sample-app {version}\n\nSays hello on port 8080.\n")
        _git(path, "add", ".")
        _git(path, "commit", "--quiet", "-m", f"Say {greeting.lower()}", day=number)
        _git(path, "tag", "-a", version, "-m", version, day=number)
    return path


def defaults(state_dir: Path) -> dict[str, str]:
    """What stands in the sandbox for what a request does not say; writes the repository."""
    return {
        "repository": str(write(state_dir / "sample-app")),
        "application": "sample-app",
        "final_snapshot": "false",
    }


def _git(path: Path, *arguments: str, day: int = 1) -> None:
    when = f"2026-01-{day:02} 12:00:00 +0000"
    who = {"NAME": "Sample", "EMAIL": "sample@example.com", "DATE": when}
    environment = {
        f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in who.items()
    }
    isolated = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    subprocess.run(
        ["git", "-C", str(path), *arguments],
        check=True,
        capture_output=True,
        env={**os.environ, **environment, **isolated},
    )
