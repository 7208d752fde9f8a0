"""Books what embeddings cost: those of an embedder over the network whose model has a price in the catalog."""

from __future__ import annotations

import time
from collections.abc import Callable
from uuid import UUID

from ..caching import LRU
from ..catalog import Catalog
from ..dialects.usage import TokenUsage
from ..entities import Caller, Model, cost_usd
from ..memory.embedders import CachedEmbedder, Paid
from ..routing.plan import Plan
from ..telemetry.request_record import RequestRecord
from ..upstream.attempt import Attempt
from .ledger import Entry, Ledger, decision_id

#: Seconds without new embeddings for a caller whose limits have refused a request: each would cost, and none be served.
PAUSE = 1.0
#: Callers that are remembered for that.
REFUSED = 10_000


class EmbeddingCosts:
    """Writes a row of the ledger for each call of an embedder that costs money."""

    def __init__(self, ledger: Ledger, catalog: Callable[[], Catalog | None]) -> None:
        """`catalog`: returns the catalog, None until it is loaded."""
        self._ledger = ledger
        self._catalog = catalog
        self._refused = LRU[tuple[int, int], float](REFUSED)

    def model_of(self, embedder: CachedEmbedder) -> Model | None:
        """Return the model of an embedder in the catalog, by its name; None: it is free, or has no price."""
        catalog = None if embedder.model is None else self._catalog()
        if catalog is None or embedder.model is None:
            return None
        found = catalog.find(embedder.model) or next(
            (model for model in catalog.models if model.upstream_name == embedder.model), None
        )
        return None if found is None or found.input_price is None else found

    def cost(self, model: Model, tokens: int) -> float:
        """Return the list price of so many tokens in USD."""
        return cost_usd(model.input_price, 0.0, tokens, 0) or 0.0

    def payer(self, caller: Caller, embedder: CachedEmbedder) -> Paid | None:
        """Return what books the tokens of a call of an embedder for a caller; None: there is nothing to book."""
        model = self.model_of(embedder)
        return None if model is None else lambda tokens: self.book(caller, model, tokens)

    def book(self, caller: Caller, model: Model, tokens: int, decision: UUID | None = None) -> None:
        """Write a row of the ledger; `decision`: the number under which the cost was reserved."""
        record = RequestRecord(
            status=200, requested=model.name, reason="off", decision_id=decision_id() if decision is None else decision
        )
        if tokens:
            attempt = Attempt(model, "chosen", record.arrived)
            attempt.end("200")
            record.attempts = (attempt,)
        record.stop()
        used = TokenUsage(prompt_tokens=tokens, completion_tokens=0)
        self._ledger.add(Entry(record, caller, Plan((model,), "off"), model, usage=used, api="embeddings"))

    def refused(self, caller: Caller) -> None:
        """Record that the caller's limits have refused a request."""
        self._refused.put((caller.tenant_id, caller.key_id), time.monotonic() + PAUSE)

    def paused(self, caller: Caller) -> bool:
        """Return whether the caller's limits have refused a request just now."""
        return self._refused.get((caller.tenant_id, caller.key_id), 0.0) > time.monotonic()
