"""Keeps several processes serving one port: starts them, starts those that die again, and ends them all."""

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
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from types import FrameType

from prometheus_client.multiprocess import mark_process_dead

from ..errors import ConfigurationError
from ..settings import Settings
from ..telemetry import metrics
from .worker import work

#: Linux spreads connections over the sockets of one port. Elsewhere the workers take them off one socket: whoever is
#: first may take a burst of them all.
SPREAD = sys.platform == "linux"
STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
#: Between a worker's death and its next start, seconds: doubled for one that dies within `STABLE` of its start.
PAUSE, LONGEST, STABLE = 0.1, 30.0, 10.0
#: On top of the drain, until workers that do not end are killed: the ledger's flush and the closing of connections.
CLOSING = 8.0

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
    """`settings.workers` processes that serve `listener`'s port; the context ends them.

    Where the port can be shared by sockets, `listener` is bound to it and does not listen: it keeps the port.
    """

    def __init__(self, settings: Settings, listener: socket.socket) -> None:
        self._settings = settings
        self._listener = listener
        self._context = multiprocessing.get_context("spawn")
        self._slots = [_Slot(number) for number in range(settings.workers)]
        self._directory = ""

    def run(self, announce: Callable[[], None]) -> None:
        """Serve until a signal of `STOPS`; `announce` is called once all workers answer.

        Raises `ConfigurationError` when one cannot start the first time; later it is tried again and again.
        """
        folder = tempfile.TemporaryDirectory(prefix="pgrouter-metrics-", ignore_cleanup_errors=True)
        with folder as self._directory, _signals() as heard:
            try:
                for slot in self._slots:
                    self._start(slot)
                self._serve(heard, announce)
            finally:
                self._end()

    def _serve(self, heard: socket.socket, announce: Callable[[], None]) -> None:
        announced = False
        while True:
            found = wait([heard, *self._sentinels(), *self._waiting()], timeout=self._until_due())
            if heard in found:
                return
            for slot in self._slots:
                if slot.ready in found:
                    self._hear(slot, first=not announced)
                elif slot.process is not None and slot.process.sentinel in found:
                    self._bury(slot, first=not announced)
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
        # A signal that comes before the child can deal with it waits.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
        try:
            slot.process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            for name in environment:
                del os.environ[name]
            theirs.close()

    def _hear(self, slot: _Slot, *, first: bool) -> None:
        assert slot.ready is not None
        try:
            said = slot.ready.recv()
            slot.serving = said is None
            if said is not None and first:
                raise ConfigurationError(said)
            if said is not None:
                log.error("worker %d cannot start: %s", slot.number, said)
        except EOFError:
            pass  # It died before it was ready; its sentinel says so too.
        finally:
            slot.ready.close()
            slot.ready = None

    def _bury(self, slot: _Slot, *, first: bool) -> None:
        assert slot.process is not None
        slot.process.join()
        code = slot.process.exitcode
        slot.process.close()
        slot.process = None
        if slot.ready is not None and slot.ready.poll():
            self._hear(slot, first=first)
        if first:
            raise ConfigurationError(f"A worker ended with {code} before it served.")
        mark_process_dead(slot.number, self._directory)  # type: ignore[no-untyped-call]
        lived = time.monotonic() - slot.started
        slot.pause = PAUSE if lived > STABLE else min(slot.pause * 2, LONGEST)
        slot.due = time.monotonic() + slot.pause
        log.error("worker %d ended with %s; starting it again in %.1f s", slot.number, code, slot.pause)

    def _end(self) -> None:
        """Have all drain; who does not within the time for it is killed."""
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
    """What a worker is told: one keeps the store in shape, the others would only look whether there is work."""
    return settings if number == 0 else replace(settings, maintain_seconds=0)


@contextmanager
def _signals() -> Iterator[socket.socket]:
    """A socket that becomes readable at a signal of `STOPS`, which does nothing else from now on."""
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)

    def heard(signum: int, frame: FrameType | None) -> None:
        # Full: it was heard before.
        with suppress(BlockingIOError):
            theirs.send(b"!")

    for stop in STOPS:
        signal.signal(stop, heard)
    # They stay deaf: what follows is the end, and no second signal is to disturb it.
    try:
        yield ours
    finally:
        for stop in STOPS:
            signal.signal(stop, signal.SIG_IGN)
        ours.close()
        theirs.close()
