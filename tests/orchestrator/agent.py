"""The process of a small agent, made ready as the console scripts of the servers are."""

import os
import sys
from pathlib import Path

from opswright_core import startup

if __name__ == "__main__":
    if os.environ.get("OPSWRIGHT_TEST_CRASH") == "start":
        sys.exit("cannot start: the test wants it so")
    startup.begin()
    sys.path.insert(0, str(Path(__file__).parents[2]))
    from tests.orchestrator.agents import create_server

    from opswright_core.cli import main

    sys.exit(main(create_server, "maker"))
