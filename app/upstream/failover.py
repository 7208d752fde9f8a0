"""Failover: calls the models of a plan in turn until one answers, with deadlines, retries, breakers and hedging."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial

from ..entities import Model
from ..errors import UpstreamUnavailable
from .answer import Answer, read_if_short
from .attempt import PROVIDERS_FAULT, RETRYABLE, Attempt
from .backoff import backoff, retry_after
from .breaker import WAIT, TenantBreakers
from .client import Reply
from .rejection import may_hold_more, other_model_may_serve, too_long

#: Statuses that count as a failure of the model, whatever the request.
_UNHEALTHY = frozenset((401, 408, 410, 429, *range(500, 600)))
#: Models that are due for a retry within so many seconds of the first are retried together.
TOGETHER = 0.05

#: Sends the request to a model; the answer has to begin within so many seconds.
Send = Callable[[Model, float], Awaitable[Reply]]


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """When to give up or to try again.

    `retries`: rounds after the first; `retry_wait`: the longest wait before a round, `total`: the time limit of the
    whole request, `hedge`: the wait before a second model is called beside a slow first one (0: never), in seconds.
    """

    retries: int = 2
    retry_wait: float = 5.0
    total: float = 3600.0
    hedge: float = 0.0


class Failover:
    """The attempts of one request, the earliest first."""

    def __init__(
        self, breakers: TenantBreakers, retry_policy: RetryPolicy, send: Send, arrived: float, *, routed: bool
    ) -> None:
        """`arrived`: the request's arrival by `time.perf_counter`; `routed`: whether another model may serve."""
        self._breakers = breakers
        self._policy = retry_policy
        self._send = send
        self._routed = routed
        self._arrived = arrived
        self.deadline = arrived + retry_policy.total
        self.attempts: list[Attempt] = []

    @property
    def settled(self) -> bool:
        """Whether every provider that was called has answered or failed; none was cancelled."""
        return all(attempt.outcome != "cancelled" for attempt in self.attempts)

    async def answer(self, models: Sequence[Model]) -> Answer:
        """Return the first good answer of `models`, else the last bad one. Raises `UpstreamUnavailable`.

        Try each model once, in order. If all fail, retry those whose errors are retryable after a back-off. A request
        that names its model has only that one.
        """
        failed: Answer | None = None
        round_number = 0
        try:
            while True:
                retries: list[tuple[float, Model]] = []
                delay = backoff(round_number)
                queue = list(models)
                while queue:
                    model = queue.pop(0)
                    if self._routed and not self._allows(model) and (queue or failed is not None or len(models) > 1):
                        self._skip(model, "open")
                        if queue or failed is not None:
                            continue
                        # All breakers are open, and one model has to serve.
                        model = models[0]
                    first = not self.attempts or self.attempts[0].model is model
                    why = "retry" if round_number else "chosen" if first else "fallback"
                    if queue and self._policy.hedge:
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
                        wait = answer.retry_delay(delay)
                        if self._routed and too_long(answer):
                            queue = [each for each in queue if may_hold_more(each, answer.attempt.model)]
                        if wait is not None:
                            retries.append((time.perf_counter() + wait, answer.attempt.model))
                assert failed is not None
                now = time.perf_counter()
                due = min((when for when, _ in retries), default=float("inf"))
                if round_number >= self._policy.retries or due - now > self._policy.retry_wait or due >= self.deadline:
                    break
                await asyncio.sleep(max(0.0, due - now))
                ready = {model.model_id for when, model in retries if when <= due + TOGETHER}
                models = [model for model in models if model.model_id in ready]
                round_number += 1
        except BaseException:
            if failed is not None:
                failed.close()
            raise
        error, failed.error = failed.error, None
        if error is None:
            return failed
        try:
            raise error
        finally:
            # Its traceback refers to this frame, which must not refer back: that would be a cycle.
            del error

    def ended(self, answer: Answer) -> None:
        """Record that an answer has come to its regular end."""
        if answer.began is not None:
            model = answer.attempt.model
            self._breakers.record_success(model.provider.name, model.name, answer.began)

    def cut(self, answer: Answer) -> None:
        """Record that an answer that had begun broke off."""
        if answer.began is not None:
            model = answer.attempt.model
            answer.attempt.outcome = "cut"
            self._breakers.record_failure(model.provider.name, model.name)

    def abandoned(self, answer: Answer | None) -> None:
        """Record that the client has left: before an answer had begun, that is a mark against those it waited for."""
        if answer is not None:
            self._breakers.record_abort(answer.attempt.model.provider.name, answer.attempt.model.name)
            return
        for attempt in self.attempts:
            if attempt.outcome == "cancelled" and attempt.seconds >= WAIT:
                self._breakers.record_waiting(attempt.model.provider.name, attempt.model.name)

    def skip_over_budget(self, models: Sequence[Model]) -> None:
        """Record models of the plan that the caller's budget does not cover."""
        for model in models:
            self._skip(model, "over_budget")

    def _allows(self, model: Model) -> bool:
        return self._breakers.allows(model.provider.name, model.name)

    def _skip(self, model: Model, outcome: str) -> None:
        attempt = Attempt(model, "fallback" if self.attempts else "chosen", self._arrived)
        attempt.end(outcome)
        self.attempts.append(attempt)

    def _good(self, answer: Answer) -> bool:
        reply = answer.reply
        if reply is None or not self._routed:
            return reply is not None and reply.status not in RETRYABLE
        return not (reply.faulty or reply.status in PROVIDERS_FAULT or other_model_may_serve(answer))

    async def _try(self, model: Model, why: str) -> Answer:
        attempt = Attempt(model, why, self._arrived)
        self.attempts.append(attempt)
        provider = model.provider.name
        try:
            reply = await self._send(model, max(0.001, self.deadline - time.perf_counter()))
            whole = await read_if_short(reply, self.deadline)
        except UpstreamUnavailable as error:
            attempt.end(error.outcome)
            self._breakers.record_failure(provider, model.name)
            return Answer(attempt, error=error)
        except BaseException:
            attempt.end("cancelled")
            self._breakers.record_abort(provider, model.name)
            raise
        attempt.end(str(reply.status))
        if reply.status in _UNHEALTHY:
            self._breakers.record_failure(provider, model.name, retry_after(dict(reply.headers)), reply.status)
        elif reply.status >= 400:
            # The request is faulty, as the provider states: that tells nothing of the model.
            self._breakers.record_nothing(provider, model.name)
        elif whole is None:
            return Answer(attempt, reply, began=self._breakers.record_begin(provider, model.name))
        else:
            self._breakers.record_success(provider, model.name)
        return Answer(attempt, reply, whole)

    async def _hedged(self, model: Model, second: Model, why: str) -> tuple[list[Answer], bool]:
        """Call `model`, and `second` too if `model` is slow.

        Returns the first good answer, else all answers; and whether both were called.
        """
        tasks = [asyncio.create_task(self._try(model, why))]
        answers: list[Answer] = []
        kept: list[Answer] = []
        try:
            await asyncio.wait(tasks, timeout=self._policy.hedge)
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
                # However long an attempt takes to end: this request may be cancelled before.
                task.add_done_callback(partial(self._close_late, kept))
            try:
                await asyncio.gather(*tasks, return_exceptions=True)
            except BaseException:
                # The client has disconnected.
                for answer in kept:
                    self._give_up(answer)
                raise

    def _close_late(self, kept: Sequence[Answer], task: asyncio.Task[Answer]) -> None:
        if task.cancelled() or task.exception() is not None:
            return
        late = task.result()
        if not any(late is each for each in kept):
            self._give_up(late)

    def _give_up(self, answer: Answer) -> None:
        answer.close()
        if answer.began is not None:
            self.abandoned(answer)
