"""The conventions by which providers report usage, with reports as their documents and users show them."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import orjson
import pytest

from app.dialects import CHAT, EMBEDDINGS, MESSAGES, RESPONSES, Dialect
from app.dialects.answer_capture import AnswerCapture
from app.dialects.usage import UNKNOWN, TokenUsage
from app.dialects.usage_conventions import SHAPES


def usage_of(answer: Any, dialect: Dialect = CHAT) -> TokenUsage:
    """Return the usage of an answer that is no stream."""
    capture = AnswerCapture(streamed=False, encoding=None, dialect=dialect)
    capture.feed(answer if isinstance(answer, bytes) else orjson.dumps(answer))
    return capture.usage()


def openai(prompt: Any, completion: Any, total: Any = None, **more: Any) -> dict[str, Any]:
    """Return a report with OpenAI's names."""
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": total, **more}


def details(reasoning: int | None, cached: int | None = None) -> dict[str, Any]:
    """Return OpenAI's details."""
    return {
        "completion_tokens_details": {"reasoning_tokens": reasoning},
        "prompt_tokens_details": {"cached_tokens": cached},
    }


REPORTS: list[tuple[str, dict[str, Any], TokenUsage]] = [
    ("OpenAI", openai(19, 10, 29), TokenUsage(19, None, 10)),
    (
        "OpenAI, all details",
        openai(
            1117, 46, 1163,
            prompt_tokens_details={"cached_tokens": 1024, "audio_tokens": 50},
            completion_tokens_details={"reasoning_tokens": 20, "audio_tokens": 12, "accepted_prediction_tokens": 0},
        ),
        TokenUsage(1117, 1024, 46, 20),
    ),
    ("Azure, without details", openai(57, 40, 97, completion_tokens_details=None), TokenUsage(57, None, 40)),
    ("xAI, grok-3-mini", openai(12, 1, 399, **details(386)), TokenUsage(12, None, 387, 386)),
    ("xAI, cached", openai(10120, 1499, 14428, **details(2809, 128)), TokenUsage(10120, 128, 4308, 2809)),
    ("xAI, less reasoning than text", openai(32, 94, 135, **details(9)), TokenUsage(32, None, 103, 9)),
    ("xAI, without reasoning", openai(125, 48, 173, **details(0, 98)), TokenUsage(125, 98, 48, 0)),
    ("Gemini, thoughts in the details", openai(8, 100, 1308, **details(1200)), TokenUsage(8, None, 1300, 1200)),
    (
        "DeepSeek",
        openai(2031, 355, 2386, prompt_cache_hit_tokens=1984, prompt_cache_miss_tokens=47, **details(230, 1984)),
        TokenUsage(2031, 1984, 355, 230),
    ),
    ("Mistral", openai(16, 34, 50, prompt_audio_seconds={}, num_cached_tokens=0), TokenUsage(16, 0, 34)),
    ("Groq", openai(18, 556, 574, queue_time=0.03, completion_time=0.46), TokenUsage(18, None, 556)),
    ("vLLM", openai(7, 32, 39, prompt_tokens_details=None), TokenUsage(7, None, 32)),
    (
        "OpenRouter",
        openai(194, 2, 196, cost=0.95, is_byok=False, cost_details={"upstream_inference_cost": 19},
               completion_tokens_details={"reasoning_tokens": 0},
               prompt_tokens_details={"cached_tokens": 0, "cache_write_tokens": 100, "audio_tokens": 0}),
        TokenUsage(194, 0, 2, 0),
    ),
    (
        "Qwen, explicit cache",
        openai(1500, 30, 1530, prompt_tokens_details={"cached_tokens": 0, "cache_creation_input_tokens": 1400}),
        TokenUsage(1500, 0, 30),
    ),
    ("Moonshot", openai(2989, 17, 3006, cached_tokens=2989), TokenUsage(2989, 2989, 17)),
    ("Together", openai(40, 12, 52, cached_tokens=0), TokenUsage(40, 0, 12)),
    ("Fireworks", openai(24, 5, 29, prompt_tokens_details={"cached_tokens": 16}), TokenUsage(24, 16, 5)),
    (
        "Perplexity, deep research",
        openai(33, 7163, 7196, citation_tokens=20016, num_search_queries=38, reasoning_tokens=73997),
        TokenUsage(20049, None, 81160, 73997),
    ),
    ("Perplexity, sonar", openai(14, 70, 84, search_context_size="low"), TokenUsage(14, None, 70)),
    ("Cohere", {"billed_units": {"input_tokens": 5, "output_tokens": 418},
                "tokens": {"input_tokens": 71, "output_tokens": 418}}, TokenUsage(5, None, 418)),
    (
        "Bedrock, cache in the total",
        {"inputTokens": 4, "outputTokens": 11, "totalTokens": 1496, "cacheReadInputTokens": 1481,
         "cacheWriteInputTokens": 0},
        TokenUsage(1485, 1481, 11),
    ),
    (
        "Bedrock, cache beside the total",
        {"inputTokens": 30, "outputTokens": 628, "totalTokens": 658, "cacheWriteInputTokens": 2000},
        TokenUsage(2030, None, 628),
    ),
    ("Bedrock", {"inputTokens": 30, "outputTokens": 628, "totalTokens": 658}, TokenUsage(30, None, 628)),
    (
        "Anthropic's names in a chat",
        {"input_tokens": 10, "output_tokens": 42, "cache_read_input_tokens": 200, "cache_creation_input_tokens": 3000},
        TokenUsage(3210, 200, 42),
    ),
    ("reasoning beside, no total", openai(10, 5, **details(100)), TokenUsage(10, None, 105, 100)),
    ("reasoning inside, no total", openai(10, 105, **details(100)), TokenUsage(10, None, 105, 100)),
    ("both beside", openai(10, 5, 165, **details(100, 50)), TokenUsage(60, 50, 105, 100)),
]  # fmt: skip


