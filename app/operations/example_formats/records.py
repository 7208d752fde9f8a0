"""Splits the text of a file into records: rows of a table, lines of JSONL, or the elements of a JSON document."""

from __future__ import annotations

from typing import Any, NamedTuple

from ...errors import BadRequest


class Record(NamedTuple):
    """A record with the number of its first line: its fields, or why it could not be read."""

    line: int
    value: dict[str, Any] | BadRequest
    #: Its place in a document that holds all records, such as `results[3]`.
    place: str = ""


class Sample(NamedTuple):
    """What a format is recognised by."""

    #: Fields of the first record; of a table, its columns.
    fields: frozenset[str]
    #: The first record; of a table, empty.
    first: dict[str, Any]
    #: Columns of a table in their order, else empty.
    columns: tuple[str, ...] = ()
    #: Whether numbers may have a decimal comma: the delimiter is no comma.
    decimal_comma: bool = False

    @property
    def table(self) -> bool:
        """Whether the file is a table."""
        return bool(self.columns)
