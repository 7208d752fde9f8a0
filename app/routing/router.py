"""Turns a request into a plan: which models are tried, in which order, and why."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from pgvector import HalfVector

from app.catalog import Catalog
from app.dialects import CHAT, Dialect, ParsedRequest, prompt
from app.dialects.tokens import Tokenizers
from app.entities import Caller, Model, Policy
from app.errors import BadRequest, DatabaseUnavailable, Forbidden
from app.memory.embedders import EmbeddingFailed
from app.memory.spaces import Spaces
from app.routing import candidates as eligible
from app.routing.candidates import able
from app.routing.options import RoutingOptions
from app.routing.plan import Plan, Timings
from app.store import decisions
from app.store.database import Database
from app.store.decisions import Ask, Question
from app.telemetry import metrics

log = logging.getLogger("pgrouter.router")


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
        options: RoutingOptions,
        catalog: Catalog,
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
            default = catalog.by_id.get(policy.default_model)
            if default is None:
                raise BadRequest(f"The default model of policy {name!r} is disabled.", param="model")
        else:
            default = eligible.named(name, caller, catalog, dialect)
            policy = self._explicit_policy(caller, default) if dialect.routed else None
            if policy is None or not self._enabled or not options.routed:
                return Plan((eligible.allowed(default, caller),), "off")
        pool = eligible.pool(policy, default, catalog)
        allowed = [model for model in pool if eligible.may_use(caller, model)]
        if not allowed:
            raise Forbidden(f"This key may not use any model of policy {policy.name!r}.", param="model")
        if holder is not None:
            allowed = eligible.beside(holder, allowed, caller)
        if not self._enabled or not options.routed:
            return Plan((eligible.speakers(allowed, dialect, policy)[0],), "off", policy)
        reading = dialect.read(body)
        if reading.previous is not None and holder is None:
            allowed = eligible.beside(default, allowed, caller)
        return await self._decide(
            caller, policy, allowed, len(pool), dialect, reading, options, catalog, explained, holder
        )

    async def _decide(
        self,
        caller: Caller,
        policy: Policy,
        pool: list[Model],
        candidates: int,
        dialect: Dialect,
        reading: ParsedRequest,
        options: RoutingOptions,
        catalog: Catalog,
        explained: bool,
        holder: Model | None,
    ) -> Plan:
        count = self._tokenizers.of(model.upstream_name for model in pool)
        tokens = prompt.prompt_tokens(reading, count)
        fit = [model for model in pool if able(model, dialect, reading, tokens)]
        planned = partial(Plan, policy=policy, tokens=tokens, reading=reading)
        if not fit:
            # Nobody is known to be able; the provider will say what is wrong, better than a guess here would.
            return planned((eligible.speakers(pool, dialect, policy)[0],), "capability")
        if len(fit) == 1:
            alone = "single_candidate" if len(pool) == 1 else "capability"
            return planned((fit[0],), "sticky" if fit[0] is holder else alone)
        if holder in fit and policy.granularity == "conversation" and policy.backend != "none":
            return planned((holder, *(model for model in fit if model is not holder)), "sticky")
        # The policy's default model, where it is able, comes first.
        default = fit[0]
        messages = reading.messages
        conversation = prompt.conversation_key(messages, options.conversation, options.task)
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
            continues=prompt.continues(messages),
            random=1.0 if explained else random.random(),  # noqa: S311  (a share of traffic, not a secret)
        )
        ask = decisions.explain if explained else decisions.decide
        took = Timings()
        try:
            text = prompt.task_signal(messages, policy.granularity)
            rows, reason = await self._ask(caller, policy, text, question, ask, took)
        except DatabaseUnavailable:
            metrics.fail_opens.labels("memory").inc()
            rest = (model for model in fit if model is not default)
            return planned((default, *rest), "memory_unavailable", took=took)
        if rows[0]["reason"] == "unpriced":
            self._say_unpriced(policy, rows, catalog)
        return planned(
            models=tuple(catalog.by_id[row["model_id"]] for row in rows if row["model_id"] in catalog.by_id),
            reason=reason or rows[0]["reason"],
            confidence=rows[0]["confidence"],
            ranking=tuple(rows),
            conversation=conversation,
            took=took,
        )

    async def _ask(
        self, caller: Caller, policy: Policy, text: str, question: Question, ask: Ask, took: Timings
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
        self, ask: Ask, question: Question, embedding: HalfVector | None, took: Timings
    ) -> list[Mapping[str, Any]]:
        began = time.perf_counter()
        try:
            return await ask(self._db, question, embedding, deadline=self._deadline)
        finally:
            took.decision = (took.decision or 0.0) + time.perf_counter() - began

    def _say_unpriced(self, policy: Policy, rows: Sequence[Mapping[str, Any]], catalog: Catalog) -> None:
        """Log which candidates have no price, once for each policy and model."""
        for model_id in (row["model_id"] for row in rows if row["cost_usd"] is None):
            if model_id in catalog.by_id and (policy.policy_id, model_id) not in self._unpriced:
                self._unpriced.add((policy.policy_id, model_id))
                name = catalog.by_id[model_id].name
                log.warning(
                    "policy %s (%d) declines as `unpriced`: %s has no price", policy.name, policy.policy_id, name
                )

    @staticmethod
    def _explicit_policy(caller: Caller, model: Model) -> Policy | None:
        """The policy that routes a request naming a real model: `auto`, where the tenant wants that."""
        policy = caller.policies.get("auto") if caller.route_explicit else None
        return policy if policy is not None and model.model_id in policy.models else None
