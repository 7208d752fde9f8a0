"""Opens a file of examples as UTF-8, whatever its compression and encoding are, recognised by its first bytes."""

from __future__ import annotations

import codecs
import gzip
import io
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any, cast

import zstandard

from ...errors import BadRequest

#: Bytes by which compression, encoding and format are recognised.
PEEK = 64 * 1024
#: Names of compressions, by the first bytes of the files.
PACKED = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
#: Files that hold no text, by their first bytes.
_OTHERS = {
    b"PK\x03\x04": "a ZIP archive or an Excel workbook: unpack it, or save the sheet as CSV",
    b"PAR1": "a Parquet file: convert it to JSONL or CSV",
    b"ARROW1": "an Arrow file: convert it to JSONL or CSV",
    b"BZh": "compressed by bzip2: unpack it, or use gzip or zstd",
    b"\xfd7zXZ\x00": "compressed by xz: unpack it, or use gzip or zstd",
    b"\x80\x04\x95": "a pickle of Python: convert it to JSONL or CSV",
    b"\x80\x05\x95": "a pickle of Python: convert it to JSONL or CSV",
    b"SQLite format 3": "an SQLite database: export the table as CSV",
}
#: A name of an encoding, and encodings of names of hosts and of program text.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,39}")
_NO_TEXT = {"idna", "punycode", "raw-unicode-escape", "undefined", "unicode-escape"}
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def text_encoding(name: str) -> str:
    """Return the name of an encoding of texts. Raises `BadRequest` for any other name."""
    try:
        # `str.encode` takes encodings of texts alone: no hex, rot13 or zlib.
        if not _NAME.fullmatch(name) or codecs.lookup(name).name in _NO_TEXT:
            raise LookupError
        "a".encode(name)
        codecs.getincrementaldecoder(name)
    except (LookupError, ValueError):
        reason = f"encoding: {name[:40]!r} is not an encoding of texts; names are utf-16, cp1252, …"
        raise BadRequest(reason, param="encoding") from None
    return name


@contextmanager
def opened(
    raw: IO[bytes] | io.RawIOBase, encoding: str | None = None, *, packed: bool = True
) -> Iterator[io.BufferedReader]:
    """The text of `raw` as UTF-8 without a byte order mark; `encoding` None: recognise it.

    `packed`: unpack it if it is compressed, however large that is. Raises `BadRequest` for a file that holds no text.
    """
    stream = _buffered(raw)
    start = stream.peek(PEEK)
    if start.startswith(tuple(PACKED)):
        if not packed:
            raise BadRequest("the file is compressed more than once: unpack it.")
        # `raw` stays open when the reader of its content is closed.
        unpacked = (
            gzip.GzipFile(fileobj=stream)
            if start.startswith(b"\x1f")
            else zstandard.ZstdDecompressor(max_window_size=1 << 27).stream_reader(
                stream, read_across_frames=True, closefd=False
            )
        )
        stream = _buffered(unpacked)
        start = stream.peek(PEEK)
    for mark, name in _OTHERS.items():
        if start.startswith(mark):
            raise BadRequest(f"the file is {name}.")
    found = encoding or encoding_of(start)
    if found == "utf-8":
        yield stream
    elif found == "utf-8-sig":
        stream.read(len(codecs.BOM_UTF8))
        yield stream
    else:
        yield _buffered(_Transcoded(stream, found))


def encoding_of(start: bytes) -> str:
    """Return the encoding of a text that starts so."""
    for mark, name in _MARKS:
        if start.startswith(mark):
            return name
    # Without a mark: the first characters of a header or of JSON are ASCII, so every second byte of UTF-16 is zero.
    head = start[:12]
    if len(head) >= 4 and b"\0" in head:
        if not any(head[1::2]):
            return "utf-16-le"
        if not any(head[0::2]):
            return "utf-16-be"
    return "utf-8"


def _buffered(stream: Any) -> io.BufferedReader:
    return io.BufferedReader(cast(io.RawIOBase, stream), PEEK)


class Stopped(Exception):
    """Reading was stopped from another thread."""


class Stoppable(io.RawIOBase):
    """The bytes of `file`, which raise `Stopped` once `stop` is set."""

    def __init__(self, file: IO[bytes], stop: threading.Event) -> None:
        self._file = file
        self._stop = stop

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._file.tell()

    def readinto(self, buffer: Any) -> int:
        if self._stop.is_set():
            raise Stopped
        piece = self._file.read(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)


class _Transcoded(io.RawIOBase):
    """Bytes of another encoding, as UTF-8."""

    def __init__(self, stream: IO[bytes], encoding: str) -> None:
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder(text_encoding(encoding))()
        self._ready = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._ready:
            piece = self._stream.read(PEEK)
            self._ready = self._decoder.decode(piece, final=not piece).encode()
            if not piece and not self._ready:
                return 0
        part = self._ready[: len(buffer)]
        self._ready = self._ready[len(part) :]
        buffer[: len(part)] = part
        return len(part)
