"""Turns a request into a plan: which models are tried, in which order, and why."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from pgvector import HalfVector

from app import metrics, signal
from app.capability import able
from app.catalogue import Catalogue
from app.dialects import CHAT, Dialect, Reading
from app.embedder import EmbeddingFailed
from app.errors import BadRequest, Forbidden, MemoryUnavailable
from app.spaces import Spaces
from app.store import routing
from app.store.database import Database
from app.store.routing import Ask, Question
from app.store.tenancy import Caller, Model, Policy
from app.tokens import Tokenizers

log = logging.getLogger("pgrouter.router")


@dataclass(frozen=True, slots=True)
class Options:
    """What the request's headers ask of the router; None: nothing was said."""

    routed: bool = True
    conversation: str | None = None
    task: str | None = None
    alpha: float | None = None

    @classmethod
    def of(cls, headers: Mapping[bytes, bytes]) -> Options:
        """Read the `X-Router*` headers (lower-case names). Raises `BadRequest` naming the header."""
        switch = headers.get(b"x-router", b"on").decode("latin-1").strip().lower()
        if switch not in ("on", "off"):
            raise BadRequest(f"X-Router is `on` or `off`, not {switch!r}.", param="X-Router")
        alpha = headers.get(b"x-router-alpha")
        return cls(
            routed=switch == "on",
            conversation=_text(headers, b"x-router-conversation", "X-Router-Conversation", 1000),
            task=_text(headers, b"x-router-task", "X-Router-Task", 100),
            alpha=None if alpha is None else _alpha(alpha),
        )


NO_OPTIONS = Options()


@dataclass(slots=True)
class Took:
    """What the steps of a decision took, seconds; None: there was none."""

    embedding: float | None = None
    decision: float | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """The models to try, best first, and the reason. `policy` is None when routing was not asked for.

    `ranking` has the rows of `router.decide` where the database was asked: quality 0 to 1, cost in USD, score.
    `reading` is the request as it was read, `tokens` what its prompt was taken for; None: nobody did.
    """

    models: tuple[Model, ...]
    reason: str
    policy: Policy | None = None
    confidence: float | None = None
    ranking: tuple[Mapping[str, Any], ...] = ()
    conversation: bytes | None = None
    tokens: int | None = None
    reading: Reading | None = None
    took: Took | None = None

    @property
    def routed(self) -> bool:
        """Whether the request asked for a policy, so that the answer says who served it and another model may."""
        return self.policy is not None


