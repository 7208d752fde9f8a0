"""Ends a process at a signal as long as no server handles the signals."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable, Coroutine, Sequence
from types import FrameType
from typing import Any, Self, TypeVar

import uvloop

T = TypeVar("T")


class StopSignals:
    """Handlers of the signals `stops`, from the start of a process to its end; a server may replace them.

    The first signal ends the process with exit status 0: in `run` it cancels the coroutine, because an exception that a
    handler raises in an event loop may be lost or logged; elsewhere it raises `SystemExit`. Later signals, and all
    signals after the `with` block, do nothing: an exception while the interpreter shuts down would be printed.
    """

    def __init__(self, stops: Sequence[signal.Signals]) -> None:
        self._stops = stops
        self._armed = False
        self._looping = False
        self._requested = False
        self._cancel: Callable[[], object] | None = None

    def __enter__(self) -> Self:
        self._armed = True
        for stop in self._stops:
            signal.signal(stop, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        self._armed = False

    def run(self, main: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in an event loop of its own and return its result. Raises `SystemExit` after a signal."""
        self._looping = True
        try:
            return uvloop.run(self._cancellable(main))
        except asyncio.CancelledError:
            if not self._requested:
                raise
        finally:
            self._looping = False
        sys.exit(0)

    async def _cancellable(self, main: Coroutine[Any, Any, T]) -> T:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None
        self._cancel = lambda: loop.call_soon_threadsafe(task.cancel)
        if self._requested:
            self._cancel()
        try:
            return await main
        finally:
            self._cancel = None

    def _handle(self, signum: int, frame: FrameType | None) -> None:
        if not self._armed:
            return
        self._armed = False
        if not self._looping:
            sys.exit(0)
        self._requested = True
        if self._cancel is not None:
            self._cancel()
