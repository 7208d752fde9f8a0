"""Reads examples from a file, one at a time, in any of the formats of `example_formats`."""

from __future__ import annotations

import csv
import gzip
import io
import threading
import zlib
from collections import Counter
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from itertools import chain
from pathlib import Path
from typing import IO, Any, Literal

import zstandard

from ..errors import BadRequest, ConfigurationError
from ..http.validation import validated
from ..memory.examples import ExampleIn
from .example_formats import documents
from .example_formats.base import Format, Options
from .example_formats.formats import is_known, recognised
from .example_formats.merging import Merged, merge
from .example_formats.native import columns_read
from .example_formats.records import Record, Sample
from .example_formats.scales import SCALES
from .example_formats.source import PEEK, Stoppable, Stopped, opened
from .example_formats.table import Table

#: What an error of a row may be, beside the examples.
Outcome = tuple[int, dict[str, Any] | BadRequest]


class BadLine(BadRequest):
    """A line of a file cannot be taught; the message names the file and the line."""

    def __init__(self, message: str, *, line: int, param: str | None = None) -> None:
        super().__init__(message, param=param)
        self.line = line


class Content:
    """A file whose bytes are in memory, with its name for messages."""

    def __init__(self, name: str, content: bytes) -> None:
        self.name = name
        self.content = content

    def __str__(self) -> str:
        return self.name

    def open(self, _mode: Literal["rb"]) -> IO[bytes]:
        """Open it for reading from its start."""
        return io.BytesIO(self.content)


