"""Makes a console script ready sooner; called before anything large is imported.

A host starts every server it knows and waits for their tools, so the seconds add up. The figures
are of benchmarks/cold_start.py, of about 1.1 CPU-seconds to tools/list.
"""

import contextlib
import gc
import os
from collections.abc import Callable, Iterator
from typing import Any


def begin() -> None:
    """Spare the imports what they do not need."""
    # What is imported stays: looking for garbage among it takes 0.1 s and finds next to none.
    gc.disable()
    # Or pydantic reads the entry points of every installed distribution, to find no plugin.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    _build_models_when_used()
    _give_memory_back()


def _build_models_when_used() -> None:
    """Have pydantic build a model's validators when it is first used, under pydantic's own lock.

    Of the hundreds of models that are imported, those of tools that are not asked for are never
    used: 12 MB.
    """
    from pydantic import BaseModel

    BaseModel.model_config["defer_build"] = True


def _give_memory_back() -> None:
    """Have glibc keep less: many threads read large answers, each of which is soon let go.

    By itself it keeps a heap for each of them and, after the first large block, such blocks as
    well; with 5,000 resources read that is 30 MB. Other C libraries are left as they are.
    """
    import ctypes

    with contextlib.suppress(AttributeError, OSError, TypeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_ARENA_MAX, 2)
        mallopt(_MMAP_THRESHOLD, 128 * 1024)
        mallopt(_TRIM_THRESHOLD, 128 * 1024)


_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
"""Of malloc.h; the sizes are glibc's own, which setting them keeps it from raising."""


def finish() -> None:
    """Collect garbage from here on, but never among what the start has made."""
    gc.freeze()
    gc.enable()


@contextlib.contextmanager
def undocumented(fn: Callable[..., Any]) -> Iterator[None]:
    """Hide a tool's docstring while FastMCP adds it with the description that it has already.

    FastMCP would look for parameters in it, with a parser whose import takes 0.1 s.
    """
    doc, fn.__doc__ = fn.__doc__, None
    try:
        yield
    finally:
        fn.__doc__ = doc


class DeferredState:
    """FastMCP's store of session state, made when something is first put there.

    It is asked for rules of the session on every list, its import takes 0.1 s, and no tool of ours
    keeps anything in it.
    """

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._store: Any = None

    async def get(self, **where: Any) -> Any:
        """What is kept there; None while nothing is."""
        return None if self._store is None else await self._store.get(**where)

    async def put(self, **entry: Any) -> None:
        """Keep something."""
        if self._store is None:
            self._store = self._make()
        await self._store.put(**entry)

    async def delete(self, **where: Any) -> Any:
        """Forget something; false when it was not there."""
        return False if self._store is None else await self._store.delete(**where)
