"""Other gateways to compare the proxy with: found, started with one worker and no extra features, and ended.

Each forwards requests to a given provider. If one is not installed, the error of `find` has the command.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from app.demo.models import MODELS

#: Commands that install the measured versions; the path in the variable of each is read from the environment.
INSTALL = {
    "litellm": "python3 -m venv litellm && litellm/bin/pip install 'litellm[proxy]==1.106.2', "
    "then LITELLM=litellm/bin/litellm (or --peer litellm=litellm/bin/litellm)",
    "portkey": "npm install @portkey-ai/gateway@1.15.2 (Node 20), "
    "then PORTKEY=node_modules/@portkey-ai/gateway (or --peer portkey=node_modules/@portkey-ai/gateway)",
}
#: Timeout of a start, seconds: LiteLLM has many imports.
START = 60.0


class Missing(Exception):
    """A named peer cannot be used; the message has the command that installs it."""


@dataclass(frozen=True, slots=True)
class Peer:
    """An installed gateway: its name, program and version."""

    name: str
    program: Path
    version: str


@dataclass(frozen=True, slots=True)
class Running:
    """A running gateway: its address, its process, and the headers it needs besides a client's."""

    peer: Peer
    url: str
    pid: int
    headers: Mapping[str, str]


def find(named: str, environ: Mapping[str, str] = os.environ) -> Peer:
    """Return the peer `NAME` or `NAME=PATH`. Raises `Missing`."""
    name, _, given = named.partition("=")
    if name not in INSTALL:
        raise Missing(f"{name!r} is not a peer: {', '.join(INSTALL)} are.")
    path = given or environ.get(name.upper()) or (shutil.which("litellm") if name == "litellm" else None)
    try:
        if path:
            # Absolute, because it is started in another working directory.
            return _FOUND[name](Path(path).absolute())
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        raise Missing(f"{name} is not at {path} ({error}). Install it: {INSTALL[name]}.") from error
    raise Missing(f"{name} is not installed, or its path is not set: {INSTALL[name]}.")


@contextmanager
def running(peer: Peer, provider: str, home: Path) -> Iterator[Callable[[], Running]]:
    """Start `peer` before `provider`, an OpenAI-compatible base URL; the yielded function waits until it answers."""
    port = _free_port()
    command, environ, headers = _STARTS[peer.name](peer, provider, port, home)
    with (home / f"{peer.name}.log").open("w+b") as log:
        process = subprocess.Popen(
            command, cwd=home, env=os.environ | environ, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )

        def wait() -> Running:
            until = time.monotonic() + START
            while not _answers(port):
                if process.poll() is not None or time.monotonic() > until:
                    log.seek(0)
                    raise RuntimeError(f"{peer.name} did not start: {log.read()[-2000:].decode(errors='replace')}")
                time.sleep(0.1)
            return Running(peer, f"http://127.0.0.1:{port}", process.pid, headers)

        try:
            yield wait
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _answers(port: int) -> bool:
    connection = HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/")
        connection.getresponse()
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()
    return True


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def _find_litellm(program: Path) -> Peer:
    # Read from the metadata of pip: `--version` imports everything, which takes seconds.
    packages = program.resolve().parent.parent.glob("lib/python3*/site-packages/litellm-*.dist-info")
    known = next((folder.name.removesuffix(".dist-info").partition("-")[2] for folder in packages), None)
    if known is None:
        environ = os.environ | {"LITELLM_LOCAL_MODEL_COST_MAP": "True"}
        printed = subprocess.run(
            [program, "--version"], env=environ, capture_output=True, text=True, check=True, timeout=START
        )
        known = printed.stdout.split("=")[-1].strip()
    return Peer("litellm", program, known)


def _find_portkey(package: Path) -> Peer:
    if shutil.which("node") is None:
        raise FileNotFoundError("there is no node")
    program = package / "build" / "start-server.js"
    program.stat()
    return Peer("portkey", program, str(json.loads((package / "package.json").read_text())["version"]))


#: The model in all requests; a peer sends another name to the provider, whose price and tokenizer it has.
MODEL = MODELS[-1]
Start = tuple[list[str], dict[str, str], dict[str, str]]


def _litellm(peer: Peer, provider: str, port: int, home: Path) -> Start:
    """Configure LiteLLM without database, key, callback, access log, or download of prices."""
    config, logs = home / "litellm.json", home / "litellm-logs.json"
    parameters = {"model": "openai/gpt-4o", "api_base": provider, "api_key": "none"}
    # JSON is also YAML.
    config.write_text(json.dumps({"model_list": [{"model_name": MODEL, "litellm_params": parameters}]}))
    quiet = {"uvicorn.access": {"level": "WARNING"}}
    logs.write_text(json.dumps({"version": 1, "disable_existing_loggers": False, "loggers": quiet}))
    command = [str(peer.program), "--config", str(config), "--log_config", str(logs), "--num_workers", "1"]
    environ = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR"}
    environ |= {"LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true"}
    return [*command, "--host", "127.0.0.1", "--port", str(port)], environ, {}


def _portkey(peer: Peer, provider: str, port: int, home: Path) -> Start:
    """Configure Portkey without console; each request names the provider, the only way without an account."""
    headers = {"x-portkey-provider": "openai", "x-portkey-custom-host": provider}
    command = ["node", str(peer.program), f"--port={port}", "--headless"]
    return command, {"NODE_ENV": "production"}, headers


_FOUND = {"litellm": _find_litellm, "portkey": _find_portkey}
_STARTS = {"litellm": _litellm, "portkey": _portkey}