@pytest.mark.parametrize(("report", "expected"), [row[1:] for row in REPORTS], ids=[row[0] for row in REPORTS])
def test_a_report_of_each_convention_is_read_and_explained(report: dict[str, Any], expected: TokenUsage) -> None:
    assert usage_of({"usage": report}) == expected
    chunks = [{"choices": [{"delta": {"content": "a"}}], "usage": None}, {"choices": [], "usage": report}]
    assert stream_usage(*chunks) == expected


def stream_usage(*events: Any, dialect: Dialect = CHAT) -> TokenUsage:
    """Return the usage of a stream of these events."""
    capture = AnswerCapture(streamed=True, encoding=None, dialect=dialect)
    for event in events:
        capture.feed(b"data: " + orjson.dumps(event) + b"\n\n")
    capture.feed(b"data: [DONE]\n\n")
    return capture.usage()


PLACES: list[tuple[str, dict[str, Any], TokenUsage]] = [
    ("Groq's streams", {"x_groq": {"id": "req_1", "usage": openai(18, 5, 23)}}, TokenUsage(18, None, 5)),
    ("Moonshot's streams", {"choices": [{"delta": {}, "usage": openai(9, 4, 13)}]}, TokenUsage(9, None, 4)),
    (
        "Gemini's own API",
        {"usageMetadata": {"promptTokenCount": 11, "candidatesTokenCount": 7, "thoughtsTokenCount": 30,
                           "cachedContentTokenCount": 3, "totalTokenCount": 48}},
        TokenUsage(11, 3, 37, 30),
    ),
    (
        "Gemini's own API, a tool's prompt",
        {"usageMetadata": {"promptTokenCount": 11, "candidatesTokenCount": 7, "toolUsePromptTokenCount": 100,
                           "totalTokenCount": 118}},
        TokenUsage(111, None, 7),
    ),
    ("Bedrock's streams", {"metadata": {"usage": {"inputTokens": 3, "outputTokens": 2, "totalTokens": 5}}},
     TokenUsage(3, None, 2)),
    ("llama.cpp", {"choices": [], "timings": {"cache_n": 236, "prompt_n": 1, "predicted_n": 35, "predicted_ms": 661.0}},
     TokenUsage(237, 236, 35)),
    ("llama.cpp, both", {"usage": openai(237, 35, 272), "timings": {"prompt_n": 1, "predicted_n": 35}},
     TokenUsage(237, None, 35)),
]  # fmt: skip


