"""The reasons of a decision, which are the labels of the SQL type `router.reason`."""

from __future__ import annotations

from scripts.docs.tables import code, table

#: Which model serves, by the reason that a decision reports.
REASONS = {
    "learned": "the model with the best score: its estimated quality less its cost weighted by `alpha`",
    "explore": "a candidate short of labels, for the share `explore_share` of new conversations",
    "sticky": "the model of this conversation, or the one whose provider stores its answers",
    "cheapest": "the candidate with the least cost; backend `cheapest`",
    "fastest": "the candidate with the shortest time to the first token; backend `fastest`",
    "weighted": "a candidate drawn by its weight; backend `weighted`",
    "default": "the default model; backend `none`",
    "off": "the model that the request names: it did not ask for routing",
    "cold": "the default model: the memory has fewer than `seed_count` memories; the prompt is not embedded",
    "low_support": "the default model: too little of the estimate comes from neighbours, or a model has no labels",
    "no_signal": "the default model: the request has no text to decide by",
    "embedding_failed": "the default model: the prompt could not be embedded in time",
    "unpriced": "the default model: a candidate has no price, so costs cannot be compared",
    "capability": "the only candidate that supports what the request needs",
    "single_candidate": "the only candidate, or the only one that the key allows",
    "memory_unavailable": "the default model: Postgres cannot be reached",
    "fallback": "the next model of the ranking, after a provider failed before its first byte",
}


def markdown() -> str:
    """Return a row for each reason."""
    return table(("reason", "which model serves"), [(code(reason), text) for reason, text in REASONS.items()])
