"""Compares router.fit and router.decide with the twin, on the same memory and the same prompts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from scripts.memory.exact_search import TIE
from scripts.quality.cells import Deviation
from scripts.quality.fit import LEAST, ROWS, Fit, fitted
from scripts.quality.means import GUESSING, guesses
from scripts.quality.memory import Floats, Ints, Near, nearest, of_neighbours, summed
from scripts.quality.settings import Settings
from scripts.quality.split import Split
from scripts.quality.sql import Postgres, Tenant
from scripts.quality.twin import Base, Estimates, chosen, estimated

#: Weight of the shared memory of a new policy.
BASE_WEIGHT = 100.0
#: Difference of scores up to which either choice is right.
EQUAL = 1e-4


async def compared(
    postgres: Postgres,
    split: Split,
    tenant: Tenant,
    settings: Settings | None,
    asked: Ints,
    alphas: Floats,
    *,
    tagged: bool,
    base: Tenant | None = None,
) -> Deviation:
    """Compare the fit of a policy, and decisions with it on some prompts, each at one of the alphas.

    `settings` None: those of a new policy; `base`: the shared memory, which the tenant uses already.
    """
    policy, settings, _ = await postgres.policy(tenant, settings)
    result = Deviation()
    fit = await _fitted(postgres, split, tenant, policy, settings, result)
    questions = split.data.questions.part(asked)
    if not tagged:
        questions = questions.untagged()
    near = [nearest(each.memory, questions, settings.k + 1, exact=True) for each in (tenant, base) if each is not None]
    sums = summed(tenant.memory, near[0].first(settings.k), settings.tau)
    leant = None
    if base is not None:
        leant = Base.of(base.memory, summed(base.memory, near[1].first(settings.k), settings.tau), BASE_WEIGHT)
    found = estimated(
        tenant.memory, sums, questions, settings, base=leant, fit=fit,
        likely=guesses(tenant.memory, near[0].first(settings.k)),
    )  # fmt: skip
    tied = _tied(near[0], GUESSING)
    for each in near:
        tied |= _tied(each, settings.k)
    result.tied = int(tied.sum())
    for at in np.flatnonzero(~tied).tolist():
        alpha = float(alphas[at % len(alphas)])
        tokens = int(questions.prompt_tokens[at])
        decided = await postgres.decided(split, tenant, policy, int(asked[at]), tokens, alpha, tagged=tagged)
        places = [tenant.models.index(each["model_id"]) for each in decided]
        _add(result, decided, found.part(np.array([at])), places, alpha, tenant.default, settings)
    return result


async def _fitted(
    postgres: Postgres, split: Split, tenant: Tenant, policy: int, settings: Settings, result: Deviation
) -> Fit | None:
    """Return the fit of the SQL, and compare it with the twin's."""
    if not settings.fitted:
        return None
    fit = await postgres.fitted(tenant, policy)
    mine = await _mine(postgres, split, tenant, settings)
    result.fits = int(fit is not None or mine is not None)
    if fit is None or mine is None:
        result.other_fits = result.fits
        return fit
    same = ("rows", "pairs", "n0", "guess", "ridge")
    result.other_fits = int(any(getattr(fit, name) != getattr(mine, name) for name in same))
    if fit.transfer is not None and mine.transfer is not None:
        largest = max(1.0, float(np.abs(mine.transfer).max()))
        result.transfer = float(np.abs(fit.transfer - mine.transfer).max()) / largest
    elif fit.transfer is not mine.transfer:
        result.transfer = float("inf")
    return fit


async def _mine(postgres: Postgres, split: Split, tenant: Tenant, settings: Settings) -> Fit | None:
    """Return the twin's fit of the rows that the SQL takes.

    Where the last neighbour that counts and the next one are equally near, the SQL's choice is taken, too.
    """
    memory, k = tenant.memory, settings.k
    if len(memory.quality) < LEAST:
        return None
    order = await postgres.order(split, tenant)
    own = np.array(list(order.values())[:ROWS], np.int64)
    near = nearest(memory, memory.rows.part(own), k + 1, own, exact=True)
    index = near.index[:, :k]
    for at in np.flatnonzero(_tied(near, k)).tolist():
        found = [order[number] for number in await postgres.neighbours(split, tenant, int(own[at]), k + 1)]
        index[at] = [row for row in found if row != own[at]][:k]
    return fitted(memory, settings, own, of_neighbours(memory, memory.rows.part(own), index))


def _add(
    result: Deviation,
    decided: Sequence[dict[str, float | None]],
    found: Estimates,
    places: list[int],
    alpha: float,
    default: int,
    settings: Settings,
) -> None:
    """Add the deviations of one decision, whose ranking has the models at `places`."""
    quality, cost = found.quality[0][places], found.cost[0][places]
    score = quality - alpha * found.penalty[0][places]
    scales: tuple[tuple[str, str, Floats, Floats], ...] = (
        ("quality", "quality", quality, np.ones(1)),
        ("score", "score", score, np.full(1, max(1.0, alpha))),
        ("cost", "cost_usd", cost, np.where(cost > 0, cost, 1)),
    )
    for name, column, twin, scale in scales:
        apart = _apart([each[column] for each in decided], twin, scale)
        setattr(result, name, max(getattr(result, name), apart))
    (choice,) = chosen(found, np.array([alpha]), default, settings)[:, 0]
    lost = np.nan_to_num(score[places.index(int(choice))] - score[0], nan=np.inf)
    result.choices += int(places[0] != choice and abs(lost) > EQUAL)
    result.compared += 1


def _tied(near: Near, k: int) -> np.ndarray:
    """Return whether the k-th neighbour and the next one are equally near."""
    similarity = near.similarity
    if similarity.shape[1] <= k:
        return np.zeros(len(similarity), np.bool_)
    return np.array(similarity[:, k - 1] - similarity[:, k] < TIE)


def _apart(sql: Sequence[float | None], twin: Floats, scale: Floats) -> float:
    """Return the largest difference; infinity if only one of both has a value."""
    real = np.array([np.nan if value is None else value for value in sql], np.float64)
    if (np.isnan(real) != np.isnan(twin)).any():
        return float("inf")
    return float(np.nan_to_num(np.abs(real - twin) / scale).max())