class Router:
    """Plans requests. Every step that is uncertain declines to the default model, with a reason."""

    def __init__(self, db: Database, spaces: Spaces, tokenizers: Tokenizers, *, enabled: bool, deadline: float) -> None:
        self._db = db
        self._spaces = spaces
        self._tokenizers = tokenizers
        self._enabled = enabled
        self._deadline = deadline
        self._cold: set[tuple[int, int]] = set()
        self._unpriced: set[tuple[int, int]] = set()

    async def plan(
        self,
        caller: Caller,
        body: dict[str, Any],
        options: Options,
        catalogue: Catalogue,
        dialect: Dialect = CHAT,
        *,
        explained: bool = False,
        holder: Model | None = None,
    ) -> Plan:
        """Who serves `body`, a request in `dialect`.

        `explained`: the ranking has the rows of `router.explain`, none explored; `holder` gave the answer that the
        request goes on from. Raises `NotFound` for an unknown model, `Forbidden` for one that the key may not use, and
        `BadRequest` for a request that cannot be read, or in an API that nobody asked for speaks.
        """
        name = body["model"]
        policy = caller.policies.get(name) if dialect.routed else None
        if policy is not None:
            default = catalogue.by_id.get(policy.default_model)
            if default is None:
                raise BadRequest(f"The default model of policy {name!r} is disabled.", param="model")
        else:
            default = _named(name, caller, catalogue, dialect)
            policy = self._explicit_policy(caller, default) if dialect.routed else None
            if policy is None or not self._enabled or not options.routed:
                return Plan((_allowed(default, caller),), "off")
        pool = _pool(policy, default, catalogue)
        allowed = [model for model in pool if _may_use(caller, model)]
        if not allowed:
            raise Forbidden(f"This key may not use any model of policy {policy.name!r}.", param="model")
        if holder is not None:
            allowed = _beside(holder, allowed, caller)
        if not self._enabled or not options.routed:
            return Plan((_speakers(allowed, dialect, policy)[0],), "off", policy)
        reading = dialect.read(body)
        if reading.previous is not None and holder is None:
            allowed = _beside(default, allowed, caller)
        return await self._decide(
            caller, policy, allowed, len(pool), dialect, reading, options, catalogue, explained, holder
        )

    async def _decide(
        self,
        caller: Caller,
        policy: Policy,
        pool: list[Model],
        candidates: int,
        dialect: Dialect,
        reading: Reading,
        options: Options,
        catalogue: Catalogue,
        explained: bool,
        holder: Model | None,
    ) -> Plan:
        count = self._tokenizers.of(model.upstream_name for model in pool)
        tokens = signal.prompt_tokens(reading, count)
        fit = [model for model in pool if able(model, dialect, reading, tokens)]
        planned = partial(Plan, policy=policy, tokens=tokens, reading=reading)
        if not fit:
            # Nobody is known to be able; the provider will say what is wrong, better than a guess here would.
            return planned((_speakers(pool, dialect, policy)[0],), "capability")
        if len(fit) == 1:
            alone = "single_candidate" if len(pool) == 1 else "capability"
            return planned((fit[0],), "sticky" if fit[0] is holder else alone)
        if holder in fit and policy.granularity == "conversation" and policy.backend != "none":
            return planned((holder, *(model for model in fit if model is not holder)), "sticky")
        # The policy's default model, where it is able, comes first.
        default = fit[0]
        messages = reading.messages
        conversation = signal.conversation_key(messages, options.conversation, options.task)
        question = Question(
            tenant_id=caller.tenant_id,
            policy_id=policy.policy_id,
            space_id=self._spaces.own.space_id if caller.space is None else caller.space.space_id,
            task=options.task,
            prompt_tokens=tokens,
            default_model=default.model_id,
            models=None if len(fit) == candidates else [model.model_id for model in fit],
            alpha=options.alpha,
            conversation=conversation,
            continues=signal.continues(messages),
            random=1.0 if explained else random.random(),  # noqa: S311  (a share of traffic, not a secret)
        )
        ask = routing.explain if explained else routing.decide
        took = Took()
        try:
            text = signal.task_signal(messages, policy.granularity)
            rows, reason = await self._ask(caller, policy, text, question, ask, took)
        except MemoryUnavailable:
            metrics.fail_opens.labels("memory").inc()
            rest = (model for model in fit if model is not default)
            return planned((default, *rest), "memory_unavailable", took=took)
        if rows[0]["reason"] == "unpriced":
            self._say_unpriced(policy, rows, catalogue)
        return planned(
            models=tuple(catalogue.by_id[row["model_id"]] for row in rows if row["model_id"] in catalogue.by_id),
            reason=reason or rows[0]["reason"],
            confidence=rows[0]["confidence"],
            ranking=tuple(rows),
            conversation=conversation,
            took=took,
        )

    async def _ask(
        self, caller: Caller, policy: Policy, text: str, question: Question, ask: Ask, took: Took
    ) -> tuple[list[Mapping[str, Any]], str | None]:
        """Rows of the decision, and a reason that overrides theirs.

        A tenant that was cold the last time is asked without an embedding first: most likely it still is.
        """
        tenant = (caller.tenant_id, policy.policy_id)
        if policy.backend != "knn" or tenant in self._cold:
            rows = await self._timed(ask, question, None, took)
            if rows[0]["reason"] != "no_signal":
                return rows, None
            self._cold.discard(tenant)
        failed = None
        embedding = None
        if text:
            began = time.perf_counter()
            try:
                space = await self._spaces.of(caller)
                embedding = await space.embedder.embed_one(text)
            except EmbeddingFailed:
                failed = "embedding_failed"
                metrics.fail_opens.labels("embedding").inc()
            took.embedding = time.perf_counter() - began
        rows = await self._timed(ask, question, embedding, took)
        reason = rows[0]["reason"]
        if reason == "cold" and len(self._cold) < 1_000_000:
            self._cold.add(tenant)
        return rows, failed if reason == "no_signal" else None

    async def _timed(
        self, ask: Ask, question: Question, embedding: HalfVector | None, took: Took
    ) -> list[Mapping[str, Any]]:
        began = time.perf_counter()
        try:
            return await ask(self._db, question, embedding, deadline=self._deadline)
        finally:
            took.decision = (took.decision or 0.0) + time.perf_counter() - began

    def _say_unpriced(self, policy: Policy, rows: Sequence[Mapping[str, Any]], catalogue: Catalogue) -> None:
        """Log which candidates have no price, once for each policy and model."""
        for model_id in (row["model_id"] for row in rows if row["cost_usd"] is None):
            if model_id in catalogue.by_id and (policy.policy_id, model_id) not in self._unpriced:
                self._unpriced.add((policy.policy_id, model_id))
                name = catalogue.by_id[model_id].name
                log.warning(
                    "policy %s (%d) declines as `unpriced`: %s has no price", policy.name, policy.policy_id, name
                )

    @staticmethod
    def _explicit_policy(caller: Caller, model: Model) -> Policy | None:
        """The policy that routes a request naming a real model: `auto`, where the tenant wants that."""
        policy = caller.policies.get("auto") if caller.route_explicit else None
        return policy if policy is not None and model.model_id in policy.models else None


