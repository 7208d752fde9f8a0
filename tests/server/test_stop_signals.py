"""A signal at any stage of a process that serves nothing yet, or no more, ends it with status 0 and prints nothing."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support.process import ROOT

PROLOGUE = """
import asyncio, os, signal, sys, threading
from app.server.stop_signals import StopSignals
def stop(): os.kill(os.getpid(), signal.{name})
def done(): print("cleaned up", flush=True)
stops = StopSignals((signal.SIGINT, signal.SIGTERM))
"""

STAGES = {
    "before the loop": """
with stops:
    try:
        stop()
    finally:
        stop()
        done()
""",
    "while a coroutine waits": """
async def main():
    asyncio.get_running_loop().call_later(0.01, stop)
    try:
        await asyncio.sleep(30)
    finally:
        stop()
        await asyncio.sleep(0.01)
        done()
with stops:
    stops.run(main())
""",
    # An exception that a signal's handler raised here would end the task, which nothing awaits.
    "in a task": """
async def main():
    async def busy():
        stop()
        await asyncio.sleep(0.01)
        done()
    task = asyncio.create_task(busy())
    try:
        await asyncio.sleep(30)
    finally:
        await task
with stops:
    stops.run(main())
""",
    # An exception that a signal's handler raised here would be lost.
    "in a finalizer": """
class Value:
    def __del__(self):
        stop()
        for _ in range(100): pass
async def main():
    Value()
    try:
        await asyncio.sleep(30)
    finally:
        done()
with stops:
    stops.run(main())
""",
    "while the loop is created": """
make = asyncio.Runner.run
def run(self, coroutine, **more):
    stop()
    return make(self, coroutine, **more)
asyncio.Runner.run = run
async def main():
    try:
        await asyncio.sleep(30)
    finally:
        done()
with stops:
    stops.run(main())
""",
    "between two loops": """
async def main(): done()
with stops:
    stops.run(main())
    stop()
    stops.run(asyncio.sleep(30))
""",
    "while the interpreter shuts down": """
def late():
    threading.main_thread().join()
    stop()
    done()
with stops:
    threading.Thread(target=late).start()
""",
    "while an error is printed": """
with stops:
    pass
try:
    stop()
finally:
    done()
""",
}


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
@pytest.mark.parametrize("stage", STAGES)
def test_a_signal_ends_the_process_and_prints_nothing(stage: str, name: str) -> None:
    program = PROLOGUE.format(name=name) + STAGES[stage]
    ended = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=25, check=False
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "cleaned up\n", "")


def test_a_coroutine_without_a_signal_returns_its_result_or_raises_its_error() -> None:
    program = """
async def main(result): return result
async def fails(): raise asyncio.CancelledError
with stops:
    print(stops.run(main(3)))
    try:
        stops.run(fails())
    except asyncio.CancelledError:
        print("cancelled")
"""
    ended = subprocess.run(
        [sys.executable, "-c", PROLOGUE.format(name="SIGTERM") + program],
        cwd=ROOT, capture_output=True, text=True, timeout=25, check=False,
    )  # fmt: skip
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "3\ncancelled\n", "")
