"""Imports a file of examples: checks all of it first, then embeds and stages it in batches."""

from __future__ import annotations

import asyncio
from array import array
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from typing import TypeVar

import numpy as np

from ..catalog import Catalog
from ..errors import BadRequest, NotFound
from ..memory.embedders import CachedEmbedder, EmbeddingFailed, Paid
from ..memory.examples import ExampleIn, TextRules, examples_of, labels_of
from ..store.memories import Example
from .example_file import BadLine, ExampleFile

#: Greatest number of examples in a batch, and of characters in their prompts.
BATCH, CHARACTERS = 1000, 8 * 1024 * 1024
#: Examples that are read at once before they are checked.
READ = 250

#: Errors, and names of unknown models, that are shown.
SHOWN = 20
_HELP = (
    "Add a model with `pgrouter model add`, name the model that is meant with --model THEIRS=OURS, or leave the labels "
    "of unknown models out with --skip-unknown-models; `pgrouter model list` lists the models."
)

Advance = Callable[[int], None]
T = TypeVar("T")


class ModelNames:
    """The names of the deployment's models, and the names that an operator says a file has for them."""

    def __init__(self, catalog: Catalog, mapping: Mapping[str, str] | None = None) -> None:
        """Raise `BadRequest` if a name that others are mapped to is not a model."""
        self._catalog = catalog
        self._mapping = dict(mapping or {})
        for theirs, ours in self._mapping.items():
            if not catalog.can_label(ours):
                raise BadRequest(f"--model {theirs}={ours}: there is no model {ours!r}. {_HELP}", param="model")

    def find(self, name: str) -> str | None:
        """Return our name of the model that a file calls `name`, or None."""
        found = self._mapping.get(name, name)
        return found if self._catalog.can_label(found) else None


@dataclass(slots=True)
class Summary:
    """What a file teaches, and its errors: what a dry run prints."""

    #: Number and sum of the scores of each model.
    scores: dict[str, tuple[int, float]] = field(default_factory=dict)
    #: Examples of each task; None: without a task.
    tasks: Counter[str | None] = field(default_factory=Counter)
    #: The first errors; a `BadLine` has its line.
    errors: list[BadRequest] = field(default_factory=list)
    #: Number of all errors.
    failed: int = 0

    def add(self, example: ExampleIn) -> None:
        """Count an example."""
        for model, score in example.scores.items():
            count, total = self.scores.get(model, (0, 0.0))
            self.scores[model] = (count + 1, total + score)
        self.tasks[example.task and example.task.strip()] += 1

    def add_error(self, error: BadRequest) -> None:
        """Count an error."""
        self.failed += 1
        if len(self.errors) < SHOWN:
            self.errors.append(error)


@dataclass(frozen=True, slots=True)
class Contents:
    """The contents of a checked file: a key for each example, equal if prompt and source are equal."""

    keys: array[int] = field(default_factory=lambda: array("q"))

    @property
    def examples(self) -> int:
        """Number of examples, with those that a later example overwrites."""
        return len(self.keys)

    @property
    def memories(self) -> int:
        """Number of memories that the examples make."""
        return self.memories_after(0)

    def memories_after(self, skip: int) -> int:
        """Number of memories that all but the first `skip` examples make."""
        return len(np.unique(np.frombuffer(self.keys, np.int64)[skip:])) if self.keys else 0

    def before(self, memories: int) -> int:
        """Number of examples before the last ones that make this many memories."""
        backwards = np.frombuffer(self.keys, np.int64)[::-1]
        first_seen = np.sort(np.unique(backwards, return_index=True)[1])
        return self.examples - int(first_seen[memories - 1]) - 1 if memories < len(first_seen) else 0


async def check(
    file: ExampleFile,
    catalog: Catalog,
    embedding: CachedEmbedder,
    rules: TextRules,
    advance: Advance,
    summary: Summary | None = None,
) -> Contents:
    """Check a file by reading it once; `advance` is called with the bytes read. Takes 8 bytes of memory an example.

    Raises `BadRequest` naming the line of an example that cannot be taught, or if the file has no examples. With a
    `summary`, counts what would be taught and adds the errors to it instead.
    """
    contents = Contents()
    position = 0
    unknown: dict[str, tuple[int, int]] = {}
    with closing(file.outcomes()) as outcomes:
        # Read in a thread, so that a server goes on meanwhile.
        while found := await _in_thread(file, lambda: _read(outcomes)):
            for line, example in found:
                if line is None:
                    assert isinstance(example, BadRequest)
                    raise example
                try:
                    if isinstance(example, BadRequest):
                        raise example
                    text = await _checked(file, line, example, catalog, embedding, rules, unknown)
                except BadRequest as error:
                    if summary is None:
                        raise
                    summary.add_error(error)
                    continue
                if summary is not None:
                    summary.add(example)
                contents.keys.append(hash((text, example.source)))
            advance(file.position - position)
            position = file.position
    advance(file.size - position)
    if unknown:
        _refuse_unknown(file, unknown, summary)
    if not contents.examples and (summary is None or not summary.failed):
        raise BadRequest(f"{file.path} has no examples{_left_out(file)}.")
    return contents


