"""Imports a file of examples: checks all of it first, then embeds and stages it in batches."""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from ..catalog import Catalog
from ..errors import BadRequest, NotFound
from ..memory.embedders import CachedEmbedder, EmbeddingFailed
from ..memory.examples import ExampleIn, TextRules, examples_of, labels_of
from ..store.memories import Example
from .example_file import ExampleFile

#: Greatest number of examples in a batch, and of characters in their prompts.
BATCH, CHARACTERS = 1000, 8 * 1024 * 1024

Advance = Callable[[int], None]


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
        return len(np.unique(np.frombuffer(self.keys, np.int64)))

    def before(self, memories: int) -> int:
        """Number of examples before the last ones that make this many memories."""
        backwards = np.frombuffer(self.keys, np.int64)[::-1]
        first_seen = np.sort(np.unique(backwards, return_index=True)[1])
        return self.examples - int(first_seen[memories - 1]) - 1 if memories < len(first_seen) else 0


async def check(
    file: ExampleFile, catalog: Catalog, embedding: CachedEmbedder, rules: TextRules, advance: Advance
) -> Contents:
    """Check a file by reading it once; `advance` is called with the bytes read. Takes 8 bytes of memory an example.

    Raises `BadRequest` naming the line of an example that cannot be taught, or if the file has no examples.
    """
    contents = Contents()
    position = 0
    for line, example in file:
        try:
            text = await _checked(example, catalog, embedding, rules)
        except (BadRequest, NotFound) as error:
            raise BadRequest(file.at(line, error.message), param=error.param) from None
        contents.keys.append(hash((text, example.source)))
        if contents.examples % BATCH == 0:
            advance(file.position - position)
            position = file.position
            await asyncio.sleep(0)
    advance(file.size - position)
    if not contents.examples:
        raise BadRequest(f"{file.path} has no examples.")
    return contents


async def stage(
    file: ExampleFile,
    skip: int,
    catalog: Catalog,
    embedding: CachedEmbedder,
    rules: TextRules,
    add: Callable[[list[Example]], Awaitable[None]],
    advance: Advance,
) -> None:
    """Embed all but the first `skip` examples of a checked file, and `add` them in order, in batches.

    The next batch is embedded while one is added. Raises `BadRequest` and `EmbeddingFailed` naming the lines.
    """
    adding: asyncio.Task[None] | None = None

    async def added(examples: list[Example]) -> None:
        await add(examples)
        advance(len(examples))

    try:
        for batch in _batches(file, skip):
            examples = await _embedded(file, batch, catalog, embedding, rules)
            if adding is not None:
                await adding
            adding = asyncio.create_task(added(examples))
        if adding is not None:
            await adding
    finally:
        if adding is not None:
            adding.cancel()
            await asyncio.gather(adding, return_exceptions=True)


async def _checked(example: ExampleIn, catalog: Catalog, embedding: CachedEmbedder, rules: TextRules) -> str:
    for label in ("scores", "completion_tokens"):
        for model in getattr(example, label):
            if catalog.find(model) is None:
                raise BadRequest(
                    f"{label}: there is no enabled model {model!r}; `pgrouter model list` lists the models."
                )
    labels_of(example, catalog)
    text = example.text(rules, example.policy)
    # Only a text without letters and digits may have no embedding; embedding every text here would take too long.
    if not any(map(str.isalnum, text)) and (await embedding.embed_many([text]))[0] is None:
        raise BadRequest("the prompt contains nothing to embed.")
    return text


async def _embedded(
    file: ExampleFile,
    batch: list[tuple[int, ExampleIn]],
    catalog: Catalog,
    embedding: CachedEmbedder,
    rules: TextRules,
) -> list[Example]:
    try:
        return await examples_of([example for _, example in batch], catalog, embedding, rules, batch=True)
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
