"""The exit codes of every command, as docs/configuration.md lists them."""

DONE, FAILED, USAGE, PARTIAL, WAITING, INTERRUPTED = 0, 1, 2, 3, 4, 130

OF_STATUS = {
    "done": DONE,
    "failed": FAILED,
    "partial": PARTIAL,
    "interrupted": PARTIAL,
    "cancelled": PARTIAL,
    "waiting": WAITING,
    "paused": WAITING,
    "queued": WAITING,
    "needs_human": WAITING,
}
"""The exit code of a command that ended with a run of this status."""
