"""Entries for the ledger's queue."""

from __future__ import annotations

from typing import Any

from app.accounting.ledger import Entry, decision_id
from app.entities import Caller
from app.routing.plan import Plan
from app.telemetry.request_record import RequestRecord
from tests.support.models import model
from tests.support.proxy import Proxy


def entry(proxy: Proxy, *, model_id: int = 1, **fields: Any) -> Entry:
    """A request that passed through to a model; `fields` are the record's."""
    served = model("cheap", model_id=model_id)
    caller = Caller(proxy.tenant_id, "acme", proxy.key_id, None, False, {})
    known = {"decision_id": decision_id(), "requested": "cheap", "reason": "off", "status": 200}
    return Entry(RequestRecord(**{**known, **fields}), caller, Plan((served,), "off"), served)