class ExampleFile:
    """A file of examples that can be iterated repeatedly, with one record in memory at a time.

    Format, compression, encoding and delimiter are recognised by the content. An example without a source gets
    `source`. Iterating yields each example with the number of its first line, and raises `BadRequest` naming the line.
    If the labels of a prompt are spread over the file's records, the file is read once more to put them together; then
    the labels are held in memory, without the prompts.
    """

    def __init__(self, path: Path | Content, source: str, options: Options | None = None) -> None:
        """Raise `ConfigurationError` if the file cannot be read twice."""
        self.path: Path | Content = path
        self.source = source
        self.options = options or Options()
        if isinstance(path, Content):
            self.size = len(path.content)
        else:
            if path.exists() and not path.is_file():
                raise ConfigurationError(
                    f"{path} is not a regular file: it is read twice, to check it and to teach it."
                )
            self.size = path.stat().st_size
        #: The format; known once the first record has been read.
        self.format: Format | None = None
        #: Ignored columns of a table of this program's format; known once the header has been read.
        self.unread: tuple[str, ...] = ()
        #: How many records had no label, by reason.
        self.left_out: Counter[str] = Counter()
        #: How many labels of models with unknown names were left out, by name.
        self.skipped: Counter[str] = Counter()
        self._merged: Merged | None = None
        self._raw: IO[bytes] | None = None
        self._line = 0
        self._place = ""
        self._stop = threading.Event()

    def stop(self) -> None:
        """Let reading in another thread, now and later, raise `Stopped` soon."""
        self._stop.set()

    @property
    def position(self) -> int:
        """Bytes read so far of the file on disk."""
        return self._raw.tell() if self._raw is not None and not self._raw.closed else self.size

    def __iter__(self) -> Generator[tuple[int, ExampleIn], None, None]:
        with closing(self.outcomes()) as outcomes:
            for line, found in outcomes:
                if isinstance(found, BadRequest):
                    raise found
                yield line, found

    def outcomes(self) -> Generator[tuple[int, ExampleIn | BadRequest], None, None]:
        """Yield each example, or the error of its record, with its line. Raises `BadRequest` if reading must end."""
        with self._errors():
            if self.format is None:
                self._recognise()
            if self._merged is None and self.format is not None and self.format.merged:
                self._merged = self._put_together()
            with closing(self._rows()) as rows:
                for line, value in rows if self._merged is None else self._merged.examples(rows):
                    yield line, self._example(line, value)

    def at(self, line: int, message: str) -> str:
        """`message`, prefixed with the file and the line, and the format if it is not this program's own."""
        read_as = f" (format {self.format.name})" if self.format is not None and self.format.merged else ""
        place = f" {self._place}" if self._place else ""
        return f"{self.path} line {line}{place}{read_as}: {message}"

    def _example(self, line: int, value: dict[str, Any] | BadRequest) -> ExampleIn | BadRequest:
        try:
            if isinstance(value, BadRequest):
                raise value
            if value.get("source") in (None, ""):
                value["source"] = self.source
            return validated(ExampleIn, value)
        except BadRequest as error:
            message = error.message
            if self.options.scale is None and (error.param or "").startswith("scores.") and "than or equal" in message:
                message += f" (if the scores have another scale, name it: --scale {SCALES})"
            return BadLine(self.at(line, message), line=line, param=error.param)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Raise the errors of unreadable files as `BadRequest` with the line, which may be the one before."""
        try:
            yield
        except (UnicodeError, csv.Error, gzip.BadGzipFile, EOFError, zlib.error, zstandard.ZstdError) as error:
            reason = f"{error}."
            if isinstance(error, UnicodeDecodeError):
                reason = (
                    f"not {error.encoding.upper()}, {error.reason}; if the text has another encoding, name it, as in "
                    "--encoding cp1252, or convert it to UTF-8."
                )
            message = f"{self.path} cannot be read after line {self._line}: {reason}"
            raise BadLine(message, line=max(self._line, 1)) from None

    def _put_together(self) -> Merged:
        try:
            with closing(self._rows()) as rows:
                return merge(rows)
        except BadRequest as error:
            named = str(self.path) in error.message
            raise BadRequest(error.message if named else f"{self.path}: {error.message}", param=error.param) from None

    def _recognise(self) -> None:
        """Read the first record, by which the format is known."""
        with closing(self._rows()) as rows:
            next(rows, None)

    def _rows(self) -> Generator[Outcome, None, None]:
        """Yield the examples of records, or their errors, and count the records without labels."""
        self._line, self._place = 0, ""
        self.left_out.clear()
        self.skipped.clear()
        # What is in memory was unpacked within a limit.
        packed = not isinstance(self.path, Content)
        with self.path.open("rb") as raw:
            self._raw = raw
            try:
                with opened(Stoppable(raw, self._stop), self.options.encoding, packed=packed) as file:
                    yield from self._converted(file)
            except BadRequest as error:
                line = max(self._line, 1)
                raise BadLine(self.at(line, error.message), line=line, param=error.param) from None

    def _converted(self, file: io.BufferedReader) -> Iterator[Outcome]:
        start = file.peek(PEEK).lstrip()
        if not start:
            return
        if start[:1] in (b"{", b"["):
            records = documents.records(file)
            first = next(records)
            self._line = first.line
            if isinstance(first.value, BadRequest):
                raise first.value
            yield from self._read(Sample(frozenset(first.value), first.value), chain([first], records))
            return
        table = Table(file, is_known)
        try:
            yield from self._read(table.sample, table.rows())
        finally:
            table.close()

    def _read(self, sample: Sample, records: Iterator[Record]) -> Iterator[Outcome]:
        self.format = recognised(sample, self.options.format)
        if sample.table and not self.format.merged:
            self.unread = tuple(name for name in sample.columns if not columns_read(name))
        convert = self.format.reader(sample, self.options)
        renamed = not self.format.merged and self.options.names is not None
        for self._line, value, self._place in records:
            if self._stop.is_set():
                raise Stopped
            if isinstance(value, BadRequest):
                yield self._line, value
                continue
            try:
                found = convert(value)
                if isinstance(found, dict) and (renamed or self.options.skip_unknown):
                    found = self._with_our_names(found, renamed=renamed)
            except BadRequest as error:
                if error.param == "traces":
                    raise
                yield self._line, error
                continue
            if isinstance(found, str):
                self.left_out[found] += 1
            else:
                yield self._line, found

    def _with_our_names(self, example: dict[str, Any], *, renamed: bool) -> dict[str, Any] | str:
        """Replace names of models by ours, and leave out the labels of unknown ones if the options say so."""
        names = self.options.names
        assert names is not None
        found = dict(example)
        for field in ("scores", "completion_tokens"):
            labels = example.get(field)
            if not isinstance(labels, dict):
                continue
            ours: dict[str, Any] = {}
            for theirs, value in labels.items():
                name = names.find(theirs)
                if name is None and self.options.skip_unknown:
                    self.skipped[theirs] += 1
                    continue
                name = name or theirs
                if name in ours and renamed:
                    raise BadRequest(f"{field}.{theirs}: another name here is also of the model {name!r}.")
                ours[name] = value
            found[field] = ours
            if field == "scores" and labels and not ours:
                return "all its models are unknown"
        return found


def records_of(path: Path) -> Iterator[Record]:
    """Yield the records of a file as they are. Raises `BadRequest` if it cannot be read."""
    file = ExampleFile(path, "import")
    with file._errors(), path.open("rb") as raw, opened(raw) as text:
        if text.peek(PEEK).lstrip()[:1] in (b"{", b"["):
            yield from documents.records(text)
            return
        table = Table(text, is_known)
        try:
            yield from table.rows()
        finally:
            table.close()
