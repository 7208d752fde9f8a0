"""What a request may come to at most, so that limits can be kept before it is sent."""

from __future__ import annotations

from collections.abc import Sequence

from app.entities import Model, cost_usd
from app.routing.plan import Plan

#: Tokens that an answer is taken to have at most, where neither the request nor the model sets a lower limit.
ANSWER = 4096
#: What a request asks for beyond this counts as this: more than any limit of tokens a minute can be.
MOST = 2**31 - 1


def tokens(plan: Plan, prompt: int) -> int:
    """Tokens of the prompt and of the longest answer that any model of the plan is taken to give."""
    return min(MOST, prompt + max(_answer(plan, model) for model in plan.models))


def costs(plan: Plan, prompt: int, *, hedged: bool) -> Sequence[float | None]:
    """USD of each model of the plan at that length, None without a price; `hedged`: two may be paid for.

    Prices are the tenant's where the decision asked Postgres for them, else the list's; the ledger settles by the
    tenant's.
    """
    rows = {row["model_id"]: row for row in plan.ranking}
    found: list[float | None] = []
    for model in plan.models:
        row = rows.get(model.model_id)
        paid_in, paid_out = (
            (model.input_price, model.output_price) if row is None else (row["input_price"], row["output_price"])
        )
        length = prompt if row is None else max(prompt, row["prompt_tokens"] or 0)
        found.append(cost_usd(paid_in, paid_out, length, _answer(plan, model)))
    if hedged and len(found) > 1:
        dearest = max((cost for cost in found if cost is not None), default=0.0)
        found = [None if cost is None else cost + dearest for cost in found]
    return found


def _answer(plan: Plan, model: Model) -> int:
    reading = plan.reading
    longest = min(ANSWER, model.max_output or ANSWER)
    if reading is None:
        return longest
    return longest * reading.answers if reading.limit is None else reading.limit
