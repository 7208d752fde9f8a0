"""Asks the models of a plan one after the other until one answers: deadlines, retries, breakers, hedging."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from app.entities import Model
from app.errors import UpstreamUnavailable
from app.upstream.attempt import PROVIDERS_FAULT, RETRYABLE, Attempt
from app.upstream.backoff import backoff, retry_after
from app.upstream.breaker import Breakers
from app.upstream.client import Reply

#: These say that the model is not well, whoever asks.
_UNWELL = frozenset((401, 408, 429, *range(500, 600)))
#: An answer of known length up to this is read whole before any of it goes out.
WHOLE = 1024 * 1024

#: Of several that are to be asked again, those that are ready within so many seconds of the first go together.
TOGETHER = 0.05

#: Sends a request to a model, within so many seconds.
Send = Callable[[Model, float], Awaitable[Reply]]


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How hard to try; seconds. `retries`: rounds after the first; `hedge` 0: never."""

    retries: int = 2
    retry_wait: float = 5.0
    total: float = 3600.0
    hedge: float = 0.0


@dataclass(slots=True)
class Answer:
    """What came of an attempt: a reply with its first byte there, `whole` if it was short; or an error."""

    attempt: Attempt
    reply: Reply | None = None
    whole: bytes | None = None
    error: UpstreamUnavailable | None = None

    def close(self) -> None:
        """Nobody will read it."""
        if self.reply is not None:
            self.reply.close()

    def wait(self, pause: float) -> float | None:
        """Seconds after which to ask again, `pause` where nothing was said; None: that would not help."""
        if self.reply is None:
            return None if self.error is not None and self.error.timed_out else pause
        if self.reply.status not in RETRYABLE:
            return None
        said = retry_after(dict(self.reply.headers))
        return pause if said is None else said


class Failover:
    """The attempts of one request, in `made`, the first one's beginning first."""

    def __init__(self, breakers: Breakers, patience: RetryPolicy, send: Send, arrived: float, *, routed: bool) -> None:
        self._breakers = breakers
        self._patience = patience
        self._send = send
        self._routed = routed
        self._arrived = arrived
        self.deadline = arrived + patience.total
        self.made: list[Attempt] = []

    @property
    def asked(self) -> int:
        """How many calls of providers that were."""
        return sum(attempt.asked for attempt in self.made)

    @property
    def idle(self) -> bool:
        """Whether all that were asked have answered, or failed, by themselves."""
        return all(attempt.outcome != "cancelled" for attempt in self.made)

    async def answer(self, models: Sequence[Model]) -> Answer:
        """The first good answer of `models`, in their order, else the last bad one. Raises `UpstreamUnavailable`.

        Next to a model that fails comes the next one, at once; when all have failed they are asked again, those that
        may do better, after a while. For a request that names its model there is just that one.
        """
        failed: Answer | None = None
        repeated = 0
        try:
            while True:
                ready: list[tuple[float, Model]] = []
                pause = backoff(repeated)
                queue = list(models)
                while queue:
                    model = queue.pop(0)
                    if self._routed and not self._allows(model) and (queue or failed is not None or len(models) > 1):
                        self._pass_over(model, "open")
                        if queue or failed is not None:
                            continue
                        # Nobody is well; somebody has to serve.
                        model = models[0]
                    first = not self.made or self.made[0].model is model
                    why = "retry" if repeated else "chosen" if first else "fallback"
                    if queue and self._patience.hedge:
                        answers, hedged = await self._hedged(model, queue[0], why)
                        if hedged:
                            queue.pop(0)
                    else:
                        answers = [await self._try(model, why)]
                    for answer in answers:
                        if failed is not None:
                            failed.close()
                        failed = answer
                        if self._good(answer):
                            return answer
                        wait = answer.wait(pause)
                        if wait is not None:
                            ready.append((time.perf_counter() + wait, answer.attempt.model))
                assert failed is not None
                now = time.perf_counter()
                at = min((when for when, _ in ready), default=float("inf"))
                if repeated >= self._patience.retries or at - now > self._patience.retry_wait or at >= self.deadline:
                    break
                await asyncio.sleep(max(0.0, at - now))
                soon = {model.model_id for when, model in ready if when <= at + TOGETHER}
                models = [model for model in models if model.model_id in soon]
                repeated += 1
        except BaseException:
            if failed is not None:
                failed.close()
            raise
        if failed.error is not None:
            raise failed.error
        return failed

    def over_budget(self, models: Sequence[Model]) -> None:
        """These would have been asked, had there been money for them."""
        for model in models:
            self._pass_over(model, "over_budget")

    def _allows(self, model: Model) -> bool:
        return self._breakers.allows(model.provider.name, model.name)

    def _pass_over(self, model: Model, outcome: str) -> None:
        attempt = Attempt(model, "fallback" if self.made else "chosen", self._arrived)
        attempt.end(outcome)
        self.made.append(attempt)

    def _good(self, answer: Answer) -> bool:
        bad = PROVIDERS_FAULT if self._routed else RETRYABLE
        return answer.reply is not None and answer.reply.status not in bad

    async def _try(self, model: Model, why: str) -> Answer:
        attempt = Attempt(model, why, self._arrived)
        self.made.append(attempt)
        provider = model.provider.name
        try:
            reply = await self._send(model, max(0.001, self.deadline - time.perf_counter()))
            whole = await self._whole(reply)
        except UpstreamUnavailable as error:
            attempt.end("timeout" if error.timed_out else "unreachable")
            self._breakers.record_failure(provider, model.name)
            return Answer(attempt, error=error)
        except BaseException:
            attempt.end("cancelled")
            self._breakers.record_abort(provider, model.name)
            raise
        attempt.end(str(reply.status))
        if reply.status in _UNWELL:
            self._breakers.record_failure(provider, model.name, retry_after(dict(reply.headers)))
        else:
            self._breakers.record_success(provider, model.name)
        return Answer(attempt, reply, whole)

    async def _whole(self, reply: Reply) -> bytes | None:
        """A short answer whole: one that breaks off, or does not come in time, can still be another model's."""
        length = reply.header(b"content-length")
        if length is None or not length.isdigit() or int(length) > WHOLE:
            return None
        try:
            if reply.arrived:
                return await reply.read()
            async with asyncio.timeout(max(0.001, self.deadline - time.perf_counter())):
                return await reply.read()
        except TimeoutError:
            reply.close()
            raise UpstreamUnavailable("The provider did not end its answer in time.", timed_out=True) from None
        except BaseException:
            reply.close()
            raise

    async def _hedged(self, model: Model, second: Model, why: str) -> tuple[list[Answer], bool]:
        """The answer of `model`, or of whichever is first once it keeps one waiting; and whether both were asked.

        Where neither is good it is both.
        """
        tasks = [asyncio.create_task(self._try(model, why))]
        answers: list[Answer] = []
        kept: list[Answer] = []
        try:
            await asyncio.wait(tasks, timeout=self._patience.hedge)
            if not tasks[0].done() and self._allows(second):
                tasks.append(asyncio.create_task(self._try(second, "hedge")))
            pending = set(tasks)
            while pending and not kept:
                done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                answers += [task.result() for task in tasks if task in done]
                kept = [answer for answer in answers if self._good(answer)][:1]
            kept = kept or answers
            return kept, len(tasks) > 1
        finally:
            for task in tasks:
                task.cancel()
            for late in await asyncio.gather(*tasks, return_exceptions=True):
                if isinstance(late, Answer) and not any(late is each for each in kept):
                    late.close()