def _pool(policy: Policy, default: Model, catalogue: Catalogue) -> list[Model]:
    others = (catalogue.by_id.get(model_id) for model_id in policy.models if model_id != default.model_id)
    return [default, *(model for model in others if model is not None)]


def _beside(model: Model, models: list[Model], caller: Caller) -> list[Model]:
    """Those of the provider of `model`, else it alone: nobody else can go on from what that provider keeps."""
    return [each for each in models if each.provider is model.provider] or [_allowed(model, caller)]


def _speakers(models: list[Model], dialect: Dialect, policy: Policy) -> list[Model]:
    """Those whose provider speaks the API. Raises `BadRequest` when there are none."""
    found = [model for model in models if dialect.name in model.provider.speaks]
    if not found:
        raise BadRequest(
            f"No candidate of policy {policy.name!r} is served by a provider that speaks {dialect.path}.", param="model"
        )
    return found


def _may_use(caller: Caller, model: Model) -> bool:
    return caller.allowed_models is None or model.model_id in caller.allowed_models


def _allowed(model: Model, caller: Caller) -> Model:
    if not _may_use(caller, model):
        raise Forbidden(f"This key may not use the model {model.name!r}.", param="model")
    return model


def _named(name: str, caller: Caller, catalogue: Catalogue, dialect: Dialect) -> Model:
    """The model that a request names. Raises `NotFound`, `BadRequest` where its provider does not speak the API."""
    policy = caller.policies.get(name)
    if policy is not None and not dialect.billed:
        numbers = (policy.default_model, *policy.models)
        pool = [catalogue.by_id[number] for number in numbers if number in catalogue.by_id]
        return _speakers([model for model in pool if _may_use(caller, model)] or pool, dialect, policy)[0]
    if policy is not None and catalogue.find(name) is None:
        raise BadRequest(f"{dialect.path} is not routed: name a model, not the policy {name!r}.", param="model")
    model = catalogue.get(name)
    if dialect.name not in model.provider.speaks:
        raise BadRequest(
            f"The provider {model.provider.name!r} of {name!r} does not speak {dialect.path}, "
            "or pgrouter was not told that it does.",
            param="model",
        )
    return model


def _text(headers: Mapping[bytes, bytes], name: bytes, shown: str, longest: int) -> str | None:
    value = headers.get(name)
    if value is None:
        return None
    try:
        text = value.decode().strip()
    except UnicodeDecodeError:
        raise BadRequest(f"{shown} is not UTF-8.", param=shown) from None
    if len(text) > longest or "\0" in text:
        raise BadRequest(f"{shown} has up to {longest} characters, none of them NUL.", param=shown)
    return text or None


def _alpha(value: bytes) -> float:
    try:
        alpha = -1.0 if b"_" in value else float(value)
    except ValueError:
        alpha = -1.0
    if not 0 <= alpha <= 100:
        raise BadRequest("X-Router-Alpha is a number from 0 to 100.", param="X-Router-Alpha")
    # Anything finer is lost beside a quality of 0 to 1, and at the end of the range Postgres reports an underflow.
    return round(alpha, 9)
