"""The router: turns a request into a plan."""

from __future__ import annotations

import logging
import random
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from ..catalog import Catalog
from ..dialects.conversation import continues, conversation_of
from ..dialects.markers import Markers
from ..dialects.model_request import ModelRequest
from ..dialects.request_text import request_text
from ..dialects.tokens import Tokenizers
from ..entities import Caller, Model, Policy
from ..errors import BadRequest, DatabaseUnavailable, Forbidden
from ..off_loop import off_loop
from ..store import decisions
from ..store.decisions import Dials, Question
from ..telemetry import metrics
from . import candidates
from .candidates import Candidates
from .options import RoutingOptions
from .plan import Plan, Timings
from .ranking import Ranking

log = logging.getLogger("pgrouter.router")

#: The time of reading the text of a body full of tags, in that of other work on as many bytes.
TEXT_COST = 8


class Router:
    """Plans requests. If a step is uncertain, the default model serves, and the plan gives the reason."""

    def __init__(self, ranking: Ranking, tokenizers: Tokenizers, markers: Markers, *, enabled: bool) -> None:
        """`enabled` False: every request of a policy goes to its default model."""
        self._ranking = ranking
        self._tokenizers = tokenizers
        self._markers = markers
        self._enabled = enabled
        self._unpriced: set[tuple[int, int]] = set()

    async def plan(
        self,
        request: ModelRequest,
        caller: Caller,
        catalog: Catalog,
        options: RoutingOptions,
        *,
        holder: Model | None = None,
        explained: Dials | None = None,
    ) -> Plan:
        """Plan a request.

        `holder`: the model that gave the answer which the request continues; `explained`: the ranking has the rows of
        `router.explain` with these settings, and none is explored. Raises `NotFound` for an unknown model, `Forbidden`
        for one that the key does not allow, and `BadRequest` if the request is malformed or no candidate's provider
        supports its API.
        """
        name, dialect = request.model, request.dialect
        policy = caller.policies.get(name) if dialect.routed else None
        if policy is not None:
            default = catalog.by_id.get(policy.default_model)
            if default is None:
                raise BadRequest(f"The default model of policy {name!r} is disabled.", param="model")
        else:
            default = candidates.named(name, caller, catalog, dialect)
            policy = _policy_of_named(caller, default) if dialect.routed else None
            if policy is None or not self._enabled or not options.routed:
                return Plan((candidates.require_allowed(default, caller),), "off")
        models = candidates.policy_models(policy, default, catalog)
        allowed = [model for model in models if candidates.may_use(caller, model)]
        if not allowed:
            raise Forbidden(f"This key may not use any model of policy {policy.name!r}.", param="model")
        if holder is not None:
            allowed = candidates.same_provider(holder, allowed, caller)
        if not self._enabled or not options.routed:
            return Plan((candidates.supporting(allowed, dialect, policy)[0],), "off", policy)
        if request.parsed.previous is not None and holder is None:
            allowed = candidates.same_provider(default, allowed, caller)
        found = Candidates(policy, allowed, len(allowed) == len(models), holder)
        return await self._decide(request, caller, catalog, options, found, explained=explained)

    async def _decide(
        self,
        request: ModelRequest,
        caller: Caller,
        catalog: Catalog,
        options: RoutingOptions,
        found: Candidates,
        *,
        explained: Dials | None,
    ) -> Plan:
        policy, holder = found.policy, found.holder
        count = self._tokenizers.of(model.upstream_name for model in found.models)
        tokens = await off_loop(request.size, partial(request.count_tokens, count))
        fit = [each for each in found.models if candidates.can_serve(each, request.dialect, request.parsed, tokens)]
        planned = partial(Plan, policy=policy, tokens=tokens)
        if not fit:
            # The provider's error is more precise than one that is derived from the list of capabilities.
            return planned((candidates.supporting(found.models, request.dialect, policy)[0],), "capability")
        if len(fit) == 1:
            alone = "single_candidate" if len(found.models) == 1 else "capability"
            return planned((fit[0],), "sticky" if fit[0] is holder else alone)
        if holder in fit and policy.granularity == "conversation" and policy.backend != "none":
            return planned((holder, *(model for model in fit if model is not holder)), "sticky")
        # The policy's default model, if it can serve the request, comes first.
        default = fit[0]
        text, conversation = await off_loop(
            TEXT_COST * request.size, partial(self._read, request, options, policy.granularity)
        )
        question = Question(
            tenant_id=caller.tenant_id,
            policy_id=policy.policy_id,
            space_id=self._ranking.space_of(caller),
            task=options.task,
            prompt_tokens=tokens,
            default_model=default.model_id,
            models=None if found.complete and len(fit) == len(found.models) else [model.model_id for model in fit],
            alpha=options.alpha,
            conversation=conversation,
            continues=continues(request.parsed),
            random=1.0 if explained is not None else random.random(),  # noqa: S311  (a share of traffic, not a secret)
        )
        timings = Timings()
        try:
            ask = decisions.decide if explained is None else partial(decisions.explain, dials=explained)
            rows, reason = await self._ranking.rank(caller, policy, text, question, ask, timings)
        except DatabaseUnavailable as error:
            metrics.fail_opens.labels("memory", error.cause).inc()
            rest = (model for model in fit if model is not default)
            return planned((default, *rest), "memory_unavailable", timings=timings)
        if rows[0]["reason"] == "unpriced":
            self._log_unpriced(policy, rows, catalog)
        return planned(
            models=tuple(catalog.by_id[row["model_id"]] for row in rows if row["model_id"] in catalog.by_id),
            reason=reason,
            confidence=rows[0]["confidence"],
            ranking=tuple(rows),
            conversation=question.conversation,
            timings=timings,
        )

    def _read(self, request: ModelRequest, options: RoutingOptions, granularity: str) -> tuple[str, bytes]:
        """Return the text to embed and the key of the conversation."""
        parsed = request.parsed
        text = request_text(parsed.messages, granularity, self._markers)
        opening = text if granularity == "conversation" else None
        named = options.conversation, options.session, options.task
        return text, conversation_of(parsed, self._markers, *named, opening).key

    def _log_unpriced(self, policy: Policy, rows: Sequence[Mapping[str, Any]], catalog: Catalog) -> None:
        """Log which candidates have no price, once for each policy and model."""
        for model_id in (row["model_id"] for row in rows if row["cost_usd"] is None):
            if model_id in catalog.by_id and (policy.policy_id, model_id) not in self._unpriced:
                self._unpriced.add((policy.policy_id, model_id))
                name = catalog.by_id[model_id].name
                log.warning(
                    "policy %s (%d) declines as `unpriced`: %s has no price", policy.name, policy.policy_id, name
                )


def _policy_of_named(caller: Caller, model: Model) -> Policy | None:
    """Return the policy that routes a request which names a model: `auto`, if the tenant wants that."""
    policy = caller.policies.get("auto") if caller.route_explicit else None
    return policy if policy is not None and model.model_id in policy.models else None