@pytest.mark.parametrize(("answer", "expected"), [row[1:] for row in PLACES], ids=[row[0] for row in PLACES])
def test_a_report_is_read_wherever_the_provider_puts_it(answer: dict[str, Any], expected: TokenUsage) -> None:
    assert usage_of(answer) == expected
    assert stream_usage({"choices": [{"delta": {"content": "a"}}]}, answer) == expected


def test_ollamas_own_api_has_the_counts_beside_the_message() -> None:
    answer = {"message": {"content": "x"}, "done": True, "prompt_eval_count": 26, "eval_count": 298}
    assert usage_of(answer) == TokenUsage(26, None, 298)
    del answer["prompt_eval_count"]
    assert usage_of(answer) == TokenUsage(None, None, 298, None, "partial")


def test_the_total_of_geminis_compatible_api_has_thoughts_that_no_member_names() -> None:
    answer = {"model": "gemini-2.5-flash", "usage": openai(5, 11, 240)}
    assert usage_of(answer) == TokenUsage(5, None, 235)
    assert stream_usage({**answer, "usage": None}, answer) == TokenUsage(5, None, 235)
    assert usage_of({**answer, "model": "unknown"}) == TokenUsage(5, None, 235, None, "total")
    more = openai(5, 11, 240, **details(7))
    assert usage_of({**answer, "usage": more}) == TokenUsage(5, None, 235, 7, "total")


UNEXPLAINED: list[tuple[str, Any, TokenUsage]] = [
    ("a total that is too large", openai(10, 5, 100), TokenUsage(10, None, 90, None, "total")),
    ("a total that is too small", openai(10, 5, 12), TokenUsage(10, None, 5, None, "total")),
    ("a total of nothing", openai(10, 5, 0), TokenUsage(10, None, 5, None, "total")),
    ("reasoning that the total denies", openai(10, 5, 15, **details(100)), TokenUsage(10, None, 105, 100, "total")),
    ("cache that the total denies", openai(10, 5, 15, **details(0, 50)), TokenUsage(60, 50, 5, 0, "total")),
    ("a negative count", openai(-1, 5, 20), TokenUsage(15, None, 5, None, "invalid")),
    ("a negative completion", openai(10, -5, 5), TokenUsage(10, None, None, None, "invalid")),
    ("a fraction", openai(10, 5.5), TokenUsage(10, None, 6, None, "invalid")),
    ("a float", openai(10, 5.0, 15), TokenUsage(10, None, 5, None, "invalid")),
    ("text", openai("10", "5", "15"), TokenUsage(10, None, 5, None, "invalid")),
    ("other text", openai(10, "five", 15), TokenUsage(10, None, 5, None, "invalid")),
    ("a boolean", openai(True, 5), TokenUsage(None, None, 5, None, "invalid")),
    ("an object", openai({"text": 10}, 5), TokenUsage(None, None, 5, None, "invalid")),
    ("an absurd count", openai(10, 2**40, 2**40 + 10), TokenUsage(10, None, None, None, "invalid")),
    ("an absurd total", openai(10, 5, 2**63), TokenUsage(10, None, 5, None, "invalid")),
    ("an invalid detail", openai(10, 5, 15, **details(-3)), TokenUsage(10, None, 5, None, "invalid")),
    ("no completion", openai(10, None), TokenUsage(10, None, None, None, "partial")),
    ("no completion, but a total", openai(10, None, 15), TokenUsage(10, None, 5, None, "partial")),
    ("no prompt", openai(None, 5), TokenUsage(None, None, 5, None, "partial")),
    ("no prompt, but a total", openai(None, 5, 15), TokenUsage(10, None, 5, None, "partial")),
    ("zeros", openai(0, 0, 0), TokenUsage(None, None, None, None, "zero")),
    ("a prompt of nothing", openai(0, 5, 5), TokenUsage(None, None, 5, None, "zero")),
    ("other names", {"tokens_in": 10, "tokens_out": 5}, TokenUsage(unexplained="shape")),
    ("a cost only", {"cost": 0.1}, TokenUsage(unexplained="shape")),
    ("a list", [1, 2], TokenUsage(unexplained="shape")),
    ("a number", 15, TokenUsage(unexplained="shape")),
]


