"""`python -m opswright`."""

from opswright.cli import main

main()
