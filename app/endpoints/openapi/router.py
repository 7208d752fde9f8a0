"""The router's own paths for a tenant: teach it, look into its memory, ask why, and what it is worth."""

from __future__ import annotations

from app.endpoints.backtests import Trial
from app.endpoints.compare import Comparison
from app.endpoints.decisions import Question
from app.endpoints.openapi.operation import Operation, Schema, fields, listing, parameter, thing
from app.memory.examples import ExampleIn, ExamplesIn

_TEACHING, _LEDGER = "teaching", "decisions"

_RANK: Schema = {
    "anyOf": [{"$ref": "#/components/schemas/Lesson"}, {"$ref": "#/components/schemas/Lessons"}],
}
_SCORES: Schema = {"type": "object", "additionalProperties": {"type": "number"}}
_MEMORY = fields(
    id="integer", prompt="string?", task="string?", source="string", scores=_SCORES, taught_at="time", embedder="string"
)
_FORGOTTEN = thing("router.forgotten", forgotten="integer")
_ANSWER = fields(label="string", text="string?", finish_reason="string?", error="any")
_TAUGHT = thing("router.memories", taught="integer", created="integer", overwritten="integer", memory_ids="[integer]")
_COMPARED = thing("router.comparison", prompt="string", answers={"type": "array", "items": _ANSWER}, labels="object")
_NUMBER: Schema = {"type": "integer", "minimum": 0, "maximum": 2**63 - 1}
_STATUS = thing(
    "router.status", tenant="string", memories="integer", memories_of_other_embedders="integer", embedder="string",
    building="any", leans_on="string?", policies="[object]",
)  # fmt: skip
USAGE = thing("router.usage", since="time", until="time", by="[string]", data="[object]", total="object")
USED_WHEN = (
    parameter("since", "query", "A span such as 7d, or a date; else 7d."),
    parameter("until", "query", "The same; else now."),
    parameter("by", "query", "Of key, model, policy, day and task, commas between."),
)
_SAVED = fields(policy="string", verdict="string")

#: Named here, as no operation takes one of them alone.
SHAPES = (ExampleIn, ExamplesIn)

OPERATIONS = (
    Operation(
        "POST", "/v1/router/preferences/rank", "Teach how good models' answers to a prompt were; all of it or nothing.",
        _TEACHING,
        {200: _TAUGHT},
        (400, 409), body=_RANK,
    ),
    Operation(
        "POST", "/v1/router/preferences/compare", "Ask several models the same, and see their answers side by side.",
        _TEACHING,
        {200: _COMPARED},
        body=Comparison,
    ),
    Operation("GET", "/v1/router/status", "How warm the policies are, and what to do next.", _TEACHING, {200: _STATUS}),
    Operation(
        "GET", "/v1/router/memories", "What was taught, by number.", _TEACHING,
        {200: listing(_MEMORY, has_more="boolean")}, (400,),
        (
            parameter("search", "query", "A text that the prompt holds."),
            parameter("after", "query", "The number of the last memory seen.", _NUMBER),
            parameter("limit", "query", "At most so many.", {"type": "integer", "minimum": 1, "maximum": 1000}),
        ),
    ),
    Operation(
        "DELETE", "/v1/router/memories", "Forget everything.", _TEACHING, {200: _FORGOTTEN}, (400,),
        (parameter("all", "query", "Says that it is meant.", {"const": "true"}, required=True),),
    ),
    Operation(
        "DELETE", "/v1/router/memories/{memory_id}", "Forget one.", _TEACHING, {200: _FORGOTTEN}, (404,),
        (parameter("memory_id", "path", "Its number.", {"type": "integer"}),),
    ),
    Operation(
        "POST", "/v1/router/explain", "Who would serve a prompt and why; it is sent nowhere.", _LEDGER,
        {
            200: thing(
                "router.explanation", policy="string", model="string", reason="string", why="string",
                confidence="number?", alpha="number?", unit_usd="number?", candidates="[object]", neighbours="[object]",
            )
        },
        (404,), body=Question,
    ),
    Operation(
        "GET", "/v1/router/decisions/{decision_id}", "A decision that was served, as it was made.", _LEDGER,
        {200: thing("router.decision", id="string", candidates="[object]")}, (404,),
        (parameter("decision_id", "path", "As in x-router-decision.", {"type": "string", "format": "uuid"}),),
    ),
    Operation(
        "POST", "/v1/router/backtest", "A policy's cost and quality on the tenant's own memory, by alpha.", _LEDGER,
        {200: thing("router.backtest", policy="string", backend="string", embedder="string", confidence="number")},
        (404, 422, 429), body=Trial,
    ),
    Operation(
        "GET", "/v1/router/usage", "What was used and spent, beside what the default models would have cost.", _LEDGER,
        {200: USAGE}, (400,),
        USED_WHEN,
    ),
    Operation(
        "GET", "/v1/router/savings", "What policies were expected to save and what they did.", _LEDGER,
        {200: listing(_SAVED)}, (400, 404),
        (
            parameter("since", "query", "A span such as 7d, or a date."),
            parameter("policy", "query", "One policy; else all."),
        ),
    ),
)  # fmt: skip
