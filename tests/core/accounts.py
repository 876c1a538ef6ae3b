"""A server that tells whose credentials it has. Run as a script it is a server's command line."""

import sys
from typing import Any

from pydantic import BaseModel

from opswright_core.aws import HERE, Target
from opswright_core.runtime import aws
from opswright_core.server import build_server
from opswright_core.settings import Settings
from opswright_core.tools import read_tool


class Network(BaseModel):
    count: int


@read_tool
def count_networks(target: Target = HERE) -> Network:
    """Count the VPCs, which takes credentials that hold."""
    return Network(count=len(aws(target).pages("ec2", "describe_vpcs", "Vpcs")))


def create_server(settings: Settings) -> Any:
    return build_server(
        "accounts", title="Accounts", instructions="Accounts.", tools=[count_networks],
        settings=settings,
    )  # fmt: skip


if __name__ == "__main__":
    from opswright_core import cli

    sys.exit(cli.main(create_server, "accounts"))
