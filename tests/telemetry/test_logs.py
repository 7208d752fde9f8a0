"""Request ids, Server-Timing and the log."""

from __future__ import annotations

import json
import logging
import re
import subprocess
import sys
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from app.routing.plan import Timings
from app.server.middleware import request_id
from app.store import models, providers
from app.telemetry import logs
from tests.support.metrics import chat
from tests.support.proxy import CHEAP, STRONG, Proxy
from tests.support.separable_prompts import easy, lessons


@pytest.mark.parametrize("given", [b"abc-1", b"!", b"x" * 128])
def test_a_sane_request_id_is_kept(given: bytes) -> None:
    assert request_id([(b"x-request-id", given)]).encode() == given


@pytest.mark.parametrize("given", [None, b"", b"x" * 129, b"a b", b"a\tb", b"caf\xc3\xa9", b"a\x00"])
def test_another_request_id_is_replaced_by_one_of_its_own(given: bytes | None) -> None:
    headers = [] if given is None else [(b"x-request-id", given)]
    first, second = request_id(headers), request_id(headers)
    assert re.fullmatch("[0-9a-f]{32}", first)
    assert first != second


async def test_errors_and_own_endpoints_give_the_request_id_back(http: aiohttp.ClientSession) -> None:
    assert (await chat(http, "no-such-model", **{"x-request-id": "mine-1"})).headers["x-request-id"] == "mine-1"
    async with http.get("/v1/models", headers={"x-request-id": "mine-2"}) as response:
        assert response.headers.getall("x-request-id") == ["mine-2"]
    async with http.get("/v1/router/nowhere") as response:
        assert response.status == 404
        assert re.fullmatch("[0-9a-f]{32}", response.headers["x-request-id"])


async def test_a_providers_answer_keeps_its_own_request_id_or_none(proxy: Proxy, http: aiohttp.ClientSession) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.json_response({})

    app = web.Application()
    app.router.add_post("/chat/completions", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0]
    await providers.put_provider(proxy.admin, "silent", f"http://{host}:{port}", None)
    await models.put_model(proxy.admin, "named", "silent", input_price=1.0, output_price=1.0)
    for _ in range(100):
        response = await chat(http, "named", **{"x-request-id": "the-clients"})
        if response.status == 200:
            break
    await runner.cleanup()
    assert response.status == 200
    assert "x-request-id" not in response.headers
    for asked in (CHEAP, "auto"):
        response = await chat(http, asked, **{"x-request-id": "the-clients"})
        assert response.headers.getall("x-request-id") == ["req_fake"]


# ---- Server-Timing


async def test_a_routed_answer_has_server_timing(proxy: Proxy, http: aiohttp.ClientSession) -> None:
    await proxy.rank(lessons(120))
    said = (await chat(http, "auto", easy(3))).headers["server-timing"]
    parts = dict(part.split(";dur=") for part in said.split(", "))
    assert list(parts) == ["total", "overhead", "embed", "decide", "upstream"]
    assert float(parts["embed"]) + float(parts["decide"]) <= float(parts["overhead"]) + 0.02
    assert "server-timing" not in (await chat(http, CHEAP)).headers


def test_what_was_not_done_is_not_timed() -> None:
    assert Timings().server_timing(0.0015, 0.25) == "total;dur=251.50, overhead;dur=1.50, upstream;dur=250.00"


# ---- the log


async def test_the_access_log_has_tenant_model_and_reason(
    http: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "pgrouter.access"):
        await chat(http, "auto", "a secret thought", **{"x-request-id": "mine-3"})
    [record] = [each for each in caplog.records if each.name == "pgrouter.access"]
    line = json.loads(logs.JsonLines().format(record))
    assert line["message"] == "/chat/completions 200"
    expected = {
        "level": "info", "logger": "pgrouter.access", "request_id": "mine-3", "tenant": "acme", "requested": "auto",
        "model": STRONG, "provider": "fake", "reason": "cold", "status": 200, "input_tokens": 11, "output_tokens": 7,
        "attempts": 1, "streamed": False,
    }  # fmt: skip
    assert {name: line[name] for name in expected} == expected
    assert line["ms"] > line["overhead_ms"] > 0
    assert "secret" not in json.dumps(line)


def record(**fields: Any) -> logging.LogRecord:
    made = logging.LogRecord("pgrouter.x", logging.ERROR, "f.py", 1, "it is %s", ("so",), None)
    vars(made).update(fields)
    return made


def raised(error: BaseException) -> Any:
    try:
        raise error
    except type(error):
        return sys.exc_info()


def test_a_json_line_has_its_request_and_its_message() -> None:
    line = json.loads(logs.JsonLines().format(record(request_id="r-1", tenant="acme")))
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", line.pop("time"))
    assert line == {
        "level": "error", "logger": "pgrouter.x", "message": "it is so", "request_id": "r-1", "tenant": "acme",
    }  # fmt: skip


def test_a_text_line_has_the_same_fields_at_its_end() -> None:
    said = logs.TextLines().format(record(request_id="r-1", tenant="two words"))
    assert said.endswith('ERROR pgrouter.x: it is so request_id=r-1 tenant="two words"')
    assert logs.TextLines().format(record(request_id="")).endswith("it is so")


@pytest.mark.parametrize("lines", [logs.JsonLines(), logs.TextLines()])
def test_an_errors_message_is_logged_only_if_it_quotes_no_client(lines: logging.Formatter) -> None:
    quoting = ValueError("invalid input for query argument $1: 'a secret thought'")
    quoting.__cause__ = OSError(111, "Connection refused")
    said = lines.format(record(exc_info=raised(quoting)))
    assert "secret" not in said
    assert "builtins.ValueError" in said
    assert "Connection refused" in said
    assert "raised" in said, "where it happened"


@pytest.mark.parametrize("form", ["text", "json"])
def test_what_other_packages_say_in_detail_is_left_out_at_every_level(form: str) -> None:
    code = f"""
import logging
from app.telemetry import logs
logs.configure("debug", {form!r}, access=False)
logging.getLogger("openai").debug("their detail")
logging.getLogger("openai").warning("their warning")
logging.getLogger("pgrouter.x").debug("our detail")
logging.getLogger("pgrouter.access").info("a request")
"""
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stderr
    assert "their detail" not in said
    assert "their warning" in said
    assert "our detail" in said
    assert "a request" not in said, "the access log is off"
