"""Reads tables: CSV with commas, semicolons, tabs or pipes between the columns."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Callable, Iterator

from ...errors import BadRequest
from .records import Record, Sample

DELIMITERS = (",", ";", "\t", "|")
#: Greatest length of a field; the default of the csv module, 128 KiB, is less than a long prompt.
_LONGEST_FIELD = 64 * 1024 * 1024
#: Lines, characters and columns that a header may have.
MOST_LINES, MOST_CHARACTERS, MOST_COLUMNS = 1_000, 1024 * 1024, 20_000
_SEPARATOR_LINE = re.compile(r"sep=(.)\r?\n?", re.IGNORECASE)


class Table:
    """A table: its columns are known at once, its rows are read one by one."""

    def __init__(self, file: io.BufferedReader, is_known: Callable[[Sample], bool]) -> None:
        """Read the header. `is_known` is whether a format has such columns: it decides between delimiters."""
        csv.field_size_limit(_LONGEST_FIELD)
        text = io.TextIOWrapper(file, "utf-8", newline="")
        self._text = text
        self._offset = 0
        lines = _header_of(text)
        named = _SEPARATOR_LINE.fullmatch("".join(lines))
        if named:
            self._offset, lines = 1, _header_of(text)
        options = [_sample(lines, delimiter) for delimiter in ([named[1]] if named else DELIMITERS)]
        known = [option for option in options if is_known(option[1])]
        self._delimiter, self.sample = max(known or options, key=lambda option: len(option[1].columns))
        self._header = len(lines)

    def rows(self) -> Iterator[Record]:
        """Yield the rows. Raises `csv.Error` if a quote is never closed, and `BadRequest` for a bad header."""
        columns = self.sample.columns
        check_columns(columns)
        table = csv.reader(self._text, delimiter=self._delimiter, strict=True)
        first = self._offset + self._header
        ended = 0
        width = len(columns)
        for cells in table:
            # A quoted prompt may span lines: errors name its first line.
            line, ended = first + ended + 1, table.line_num
            if len(cells) == width:
                if any(cells):
                    yield Record(line, dict(zip(columns, cells, strict=True)))
            elif any(cells):
                reason = f"the row has {len(cells)} columns, the header has {width}."
                yield Record(line, BadRequest(reason))

    def close(self) -> None:
        """Close the text, and leave the file below to its owner."""
        self._text.detach()


def _header_of(text: io.TextIOWrapper) -> list[str]:
    """Return the lines of the first row. Raises `BadRequest` if it is too long."""
    lines: list[str] = []
    size = quotes = 0
    while line := text.readline(MOST_CHARACTERS):
        lines.append(line)
        size += len(line)
        quotes += line.count('"')
        if size >= MOST_CHARACTERS or len(lines) > MOST_LINES:
            raise BadRequest(f"the header is over {MOST_LINES} lines or {MOST_CHARACTERS} characters: a quote is open?")
        if quotes % 2 == 0:
            break
    return lines


def check_columns(columns: tuple[str, ...]) -> None:
    """Raise `BadRequest` naming a column that the header has twice."""
    twice = [name for name, count in Counter(columns).items() if count > 1 and name]
    if twice:
        raise BadRequest(f"the header has the column {twice[0]!r} twice: rename or remove one of them.")


def _sample(lines: list[str], delimiter: str) -> tuple[str, Sample]:
    header: list[str] = next(csv.reader(lines, delimiter=delimiter, strict=True), [])
    if len(header) > MOST_COLUMNS:
        raise BadRequest(f"the header has {len(header)} columns: at most {MOST_COLUMNS} are read.")
    # `q: gpt-4o` is the column `q:gpt-4o`.
    names = tuple(re.sub(r"^(q|t|c):\s+", r"\1:", name.strip()) for name in header)
    return delimiter, Sample(frozenset(names), {}, names or ("",), decimal_comma=delimiter != ",")
