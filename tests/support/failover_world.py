"""Providers that follow a script and a clock that only sleeping moves, for the tests of `Failover`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from app.entities import Model
from app.errors import UpstreamUnavailable
from app.upstream.answer import Answer
from app.upstream.breaker import Breakers
from app.upstream.client import Reply
from app.upstream.failover import Failover, RetryPolicy
from tests.support.models import model

A, B, C = (model(name, model_id=number) for number, name in enumerate("abc"))


class Said:
    """A provider's reply, as `Failover` reads it; `stalls`: its body never ends."""

    def __init__(self, status: int, *, stalls: bool = False, **headers: Any) -> None:
        self.status, self.stalls, self.closed = status, stalls, False
        self.arrived = not stalls
        self.whole: bytes | None = None
        self.faulty = False
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.headers = [(b"content-length", b"2"), *((n.encode(), v.encode()) for n, v in named.items())]

    def header(self, name: bytes) -> bytes | None:
        return dict(self.headers).get(name)

    async def read(self) -> bytes:
        if self.stalls:
            await asyncio.Event().wait()
        return b"{}"

    def close(self) -> None:
        self.closed = True


LOST = UpstreamUnavailable("The provider cannot be reached.")
LATE = UpstreamUnavailable("The provider did not answer in time.", timed_out=True)
Script = Sequence[int | Said | UpstreamUnavailable | asyncio.Event]


@dataclass
class World:
    """Providers that follow a script, and a clock that only `sleep` moves."""

    scripts: dict[str, list[Any]]
    routed: bool = True
    patience: RetryPolicy = field(default_factory=RetryPolicy)
    breakers: Breakers | None = None
    now: float = 1000.0
    asked: list[str] = field(default_factory=list)
    slept: list[float] = field(default_factory=list)
    said: list[Said] = field(default_factory=list)
    within: list[float] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.breakers = self.breakers or Breakers(lambda: self.now)
        self.failover = Failover(self.breakers.of(0), self.patience, self.send, time.perf_counter(), routed=self.routed)

    async def send(self, asked: Model, within: float) -> Reply:
        self.asked.append(asked.name)
        self.within.append(within)
        step = self.scripts[asked.name].pop(0)
        if isinstance(step, asyncio.Event):
            try:
                await step.wait()
            except asyncio.CancelledError:
                self.cancelled.append(asked.name)
                raise
            step = self.scripts[asked.name].pop(0)
        if isinstance(step, UpstreamUnavailable):
            raise step
        reply = Said(step) if isinstance(step, int) else step
        self.said.append(reply)
        return cast(Reply, reply)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds + 1e-3

    async def answer(self, *models: Model) -> Answer:
        return await self.failover.answer(models)

    @property
    def attempts(self) -> list[tuple[str, str, str]]:
        return [(each.model.name, each.why, each.outcome) for each in self.failover.attempts]

    @property
    def open(self) -> list[Any]:
        return [each for each in self.said if not each.closed]


WORLDS: list[World] = []


def world(
    routed: bool = True, patience: RetryPolicy | None = None, breakers: Breakers | None = None, **scripts: Script
) -> World:
    made = World({name: list(script) for name, script in scripts.items()}, routed, patience or RetryPolicy(), breakers)
    WORLDS.append(made)
    return made


def status(answer: Answer) -> int:
    assert answer.reply is not None
    return answer.reply.status