@pytest.mark.parametrize(("report", "expected"), [row[1:] for row in UNEXPLAINED], ids=[row[0] for row in UNEXPLAINED])
def test_what_fits_no_convention_is_marked_and_read_at_the_dearer_side(report: Any, expected: TokenUsage) -> None:
    assert usage_of({"usage": report}) == expected
    assert stream_usage({"choices": [], "usage": report}) == expected


@pytest.mark.parametrize("report", [None, {}])
def test_no_report_is_no_unexplained_one(report: Any) -> None:
    assert usage_of({"usage": report}) == UNKNOWN
    assert usage_of({"timings": {"total": 5}}) == UNKNOWN


@pytest.mark.parametrize(
    ("report", "expected"),
    [
        ({"input_tokens": 32, "input_tokens_details": {"cached_tokens": 16}, "output_tokens": 1035,
          "total_tokens": 1067, "output_tokens_details": {"reasoning_tokens": 832}}, TokenUsage(32, 16, 1035, 832)),
        ({"input_tokens": 32, "output_tokens": 9, "total_tokens": 135,
          "output_tokens_details": {"reasoning_tokens": 94}}, TokenUsage(32, None, 103, 94)),
        ({"input_tokens": 32, "output_tokens": 9, "total_tokens": 50}, TokenUsage(32, None, 18, None, "total")),
        (openai(32, 9, 41), TokenUsage(32, None, 9)),
    ],
)  # fmt: skip
def test_reports_of_the_responses_api(report: dict[str, Any], expected: TokenUsage) -> None:
    assert usage_of({"object": "response", "usage": report}, RESPONSES) == expected
    begun = {"type": "response.created", "response": {"id": "r", "usage": None}}
    done = {"type": "response.completed", "response": {"id": "r", "usage": report}}
    assert stream_usage(begun, done, dialect=RESPONSES) == expected


@pytest.mark.parametrize(
    ("report", "expected"),
    [
        ({"input_tokens": 2095, "output_tokens": 503}, TokenUsage(2095, None, 503)),
        ({"input_tokens": 50, "output_tokens": 503, "cache_read_input_tokens": 100_000,
          "cache_creation_input_tokens": 248}, TokenUsage(100_298, 100_000, 503)),
        ({"input_tokens": 0, "output_tokens": 5, "cache_read_input_tokens": 700}, TokenUsage(700, 700, 5)),
        ({"input_tokens": 8, "output_tokens": 90, "output_tokens_details": {"thinking_tokens": 60},
          "cache_read_input_tokens": 0, "cache_creation_input_tokens": None}, TokenUsage(8, 0, 90, 60)),
        ({"input_tokens": 23_000, "output_tokens": 1000, "iterations": [
            {"type": "compaction", "input_tokens": 180_000, "output_tokens": 3500},
            {"type": "message", "input_tokens": 23_000, "output_tokens": 1000}]}, TokenUsage(203_000, None, 4500)),
        ({"input_tokens": 10, "output_tokens": 5, "cache_read_input_tokens": 4, "total_tokens": 19},
         TokenUsage(14, 4, 5)),
        ({"input_tokens": 10, "output_tokens": 5, "cache_read_input_tokens": 4, "total_tokens": 99},
         TokenUsage(10, 4, 89, None, "total")),
        ({"input_tokens": 10}, TokenUsage(10, None, None, None, "partial")),
    ],
)  # fmt: skip
def test_reports_of_messages(report: dict[str, Any], expected: TokenUsage) -> None:
    assert usage_of({"type": "message", "usage": report}, MESSAGES) == expected


def start(**usage: Any) -> dict[str, Any]:
    """Return the first event of a stream of messages."""
    return {"type": "message_start", "message": {"id": "m", "usage": {"output_tokens": 1, **usage}}}


