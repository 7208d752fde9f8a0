"""Takes a file of examples to where it is taught at once: all of it is checked first, then embedded batch by batch."""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from app.catalog import Catalog
from app.errors import BadRequest
from app.memory.embedders import CachedEmbedder, EmbeddingFailed
from app.memory.examples import ExampleIn, examples_of, labels_of
from app.operations.example_file import ExampleFile
from app.store.memories import Example

#: Examples of a batch, or characters of their prompts where those are long.
BATCH, CHARACTERS = 1000, 8 * 1024 * 1024

Advance = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Contents:
    """What a file was found to hold: a number for each example, the same one where prompt and source are the same."""

    keys: array[int] = field(default_factory=lambda: array("q"))

    @property
    def examples(self) -> int:
        """How many, those that a later one overwrites included."""
        return len(self.keys)

    @property
    def memories(self) -> int:
        """How many memories they make."""
        return len(np.unique(np.frombuffer(self.keys, np.int64)))

    def before(self, memories: int) -> int:
        """How many examples come before the last ones that make this many memories."""
        backwards = np.frombuffer(self.keys, np.int64)[::-1]
        first_seen = np.sort(np.unique(backwards, return_index=True)[1])
        return self.examples - int(first_seen[memories - 1]) - 1 if memories < len(first_seen) else 0


async def check(file: ExampleFile, catalog: Catalog, embedding: CachedEmbedder, advance: Advance) -> Contents:
    """Go through a file once; `advance` hears of the bytes read. Holds 8 bytes an example.

    Raises `BadRequest` naming the line when one of the examples could not be taught, or there are none.
    """
    contents = Contents()
    position = 0
    for line, lesson in file:
        try:
            text = await _checked(lesson, catalog, embedding)
        except BadRequest as error:
            raise BadRequest(file.at(line, error.message), param=error.param) from None
        contents.keys.append(hash((text, lesson.source)))
        if contents.examples % BATCH == 0:
            advance(file.position - position)
            position = file.position
            await asyncio.sleep(0)
    advance(file.size - position)
    if not contents.examples:
        raise BadRequest(f"{file.path} holds no examples.")
    return contents


async def stage(
    file: ExampleFile,
    skip: int,
    catalog: Catalog,
    embedding: CachedEmbedder,
    add: Callable[[list[Example]], Awaitable[None]],
    advance: Advance,
) -> None:
    """Embed all but the first `skip` examples of a checked file and `add` them in order, a batch at a time.

    While one batch is added the next is being embedded. Raises `BadRequest` and `EmbeddingFailed` naming the lines.
    """
    adding: asyncio.Task[None] | None = None

    async def added(examples: list[Example]) -> None:
        await add(examples)
        advance(len(examples))

    try:
        for batch in _batches(file, skip):
            examples = await _embedded(file, batch, catalog, embedding)
            if adding is not None:
                await adding
            adding = asyncio.create_task(added(examples))
        if adding is not None:
            await adding
    finally:
        if adding is not None:
            adding.cancel()
            await asyncio.gather(adding, return_exceptions=True)


async def _checked(lesson: ExampleIn, catalog: Catalog, embedding: CachedEmbedder) -> str:
    for label in ("scores", "completion_tokens"):
        for model in getattr(lesson, label):
            if catalog.find(model) is None:
                raise BadRequest(f"{label}: there is no enabled model {model!r}; `pgrouter model list` shows them.")
    labels_of(lesson, catalog)
    text = lesson.text()
    # Only a text without a letter or a digit may come out of an embedder empty; embedding all takes too long.
    if not any(map(str.isalnum, text)) and (await embedding.embed_many([text]))[0] is None:
        raise BadRequest("the prompt contains nothing to embed.")
    return text


async def _embedded(
    file: ExampleFile, batch: list[tuple[int, ExampleIn]], catalog: Catalog, embedding: CachedEmbedder
) -> list[Example]:
    try:
        return await examples_of([lesson for _, lesson in batch], catalog, embedding, batch=True)
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
