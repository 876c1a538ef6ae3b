"""The console script."""

import sys

from opswright_core import startup


def main() -> None:
    """Run the server's command line."""
    startup.begin()
    from opswright_cicd.server import create_server
    from opswright_core import cli

    sys.exit(cli.main(create_server, "cicd"))


if __name__ == "__main__":
    main()
