"""Budgets, as a property: no admission exceeds one, and reservations equal a recount, in any order of calls."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any
from uuid import UUID

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.budget_world import admit, assert_reservations_are_what_meters_say, key_of, limit, meter, settle
from tests.support.randomness import examples
from tests.support.sql_world import START, World, uuid7

Move = tuple[Any, ...]

#: The key of the request, one of two or none.
keys = st.sampled_from((0, 1, None))
costs = st.one_of(st.none(), st.integers(0, 40).map(lambda cents: cents / 100), st.floats(0, 0.4))
moves = st.one_of(
    st.tuples(st.just("admit"), keys, st.lists(costs, max_size=4), st.integers(0, 300)),
    st.tuples(st.just("admit"), keys, st.lists(costs, min_size=1, max_size=4), st.integers(0, 300)),
    st.tuples(st.just("admit"), keys, st.lists(costs, min_size=1, max_size=4), st.just(0)),
    # Number of the request under way, cost, tokens.
    st.tuples(st.just("settle"), st.integers(1, 3), costs, st.one_of(st.none(), st.integers(0, 600))),
    st.tuples(st.just("never admitted"), keys, costs, st.integers(0, 600)),
    st.tuples(st.just("expire")),
    st.tuples(st.just("wait"), st.sampled_from((-2, 1, 20, 600, 4000, 86400, 31 * 86400))),
)
budgets = st.one_of(st.none(), st.integers(0, 120).map(lambda cents: cents / 100))


@dataclass
class Books:
    """The expected meters, summed up call by call."""

    now: datetime = START
    #: The latest time at which each meter was changed.
    changed: dict[int | None, datetime] = field(default_factory=dict)
    under_way: dict[UUID, tuple[int | None, Decimal, datetime]] = field(default_factory=dict)
    spent: list[tuple[int | None, Decimal, datetime]] = field(default_factory=list)

    def book(self, decision: UUID, key: int | None, usd: float | None, at: datetime) -> None:
        """A request has ended."""
        was = self.under_way.pop(decision, (key, Decimal(0), at))[1]
        self.spent.append((key, was if usd is None else exact(usd), at))

    def change(self, *keys: int | None) -> None:
        """Note that requests of these keys changed the tenant's meter and theirs."""
        for key in {None, *keys}:
            self.changed[key] = max(self.changed.get(key, START), self.now)

    def of(self, key: int | None, *, day: bool, at: datetime = START) -> Decimal:
        """Return the spending of a key, or of all, since the day or month of `at`, or of the meter if later."""
        length = 10 if day else 7
        since = max(at, self.changed.get(key, START)).isoformat()[:length]
        return sum(
            (usd for whose, usd, moment in self.spent if key in (None, whose) and moment.isoformat()[:length] >= since),
            Decimal(0),
        )

    def reserved(self, key: int | None) -> Decimal:
        """Return the reservations of requests under way."""
        return sum((usd for whose, usd, _ in self.under_way.values() if key in (None, whose)), Decimal(0))


def exact(usd: float) -> Decimal:
    """Round a float as Postgres converts it to a number of the meters: 15 digits, then 12 decimals."""
    return Decimal(f"{usd:.15g}").quantize(Decimal("1e-12"), ROUND_HALF_UP)


@settings(max_examples=examples(100), suppress_health_check=list(HealthCheck))
@given(
    st.tuples(budgets, budgets),
    st.tuples(budgets, budgets),
    st.sampled_from((None, 1000)),
    st.lists(moves, min_size=5, max_size=25),
)
async def test_no_admission_goes_past_a_budget_and_meters_are_a_recount(
    shared_world: World,
    whole: tuple[float | None, float | None],
    part: tuple[float | None, float | None],
    tokens: int | None,
    order: list[Move],
) -> None:
    world = shared_world
    await world.reset()
    tenant = await world.tenant()
    numbers = [await key_of(world, tenant, name) for name in "ab"]
    limits = {None: (*whole, tokens, 50), numbers[0]: (*part, None, None)}
    limits = {key: given for key, given in limits.items() if set(given) != {None}}
    for key, (day, month, per_minute, requests) in limits.items():
        await limit(world, tenant, key, day=day, month=month, tokens=per_minute, requests=requests)
    books = Books()
    for number, move in enumerate(order):
        await make(world, tenant, numbers, limits, books, number, move)
        await assert_reservations_are_what_meters_say(world)


async def make(
    world: World, tenant: int, numbers: list[int], limits: dict[int | None, Any], books: Books, number: int, move: Move
) -> None:
    """Make one random call, and check its own postconditions."""
    match move:
        case ("wait", seconds):
            books.now += timedelta(seconds=seconds)
            return
        case ("expire",):
            gone = [
                each for each, (_, _, at) in books.under_way.items() if at <= books.now - timedelta(hours=1)
            ]  # fmt: skip
            found = await world.app.fetchval("select router.expire_reservations($1, $2)", tenant, books.now)
            assert found == len(gone)
            for each in gone:
                del books.under_way[each]
            return
        case ("settle", step, usd, tokens):
            chosen = list(books.under_way.items())[::step]
            if not chosen:
                return
            await settle(world, tenant, *((each, key, usd, tokens) for each, (key, _, _) in chosen), now=books.now)
            for each, (key, _, at) in chosen:
                books.book(each, key, usd, at)
            books.change(*(key for _, (key, _, _) in chosen))
        case ("never admitted", which, usd, tokens):
            key, decision = None if which is None else numbers[which], uuid7(books.now, number)
            await settle(world, tenant, (decision, key, usd, tokens), now=books.now)
            books.book(decision, key, usd, books.now)
            books.change(key)
        case ("admit", which, asked, tokens):
            key = None if which is None else numbers[which]
            if await admitted(world, tenant, key, limits, books, number, asked, tokens):
                books.change(key)
    for key in limits:
        found = await meter(world, tenant, key)
        assert (found["day_usd"], found["month_usd"]) == (books.of(key, day=True), books.of(key, day=False))


async def admitted(
    world: World,
    tenant: int,
    key: int | None,
    limits: dict[int | None, Any],
    books: Books,
    number: int,
    asked: list[float | None],
    tokens: int,
) -> bool:
    """Call `admit`, and compare the answer with the expected meters."""
    concerned = [each for each in limits if each in (None, key)]
    left = [
        exact(budget) - books.of(each, day=day, at=books.now) - books.reserved(each)
        for each in concerned
        for budget, day in zip(limits[each], (True, False), strict=False)
        if budget is not None
    ]
    row = await admit(world, tenant, key, number, asked, tokens=tokens, now=books.now)
    fits = [not left or (usd is not None and exact(usd) <= max(min(left), Decimal(0))) for usd in asked]
    assert row["affordable"] == fits
    if row["refused"] in ("day", "month"):
        assert not any(fits)
        assert asked or min(left) <= 0
    if not row["admitted"]:
        assert row["refused"] is not None
        return False
    assert any(fits) or (not asked and (not left or min(left) > 0))
    usd = max((exact(usd) for usd, fit in zip(asked, fits, strict=True) if fit and usd is not None), default=Decimal(0))
    assert not usd or not left or usd <= min(left)
    if concerned and (usd or tokens):
        books.under_way[uuid7(books.now, number)] = (key, usd, books.now)
    return True
