"""The main job cut off: killed, interrupted, without a server. Nothing is made twice or claimed."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.integration.conftest import CommandLine

GOAL = "Deploy a three-tier web application with high availability and monitoring"
SUITE = json.loads((Path(__file__).parents[2] / "mcp.json").read_text())["mcpServers"]

pytestmark = pytest.mark.slow


def start(opswright: CommandLine, *more: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "opswright", "run", GOAL, "--sandbox", *more],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=opswright.cwd,
        env={**opswright.environment, "PYTHONUNBUFFERED": "1"},
    )


def read_until(process: "subprocess.Popen[str]", words: str) -> None:
    assert process.stdout is not None
    seen = []
    for line in process.stdout:
        seen.append(line)
        if words in line:
            return
    raise AssertionError(f"never said {words!r}: {''.join(seen)}")


def census(opswright: CommandLine) -> dict[str, int]:
    """How many of each kind of resource the account holds."""
    ec2 = opswright.client("ec2")
    return {
        "vpcs": sum(not v["IsDefault"] for v in ec2.describe_vpcs()["Vpcs"]),
        "nat gateways": len(ec2.describe_nat_gateways()["NatGateways"]),
        "addresses": len(ec2.describe_addresses()["Addresses"]),
        "databases": len(opswright.client("rds").describe_db_instances()["DBInstances"]),
        "balancers": len(opswright.client("elbv2").describe_load_balancers()["LoadBalancers"]),
        "groups": len(
            opswright.client("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"]
        ),
        "topics": len(opswright.client("sns").list_topics()["Topics"]),
        "buckets": len(opswright.client("s3").list_buckets()["Buckets"]),
    }


WHOLE = {
    "vpcs": 1,
    "nat gateways": 2,
    "addresses": 2,
    "databases": 1,
    "balancers": 1,
    "groups": 1,
    "topics": 1,
    "buckets": 1,
}


@pytest.mark.parametrize("moment", ["network running", "firewall done", "deploy running"])
def test_a_killed_orchestrator_is_resumed_and_nothing_is_made_twice(
    opswright: CommandLine, moment: str
) -> None:
    opswright("sandbox", "down")
    process = start(opswright)
    read_until(process, moment)
    process.kill()
    process.communicate()
    _, runs = opswright("status")
    assert runs[0]["status"] == "interrupted"
    code, report = opswright("resume", runs[0]["run_id"])
    assert report["not_done"] == []
    assert (code, report["status"]) == (0, "done")
    assert census(opswright) == WHOLE
    code, undone = opswright("undo", runs[0]["run_id"])
    assert (code, undone["status"], undone["verified"]["FAIL"]) == (0, "done", 0)


def test_ctrl_c_says_how_to_go_on_and_the_run_goes_on(opswright: CommandLine) -> None:
    opswright("sandbox", "down")
    process = start(opswright)
    read_until(process, "network done")
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "opswright resume run-" in said
    code, report = opswright("resume", "last")
    assert (code, report["status"]) == (0, "done")
    assert census(opswright) == WHOLE


def test_a_server_killed_under_its_step_is_started_again(opswright: CommandLine) -> None:
    opswright("sandbox", "down")
    process = start(opswright)
    read_until(process, "database running")
    victims = subprocess.run(
        ["pgrep", "-P", str(process.pid), "-f", "opswright-aws-devops"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    for victim in victims:
        os.kill(int(victim), signal.SIGKILL)
    said, errors = process.communicate(timeout=170)
    assert process.returncode == 0, said + errors
    assert census(opswright) == WHOLE


def test_without_a_server_the_rest_goes_on_and_the_run_is_partial(
    opswright: CommandLine, tmp_path: Path
) -> None:
    opswright("sandbox", "down")
    without: dict[str, Any] = {**SUITE, "metrics": {"command": "no-such-program-anywhere"}}
    config = tmp_path / "mcp.json"
    config.write_text(json.dumps({"mcpServers": without}))
    code, report = opswright("run", GOAL, "--sandbox", config=config)
    assert (code, report["status"]) == (3, "partial")
    assert {n["step"]: n["status"] for n in report["not_done"]} == {
        "alarms": "failed",
        "dashboard": "failed",
    }
    assert all("did not start" in n["why"] for n in report["not_done"])
    assert census(opswright) == {**WHOLE, "topics": 0}
    assert any("resume" in line for line in report["next"])
    config.write_text(json.dumps({"mcpServers": SUITE}))
    code, report = opswright("resume", report["run_id"])
    assert (code, report["status"]) == (0, "done")
    assert census(opswright) == WHOLE
