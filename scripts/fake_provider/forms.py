"""Parses multipart forms."""

from __future__ import annotations

import re
from dataclasses import dataclass

_NAME = re.compile(rb'[; ]name="([^"]*)"')
_FILE = re.compile(rb'filename="([^"]*)"')
_BOUNDARY = re.compile(r'boundary="?([^";]+)')


@dataclass(frozen=True, slots=True)
class Part:
    """One field of a form; `filename` is None if it is not a file."""

    content: bytes
    filename: str | None

    @property
    def text(self) -> str:
        """The content of a field that is not a file."""
        return self.content.decode()


def form_of(content_type: str, body: bytes) -> dict[str, Part]:
    """Return the fields of a form by name, the last of each. Raises `ValueError` for another or truncated body."""
    boundary = _BOUNDARY.search(content_type)
    if not content_type.lower().startswith("multipart/form-data") or boundary is None:
        raise ValueError(f"multipart/form-data is needed, not {content_type!r}")
    mark = b"--" + boundary[1].encode()
    pieces = (b"\r\n" + body).split(b"\r\n" + mark)
    if len(pieces) < 2 or not pieces[-1].startswith(b"--"):
        raise ValueError("the form does not end with its boundary")
    parts = {}
    for piece in pieces[1:-1]:
        head, _, content = piece.partition(b"\r\n\r\n")
        name, file = _NAME.search(head), _FILE.search(head)
        if name is None:
            raise ValueError("a part of the form has no name")
        parts[name[1].decode()] = Part(content, file[1].decode() if file else None)
    return parts
