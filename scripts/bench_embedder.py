"""Time of embedding a prompt, by embedder and length.

Prompts are embedded one at a time, as for a request: a cached text, and new texts of 100 bytes to 10 kB, each made of
words drawn at random from the demo's prompts. The default embedder, `static`, is the baseline of `minilm`, which is
left out if its packages are not installed. Values are medians over the calls of one run.
"""

from __future__ import annotations

import asyncio
import random
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from app.demo import dataset
from app.errors import ConfigurationError
from app.memory import embedders
from app.memory.embedders import CachedEmbedder
from app.settings import Settings
from scripts.support.report import Baseline, Report, options, say

WIDTH = 384
SIZES = (100, 1_000, 10_000)
#: Seconds for each length of each embedder.
SECONDS, QUICK = 3.0, 1.0


def text(size: int) -> str:
    """Return `size` characters of words drawn at random from the demo's prompts."""
    pieces: list[str] = []
    length = 0
    while length < size:
        pieces.append(random.choice(WORDS))
        length += len(pieces[-1]) + 1
    return " ".join(pieces)[:size]


WORDS = " ".join(example.prompt for example in dataset.memory()).split()


async def measured(embedding: CachedEmbedder, size: int, seconds: float) -> tuple[float, float]:
    """Return median milliseconds of a new text, and of the same text again."""
    new: list[float] = []
    again: list[float] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(new) < 5:
        prompt = text(size)
        for times in (new, again):
            started = time.perf_counter()
            await embedding.embed_one(prompt)
            times.append((time.perf_counter() - started) * 1000)
    return statistics.median(new), statistics.median(again)


async def main() -> None:
    """Time the installed embedders and print the table."""
    arguments = options(__doc__).parse_args()
    report = Report(arguments)
    static: dict[int, float] = {}
    for name in ("static", "minilm"):
        try:
            embedding = embedders.create(Settings(embedder=name, embedding_deadline=60), WIDTH)
        except ConfigurationError as error:
            say(f"{name} is left out: {error}")
            continue
        for size in SIZES:
            new, again = await measured(embedding, size, QUICK if arguments.quick else SECONDS)
            static.setdefault(size, new)
            baseline = None if name == "static" else Baseline("static", static[size])
            report.add("new prompt", new, "ms", params={"embedder": name, "bytes": size}, baseline=baseline)
            report.add(
                "prompt seen before",
                again,
                "ms",
                params={"embedder": name, "bytes": size},
                baseline=Baseline("new", new),
            )
        await embedding.close()
    report.finish()


if __name__ == "__main__":
    asyncio.run(main())