async def stage(
    file: ExampleFile,
    skip: int,
    catalog: Catalog,
    embedding: CachedEmbedder,
    rules: TextRules,
    add: Callable[[list[Example]], Awaitable[None]],
    advance: Advance,
    paid: Paid | None = None,
) -> None:
    """Embed all but the first `skip` examples of a checked file, and `add` them in order, in batches.

    The next batch is embedded while one is added. `paid`: as of `examples_of`.

    Raises `BadRequest` and `EmbeddingFailed` naming the lines.
    """
    adding: asyncio.Task[None] | None = None

    async def added(examples: list[Example]) -> None:
        await add(examples)
        advance(len(examples))

    try:
        with closing(iter(file)) as found:
            batches = _batches(found, skip)
            while batch := await _in_thread(file, lambda: next(batches, None)):
                examples = await _embedded(file, batch, catalog, embedding, rules, paid)
                if adding is not None:
                    await adding
                adding = asyncio.create_task(added(examples))
        if adding is not None:
            await adding
    finally:
        if adding is not None:
            adding.cancel()
            await asyncio.gather(adding, return_exceptions=True)


def _read(outcomes: Iterator[tuple[int, ExampleIn | BadRequest]]) -> list[tuple[int | None, ExampleIn | BadRequest]]:
    """Return the next outcomes; the error that ends the file comes last, without a line."""
    found: list[tuple[int | None, ExampleIn | BadRequest]] = []
    try:
        found.extend(islice(outcomes, READ))
    except BadRequest as error:
        found.append((None, error))
    return found


async def _in_thread(file: ExampleFile, work: Callable[[], T]) -> T:
    """Return what `work`, which reads `file`, returns.

    If cancelled, stop it, and end only after it has: the file has one reader at a time.
    """
    task = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        file.stop()
        await asyncio.gather(task, return_exceptions=True)
        raise


async def _checked(
    file: ExampleFile,
    line: int,
    example: ExampleIn,
    catalog: Catalog,
    embedding: CachedEmbedder,
    rules: TextRules,
    unknown: dict[str, tuple[int, int]],
) -> str:
    """Return the text of an example. Adds names of unknown models to `unknown`, with their labels and first line."""
    try:
        names = example.scores.keys() | example.completion_tokens.keys()
        missing = [name for name in names if not catalog.can_label(name)]
        if not missing:
            labels_of(example, catalog)
        for name in missing:
            labels, first = unknown.get(name, (0, line))
            unknown[name] = (labels + 1, first)
        text = example.text(rules, example.policy)
        # Only a text without letters and digits may have no embedding; embedding every text here would take too long.
        if not any(map(str.isalnum, text)) and (await embedding.embed_many([text]))[0] is None:
            raise BadRequest("the prompt contains nothing to embed.", param="prompt")
    except (BadRequest, NotFound) as error:
        raise BadLine(file.at(line, error.message), line=line, param=error.param) from None
    return text


def _refuse_unknown(file: ExampleFile, unknown: Mapping[str, tuple[int, int]], summary: Summary | None) -> None:
    """Raise `BadRequest` with all names of models that are unknown, or add it to the summary."""
    first = min(line for _, line in unknown.values())
    names = sorted(unknown, key=lambda name: (-unknown[name][0], name))
    shown = ", ".join(f"{name!r} ({unknown[name][0]} labels)" for name in names[:SHOWN])
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    error = BadLine(file.at(first, f"there is no model {shown}{more}. {_HELP}"), line=first, param="scores")
    if summary is None:
        raise error
    summary.add_error(error)


def _left_out(file: ExampleFile) -> str:
    """The reasons why records have no label, in brackets."""
    reasons = "; ".join(f"{count} records: {reason}" for reason, count in file.left_out.most_common())
    return f" ({reasons})" if reasons else ""


async def _embedded(
    file: ExampleFile,
    batch: list[tuple[int, ExampleIn]],
    catalog: Catalog,
    embedding: CachedEmbedder,
    rules: TextRules,
    paid: Paid | None,
) -> list[Example]:
    try:
        return await examples_of([example for _, example in batch], catalog, embedding, rules, batch=True, paid=paid)
    except (BadRequest, EmbeddingFailed) as error:
        where = f"{file.path} lines {batch[0][0]} to {batch[-1][0]}"
        if isinstance(error, EmbeddingFailed):
            raise EmbeddingFailed(f"{where}: {error}") from None
        raise BadRequest(f"{where}: {error.message}", param=error.param) from None


def _batches(file: Iterable[tuple[int, ExampleIn]], skip: int) -> Iterator[list[tuple[int, ExampleIn]]]:
    batch: list[tuple[int, ExampleIn]] = []
    characters = 0
    for number, item in enumerate(file):
        if number < skip:
            continue
        batch.append(item)
        characters += len(item[1].prompt or "")
        if len(batch) == BATCH or characters > CHARACTERS:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch
