"""Ends a stdio server soon after its host is gone, whatever is still under way.

The protocol's loop ends when stdin closes, but not before a tool that blocks in a thread has
returned; and a host that was killed may leave stdin open in another of its children. So a thread
watches both. What is cut off is `interrupted` in the journal, and the same call resumes it.
"""

import contextlib
import os
import select
import threading
from collections.abc import Iterator

POLL_SECONDS = 0.5
GRACE_SECONDS = 1.2
"""With the poll: gone within 2 s of the host, after an orderly end had its chance."""


@contextlib.contextmanager
def ends_with_host() -> Iterator[None]:
    """Watch the host while the block runs; when it goes and the block does not end, exit."""
    finished = threading.Event()
    with contextlib.suppress(OSError, AttributeError):  # no stdin; no poll on Windows
        watched = select.poll()
        # A copy: the transport puts its own file in the place of stdin. No event is asked for but
        # the hang-up (of a socket: of its writing half), so that unread input is left alone.
        watched.register(os.dup(0), getattr(select, "POLLRDHUP", 0))
        threading.Thread(
            target=_watch, args=(watched, os.getppid(), finished), name="host watch", daemon=True
        ).start()
    try:
        yield
    finally:
        finished.set()


def _watch(stdin: "select.poll", parent: int, finished: threading.Event) -> None:
    while not stdin.poll(POLL_SECONDS * 1000) and os.getppid() == parent:
        if finished.is_set():
            return
    if not finished.wait(GRACE_SECONDS):
        os._exit(0)
