"""Reads examples from a JSONL or CSV file, plain or gzipped, one at a time."""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any, cast

import orjson

from ..errors import BadRequest, ConfigurationError
from ..http.validation import validated
from ..memory.examples import ExampleIn

SUFFIXES = (".jsonl", ".jsonl.gz", ".csv", ".csv.gz")

#: Greatest length of a CSV field; the default of the csv module, 128 KiB, is less than a long prompt.
_LONGEST_FIELD = 64 * 1024 * 1024
_SCORE = "q:"


class ExampleFile:
    """A file of examples that can be iterated repeatedly, with one line in memory at a time.

    A line of JSONL has the shape of one example of `POST /v1/router/preferences/rank`. A row of CSV has the columns
    `prompt`, `task` and a score per model in `q:MODEL`, empty if unknown; other columns are ignored (`unread`). An
    example without a source gets `source`. Iterating yields each example with the number of its first line, and raises
    `BadRequest` naming the line.
    """

    def __init__(self, path: Path, source: str) -> None:
        """Raise `ConfigurationError` if the name has none of `SUFFIXES`, or the file cannot be read twice."""
        self.path = path
        self.source = source
        if not path.name.lower().endswith(SUFFIXES):
            names = ", ".join(f"*{suffix}" for suffix in SUFFIXES)
            raise ConfigurationError(f"{path} has an unknown suffix: a file of examples is named {names}.")
        if path.exists() and not path.is_file():
            raise ConfigurationError(f"{path} is not a regular file: it is read twice, to check it and to teach it.")
        self.size = path.stat().st_size
        #: Ignored columns of a CSV file; known once the header has been read.
        self.unread: tuple[str, ...] = ()
        self._raw: IO[bytes] | None = None
        self._line = 0

    @property
    def position(self) -> int:
        """Bytes read so far of the file on disk."""
        return self._raw.tell() if self._raw is not None and not self._raw.closed else self.size

    def __iter__(self) -> Iterator[tuple[int, ExampleIn]]:
        self._line = 0
        try:
            with ExitStack() as stack:
                self._raw = raw = stack.enter_context(self.path.open("rb"))
                zipped = self.path.name.lower().endswith(".gz")
                file = stack.enter_context(cast(IO[bytes], gzip.GzipFile(fileobj=raw))) if zipped else raw
                rows = self._jsonl(file) if ".jsonl" in self.path.name.lower()[-9:] else self._csv(file)
                for row in rows:
                    row.setdefault("source", self.source)
                    yield self._line, validated(ExampleIn, row)
        except BadRequest as error:
            raise BadRequest(self.at(self._line, error.message), param=error.param) from None
        except (UnicodeDecodeError, csv.Error, gzip.BadGzipFile, EOFError, zlib.error) as error:
            # These are raised while reading ahead, so the line is approximate.
            reason = f"not UTF-8, {error.reason}" if isinstance(error, UnicodeDecodeError) else str(error)
            raise BadRequest(f"{self.path} cannot be read after line {self._line}: {reason}.") from None

    def at(self, line: int, message: str) -> str:
        """`message`, prefixed with the file and the line."""
        return f"{self.path} line {line}: {message}"

    def _jsonl(self, file: IO[bytes]) -> Iterator[dict[str, Any]]:
        for self._line, line in enumerate(file, 1):
            text = line.removeprefix(b"\xef\xbb\xbf") if self._line == 1 else line
            if not text.strip():
                continue
            try:
                row = orjson.loads(text)
            except orjson.JSONDecodeError as error:
                raise BadRequest(f"the line is not JSON: {error}.") from None
            if not isinstance(row, dict):
                raise BadRequest("the line is not a JSON object.")
            yield row

    def _csv(self, file: IO[bytes]) -> Iterator[dict[str, Any]]:
        csv.field_size_limit(_LONGEST_FIELD)
        with io.TextIOWrapper(file, "utf-8-sig", newline="") as text:
            table = csv.reader(text, strict=True)
            self._line = 1
            header = [name.strip() for name in next(table, [])]
            models = {i: name.removeprefix(_SCORE).strip() for i, name in enumerate(header) if name.startswith(_SCORE)}
            if "prompt" not in header or not models:
                raise BadRequest("the header lacks a column prompt, or a column q:MODEL for each scored model.")
            self.unread = tuple(n for n in header if n not in ("prompt", "task") and not n.startswith(_SCORE))
            ended = table.line_num
            for cells in table:
                # A quoted prompt may span lines: errors name its first line.
                self._line, ended = ended + 1, table.line_num
                if cells:
                    yield _row(header, models, cells)


def _row(header: list[str], models: dict[int, str], cells: list[str]) -> dict[str, Any]:
    if len(cells) != len(header):
        raise BadRequest(f"the row has {len(cells)} columns, the header has {len(header)}.")
    named = dict(zip(header, cells, strict=True))
    scores = {model: _score(cells[i], model) for i, model in models.items() if cells[i].strip()}
    if not scores:
        raise BadRequest("the row has no score in any column q:MODEL.")
    task = named.get("task", "").strip()
    return {"prompt": named["prompt"], "scores": scores, **({"task": task} if task else {})}


def _score(text: str, model: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise BadRequest(f"{_SCORE}{model}: {text.strip()!r} is not a number.") from None