def delta(**usage: Any) -> dict[str, Any]:
    """Return an event that reports usage at a stream's end."""
    return {"type": "message_delta", "delta": {}, "usage": usage}


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        # The delta has totals of some members: the others are those of the start.
        ([start(input_tokens=10, cache_read_input_tokens=200, cache_creation_input_tokens=3000),
          delta(input_tokens=10, output_tokens=42)], TokenUsage(3210, 200, 42)),
        ([start(input_tokens=10), delta(output_tokens=20), delta(output_tokens=42)], TokenUsage(10, None, 42)),
        # Server tools: the prompt has grown.
        ([start(input_tokens=2679), delta(input_tokens=10_682, cache_read_input_tokens=0, output_tokens=510)],
         TokenUsage(10_682, 0, 510)),
        # A cache that was only known at the end takes tokens from those read afresh.
        ([start(input_tokens=500, cache_read_input_tokens=0),
          delta(input_tokens=20, cache_read_input_tokens=480, output_tokens=9)], TokenUsage(500, 480, 9)),
        # Gateways that count the prompt only at the end, or only at the start.
        ([start(input_tokens=0), delta(input_tokens=77, output_tokens=9)], TokenUsage(77, None, 9)),
        ([start(input_tokens=77), delta(input_tokens=0, output_tokens=9)], TokenUsage(77, None, 9)),
        ([start(input_tokens=77), delta(input_tokens=None, output_tokens=9)], TokenUsage(77, None, 9)),
        # The stream breaks off: nothing is unexplained.
        ([start(input_tokens=77, cache_read_input_tokens=3)], TokenUsage(80, 3, None)),
        ([start(input_tokens=0)], TokenUsage(None, None, None)),
        ([start(input_tokens=77), delta(output_tokens=-9)], TokenUsage(77, None, None, None, "invalid")),
        ([start(input_tokens=77), delta(stop=1)], TokenUsage(77, None, None, None, "partial")),
    ],
)  # fmt: skip
def test_a_stream_of_messages_is_merged_member_by_member(events: list[Any], expected: TokenUsage) -> None:
    assert stream_usage(*events, dialect=MESSAGES) == expected
    text = {"type": "content_block_delta", "delta": {"text": "many words " * 20}}
    assert stream_usage(events[0], *[text] * 1000, *events[1:], dialect=MESSAGES) == expected


def test_usage_in_every_chunk_is_a_running_total() -> None:
    chunks = [{"choices": [{"delta": {"content": "a"}}], "usage": openai(9, n, 9 + n)} for n in range(1, 50)]
    assert stream_usage(*chunks) == TokenUsage(9, None, 49)
    assert stream_usage(*chunks, {"choices": [], "usage": None}) == TokenUsage(9, None, 49)
    zeros = [{"choices": [], "usage": openai(0, 0, 0)}] * 3
    assert stream_usage(*zeros, *chunks) == TokenUsage(9, None, 49)
    grown = [openai(9, n, 9 + n + 100, **details(100)) for n in range(1, 50)]
    assert stream_usage(*({"usage": usage} for usage in grown)) == TokenUsage(9, None, 149, 100)


def test_embeddings_have_a_prompt_only() -> None:
    for report in ({"prompt_tokens": 8, "total_tokens": 8}, {"total_tokens": 8}, openai(8, 0, 8)):
        assert usage_of({"usage": report}, EMBEDDINGS) == TokenUsage(8, None, 0)
    assert usage_of({"usage": {"prompt_tokens": 8, "total_tokens": 9}}, EMBEDDINGS) == (
        TokenUsage(9, None, 0, None, "total")
    )


def test_each_row_of_the_table_has_its_source() -> None:
    origins = [shape.origin for shape in SHAPES]
    assert len(set(origins)) == len(origins)
    assert all("/" in shape.source and " " not in shape.source for shape in SHAPES)
    assert all(one.prompt != two.prompt or one.requires for one, two in pairwise(SHAPES) if one.prompt == two.prompt)
