"""The reservation of a request: the most that it is expected to use, so that limits hold before it is sent."""

from __future__ import annotations

from collections.abc import Sequence

from app.dialects import ParsedRequest
from app.entities import Model
from app.routing.plan import Plan

#: Assumed tokens of an answer if neither the request nor the model sets a lower limit.
ANSWER = 4096
#: The most tokens that are reserved: more than any limit of tokens a minute can be.
MOST = 2**31 - 1


def tokens(plan: Plan, parsed: ParsedRequest | None, prompt: int) -> int:
    """Return the tokens of the prompt and of the longest answer that a model of the plan may give.

    `parsed` None: the request is malformed, and its own limits are unknown.
    """
    return min(MOST, prompt + max(_answer(parsed, model) for model in plan.models))


def costs(plan: Plan, parsed: ParsedRequest | None, prompt: int, *, hedged: bool) -> Sequence[float | None]:
    """Return the USD that each model of the plan costs at that length, None without a price.

    `hedged`: a second model may have to be paid too. If Postgres made the decision, prices are the tenant's, else those
    of the list; the ledger settles by the tenant's.
    """
    rows = {row["model_id"]: row for row in plan.ranking}
    found: list[float | None] = []
    for model in plan.models:
        row = rows.get(model.model_id)
        input_price, output_price = (
            (model.input_price, model.output_price) if row is None else (row["input_price"], row["output_price"])
        )
        if input_price is None or output_price is None:
            found.append(None)
            continue
        length = prompt if row is None else max(prompt, row["prompt_tokens"])
        found.append((length * input_price + _answer(parsed, model) * output_price) / 1e6)
    if hedged and len(found) > 1:
        dearest = max((cost for cost in found if cost is not None), default=0.0)
        found = [None if cost is None else cost + dearest for cost in found]
    return found


def _answer(parsed: ParsedRequest | None, model: Model) -> int:
    longest = min(ANSWER, model.max_output or ANSWER)
    if parsed is None:
        return longest
    return longest * parsed.answers if parsed.limit is None else parsed.limit
