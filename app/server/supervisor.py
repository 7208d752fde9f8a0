"""Supervises the worker processes of one port: starts them, restarts those that die, and ends them all."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from types import FrameType

from prometheus_client.multiprocess import mark_process_dead

from ..errors import ConfigurationError
from ..settings import Settings
from ..telemetry import metrics
from .worker import work

#: Whether each worker has a socket of its own: Linux distributes the connections of one port over its sockets. On other
#: systems all workers accept from one socket, and one worker may accept a whole burst.
SPREAD = sys.platform == "linux"
STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
#: Back-off before a worker is restarted, from `PAUSE` to `LONGEST` seconds: it doubles each time the worker dies within
#: `STABLE` seconds of its start.
PAUSE, LONGEST, STABLE = 0.1, 30.0, 10.0
#: Seconds after the drain until workers that have not ended are killed: time to write the ledger and close connections.
CLOSING = 3.5

log = logging.getLogger("pgrouter.workers")


@dataclass(slots=True)
class _Slot:
    number: int
    process: SpawnProcess | None = None
    ready: Connection | None = None
    started: float = 0.0
    serving: bool = False
    pause: float = PAUSE
    due: float = 0.0


class Workers:
    """`settings.workers` processes that serve the port of `listener`.

    If each worker has a socket of its own, `listener` is bound but does not listen: it only reserves the port.
    """

    def __init__(self, settings: Settings, listener: socket.socket) -> None:
        self._settings = settings
        self._listener = listener
        self._context = multiprocessing.get_context("spawn")
        self._slots = [_Slot(number) for number in range(settings.workers)]
        self._directory = ""

    def run(self, announce: Callable[[], None]) -> None:
        """Serve until a signal of `STOPS`; call `announce` once all workers answer requests.

        Raises `ConfigurationError` if a worker fails before all have started; a worker that fails later is restarted.
        """
        folder = tempfile.TemporaryDirectory(prefix="pgrouter-metrics-", ignore_cleanup_errors=True)
        with folder as self._directory, _signals() as stop:
            try:
                for slot in self._slots:
                    self._start(slot)
                self._serve(stop, announce)
            finally:
                self._end()

    def _serve(self, stop: socket.socket, announce: Callable[[], None]) -> None:
        announced = False
        while True:
            found = wait([stop, *self._sentinels(), *self._waiting()], timeout=self._until_due())
            if stop in found:
                return
            for slot in self._slots:
                if slot.ready in found:
                    self._read_report(slot, first=not announced)
                elif slot.process is not None and slot.process.sentinel in found:
                    self._collect(slot, first=not announced)
                if slot.process is None and slot.due <= time.monotonic():
                    self._start(slot)
            if not announced and all(slot.serving for slot in self._slots):
                announced = True
                announce()

    def _sentinels(self) -> list[int]:
        return [slot.process.sentinel for slot in self._slots if slot.process is not None]

    def _waiting(self) -> list[Connection]:
        return [slot.ready for slot in self._slots if slot.ready is not None]

    def _until_due(self) -> float | None:
        due = [slot.due for slot in self._slots if slot.process is None]
        return max(0.0, min(due) - time.monotonic()) if due else None

    def _start(self, slot: _Slot) -> None:
        slot.ready, theirs = self._context.Pipe(duplex=False)
        slot.process = self._context.Process(
            target=work,
            args=(
                settings_of(self._settings, slot.number),
                self._listener.getsockname(),
                None if SPREAD else self._listener,
                theirs,
            ),
            name=f"pgrouter-{slot.number}",
        )
        slot.started = time.monotonic()
        slot.serving = False
        environment = {metrics.DIRECTORY: self._directory, metrics.WORKER: str(slot.number)}
        os.environ.update(environment)
        # `start` would start the tracker first, and that ends with these signals unblocked.
        resource_tracker.ensure_running()
        # A signal that arrives before the child has its handlers stays pending.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
        try:
            slot.process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            for name in environment:
                del os.environ[name]
            theirs.close()

    def _read_report(self, slot: _Slot, *, first: bool) -> None:
        assert slot.ready is not None
        try:
            problem = slot.ready.recv()
            slot.serving = problem is None
            if problem is not None and first:
                raise ConfigurationError(problem)
            if problem is not None:
                log.error("worker %d cannot start: %s", slot.number, problem)
        except EOFError:
            pass  # The worker died before it was ready; `_serve` finds its sentinel.
        finally:
            slot.ready.close()
            slot.ready = None

    def _collect(self, slot: _Slot, *, first: bool) -> None:
        assert slot.process is not None
        slot.process.join()
        code = slot.process.exitcode
        slot.process.close()
        slot.process = None
        if slot.ready is not None and slot.ready.poll():
            self._read_report(slot, first=first)
        if first:
            raise ConfigurationError(f"A worker ended with {code} before it served.")
        mark_process_dead(slot.number, self._directory)  # type: ignore[no-untyped-call]
        lived = time.monotonic() - slot.started
        slot.pause = PAUSE if lived > STABLE else min(slot.pause * 2, LONGEST)
        slot.due = time.monotonic() + slot.pause
        log.error("worker %d ended with %s; starting it again in %.1f s", slot.number, code, slot.pause)

    def _end(self) -> None:
        """Let all workers drain; kill those that exceed the time limit."""
        left = [slot.process for slot in self._slots if slot.process is not None]
        for process in left:
            process.terminate()
        ends = time.monotonic() + self._settings.drain + CLOSING
        for process in left:
            process.join(max(0.0, ends - time.monotonic()))
            if process.exitcode is None:
                log.error("%s did not end in time", process.name)
                process.kill()
                process.join()


def settings_of(settings: Settings, number: int) -> Settings:
    """Return the settings of a worker: only the first runs maintenance, as the others would find nothing due."""
    return settings if number == 0 else replace(settings, maintain_seconds=0)


@contextmanager
def _signals() -> Iterator[socket.socket]:
    """Yield a socket that becomes readable at a signal of `STOPS`; afterwards these signals are ignored."""
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)

    def handle(signum: int, frame: FrameType | None) -> None:
        # If the socket's buffer is full, earlier signals have not been read yet: one is enough.
        with suppress(BlockingIOError):
            theirs.send(b"!")

    for stop in STOPS:
        signal.signal(stop, handle)
    # Ignored from here on: a second signal must not interrupt the shutdown.
    try:
        yield ours
    finally:
        for stop in STOPS:
            signal.signal(stop, signal.SIG_IGN)
        ours.close()
        theirs.close()
