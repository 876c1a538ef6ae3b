"""Plain lines on stderr, one per problem: stdout belongs to the protocol, and hosts show stderr."""

import logging
import sys
import traceback
from typing import Any


class OneLine(logging.Formatter):
    """`LEVEL logger: message: Error: text (file:line)`, never a traceback."""

    def formatException(self, ei: Any) -> str:
        """Say what was raised, and where it was, on one line."""
        _, error, trace = ei
        frame = traceback.extract_tb(trace)[-1:]
        where = f" ({frame[0].filename}:{frame[0].lineno})" if frame else ""
        return f"{type(error).__name__}: {error}{where}"

    def format(self, record: logging.LogRecord) -> str:
        """Join the message and the exception."""
        record.exc_text = None  # what another handler may have rendered
        return ": ".join(line for line in super().format(record).splitlines() if line)


def configure(level: int = logging.WARNING) -> None:
    """Log to stderr in plain lines, FastMCP's and the web server's loggers included."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(OneLine("%(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name in ("fastmcp", "uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
        logger.setLevel(level)
