"""Computes the maximum tokens and cost of a request, for the check of limits before it is sent."""

from __future__ import annotations

from collections.abc import Sequence

from ..dialects import ParsedRequest
from ..dialects.body_settings import limit_in
from ..entities import Model, cost_usd
from ..routing.plan import Plan

#: Assumed maximum tokens of an answer, unless the request or the model has a lower limit.
ANSWER = 4096
#: The largest number of tokens of a request (int of Postgres); no limit of tokens per minute is higher.
MAX_TOKENS = 2**31 - 1


def tokens(plan: Plan, parsed: ParsedRequest | None, prompt: int) -> int:
    """Return the tokens of the prompt and of the longest answer that a model of the plan may give.

    `parsed` None: the request is malformed, and its own limit is unknown.
    """
    return min(MAX_TOKENS, prompt + max(_answer(parsed, model) for model in plan.models))


def costs(plan: Plan, parsed: ParsedRequest | None, prompt: int, *, hedged: bool) -> Sequence[float | None]:
    """Return the maximum cost in USD for each model of the plan, None without a price.

    `hedged`: a second model may be called too, so the highest cost of all is added. Prices are the tenant's if the
    decision has read them, else list prices; the ledger uses the tenant's.
    """
    rows = {row["model_id"]: row for row in plan.ranking}
    found: list[float | None] = []
    for model in plan.models:
        row = rows.get(model.model_id)
        input_price, output_price = (
            (model.input_price, model.output_price) if row is None else (row["input_price"], row["output_price"])
        )
        length = prompt if row is None else max(prompt, row["prompt_tokens"] or 0)
        found.append(cost_usd(input_price, output_price, length, _answer(parsed, model)))
    if hedged and len(found) > 1:
        dearest = max((cost for cost in found if cost is not None), default=0.0)
        found = [None if cost is None else cost + dearest for cost in found]
    return found


def _answer(parsed: ParsedRequest | None, model: Model) -> int:
    longest = limit_in(model.settings) or min(ANSWER, model.max_output or ANSWER)
    if parsed is None:
        return longest
    return longest * parsed.answers if parsed.limit is None else parsed.limit
