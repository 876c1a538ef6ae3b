"""Runs the real Terraform on a configuration, against the emulated account."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from tests.conftest import need

PLUGINS = Path("/opt/tf-plugins")
"""A filesystem mirror of providers (Terraform CLI configuration, "Explicit Installation")."""
_PROVIDER = PLUGINS / "registry.terraform.io" / "hashicorp" / "aws"

_EMULATOR = """
provider "aws" {
  access_key                  = "testing"
  secret_key                  = "testing"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_requesting_account_id  = false
  s3_use_path_style           = true
}
"""


class Terraform:
    """A working directory of its own with one configuration in it."""

    def __init__(self, folder: Path, endpoint: str) -> None:
        """Skip the test where the program or the provider is not installed."""
        program = shutil.which("terraform")
        need("terraform", program is not None, "the program terraform is not installed")
        need("terraform", _PROVIDER.is_dir(), f"no provider hashicorp/aws in {PLUGINS}")
        self._program, self.folder = str(program), folder
        folder.mkdir(exist_ok=True)
        (folder / "emulator_override.tf").write_text(_EMULATOR)
        (folder / "cli.tfrc").write_text(
            f'provider_installation {{\n  filesystem_mirror {{\n    path = "{PLUGINS}"\n  }}\n}}\n'
        )
        self._environment = {
            **os.environ,
            "AWS_ENDPOINT_URL": endpoint,
            "CHECKPOINT_DISABLE": "1",
            "TF_CLI_CONFIG_FILE": str(folder / "cli.tfrc"),
            "TF_IN_AUTOMATION": "1",
        }

    @property
    def main(self) -> Path:
        """Where the configuration belongs."""
        return self.folder / "main.tf"

    def run(self, *arguments: str, expected: int = 0) -> str:
        """Run a command of it; fails the test, with what it says, if it ends otherwise."""
        command, *rest = arguments
        color = [] if command in {"fmt", "show"} else ["-no-color"]
        done = subprocess.run(
            [self._program, f"-chdir={self.folder}", command, *color, *rest],
            capture_output=True, text=True, timeout=500, check=False, env=self._environment,
        )  # fmt: skip
        assert done.returncode == expected, f"{done.stdout[-6000:]}\n{done.stderr[-6000:]}"
        return done.stdout

    def plan(self, *arguments: str) -> dict[str, Any]:
        """The plan, as `terraform show -json` writes it."""
        self.run("plan", "-input=false", "-out=plan", *arguments)
        plan: dict[str, Any] = json.loads(self.run("show", "-json", "plan"))
        return plan

    def changes(self, plan: dict[str, Any]) -> dict[str, set[str]]:
        """The arguments that a plan would change, by address; only of what it would change."""
        return {
            change["address"]: _arguments(change["change"])
            for change in plan.get("resource_changes", [])
            if change["change"]["actions"] not in (["no-op"], ["read"])
        }


def _arguments(change: dict[str, Any]) -> set[str]:
    before, after = change["before"] or {}, change["after"] or {}
    unknown = {name for name, hidden in change["after_unknown"].items() if hidden is True}
    return unknown | {
        name for name in before.keys() | after.keys() if before.get(name) != after.get(name)
    }
