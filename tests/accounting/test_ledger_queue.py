"""The ledger's queue: no request waits for it, one bad entry loses one entry, and ids carry their time."""

from __future__ import annotations

import asyncio
import time

from app.accounting.ledger import Ledger, decision_id
from app.store import ledger as ledger_store
from tests.support.ledger_entries import entry
from tests.support.proxy import Proxy


def test_a_decisions_id_is_a_uuid7_of_now_and_ids_differ() -> None:
    before = time.time_ns() // 1_000_000
    made = [decision_id() for _ in range(1000)]
    after = time.time_ns() // 1_000_000
    assert {(each.version, each.variant) for each in made} == {(7, "specified in RFC 4122")}
    assert all(before <= each.int >> 80 <= after for each in made)
    assert len(set(made)) == len(made)


async def test_one_bad_entry_does_not_take_the_others_with_it(proxy: Proxy) -> None:
    ledger = proxy.services.ledger
    for bad in ({"reason": "whim"}, {"model_id": 9999}, {"status": 10**6}):
        ledger.add(entry(proxy))
        ledger.add(entry(proxy, **bad))
    ledger.add(entry(proxy))
    rows = await proxy.ledger(4)
    assert {row["status"] for row in rows} == {200}
    assert ledger.dropped == 2, "the entry of an unknown model violates a reference and is skipped"


async def test_entries_wait_for_a_missing_grant(proxy: Proxy) -> None:
    function = "function router.log_decisions(router.decision_entry[])"
    await proxy.admin.fetch(f"revoke execute on {function} from router_app")
    try:
        for _ in range(3):
            proxy.services.ledger.add(entry(proxy))
        await asyncio.sleep(1)
        assert (proxy.services.ledger.queued, proxy.services.ledger.dropped) == (3, 0)
    finally:
        await proxy.admin.fetch(f"grant execute on {function} to router_app")
    assert len(await proxy.ledger(3)) == 3


async def test_what_is_queued_is_written_before_the_process_ends(proxy: Proxy) -> None:
    ledger = Ledger(proxy.services.db, size=5000)
    task = asyncio.create_task(ledger.run())
    for _ in range(2000):
        ledger.add(entry(proxy))
    await ledger.close(task, 10)
    assert ledger.queued == 0
    (counted,) = await proxy.admin.fetch("select count(*) from router.decisions")
    assert counted[0] == 2000


async def test_writing_again_changes_nothing(proxy: Proxy) -> None:
    row = entry(proxy).composite()
    assert await ledger_store.log_decisions(proxy.services.db, [row]) == 1
    assert await ledger_store.log_decisions(proxy.services.db, [row, row]) == 0
