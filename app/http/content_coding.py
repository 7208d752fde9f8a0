"""Unpacks request bodies that a client compressed: gzip, deflate and zstd, within a limit (RFC 9110, 8.4)."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable

import zstandard

from ..errors import BadRequest, TooLarge, UnsupportedEncoding

#: Names of codings, as `Content-Encoding` has them.
SUPPORTED = ("gzip", "deflate", "zstd")
#: Codings applied one after another that are unpacked; more have no use.
MOST_LAYERS = 3
#: A window of zstd may be this large even if the limit is smaller: `zstd` itself uses up to 8 MiB.
LEAST_WINDOW = 8 * 1024 * 1024
#: Members that a gzip file may have; programs that write blocks of their own have one for each 64 KiB.
MOST_MEMBERS = 10_000
_PIECE = 64 * 1024
_ZEROS = re.compile(rb"\0*")
_ALIASES = {"x-gzip": "gzip"}
_GZIP, _ZLIB, _RAW = 31, 15, -15


def codings(value: bytes) -> list[str]:
    """Return the codings that a header `Content-Encoding` names, in the order in which they were applied.

    Raises `UnsupportedEncoding` for one that is not supported, and for more than `MOST_LAYERS`.
    """
    names = [name.strip().lower() for name in value.decode("latin-1").split(",")]
    found = [_ALIASES.get(name, name) for name in names if name not in ("", "identity")]
    for name in found:
        if name not in SUPPORTED:
            raise UnsupportedEncoding(f"Content-Encoding {name[:50]!r} is not supported: use {', '.join(SUPPORTED)}.")
    if len(found) > MOST_LAYERS:
        raise UnsupportedEncoding(f"Content-Encoding names {len(found)} codings: use {MOST_LAYERS} at most.")
    return found


def unpack(packed: bytes, applied: list[str], limit: int) -> bytes:
    """Return a body without its codings.

    No more than `limit` bytes are unpacked of any layer. Raises `TooLarge` over `limit` bytes, and `BadRequest` for
    bytes that are not in the coding.
    """
    for name in reversed(applied):
        try:
            packed = _READERS[name](packed, limit)
        except (zlib.error, zstandard.ZstdError, EOFError) as error:
            raise BadRequest(f"The request body is not {name}, as its Content-Encoding says: {error}.") from None
        if len(packed) > limit:
            raise TooLarge(f"The request body is over {limit} bytes when unpacked.")
    return packed


def _gzip(packed: bytes, limit: int) -> bytes:
    """Return all members of a gzip file, one behind another. Raises `BadRequest` over `MOST_MEMBERS`."""
    # zlib copies the input that follows a member: of a piece, it is little.
    view, at, members = memoryview(packed), 0, 0
    found: list[bytes] = []
    room = limit + 1
    while at < len(view) and room:
        members += 1
        if members > MOST_MEMBERS:
            raise BadRequest(f"The gzip file has more than {MOST_MEMBERS} members.")
        reader = zlib.decompressobj(_GZIP)
        while not reader.eof and room:
            piece = view[at : at + _PIECE]
            if not piece:
                raise EOFError("it is cut off")
            found.append(reader.decompress(piece, room))
            room -= len(found[-1])
            at += len(piece) - len(reader.unconsumed_tail) - len(reader.unused_data)
        # Some programs pad with zeros.
        if at < len(view) and not view[at] and (zeros := _ZEROS.match(view, at)):
            at = zeros.end()
    return b"".join(found)


def _deflate(packed: bytes, limit: int) -> bytes:
    """Return a body with zlib's frame, which the coding has, or without, as some clients send it."""
    try:
        return _inflated(packed, _ZLIB, limit)[0]
    except zlib.error:
        return _inflated(packed, _RAW, limit)[0]


def _inflated(packed: bytes, bits: int, limit: int) -> tuple[bytes, bytes]:
    """Return up to `limit` + 1 bytes of a deflated body, and what follows it. Raises `EOFError` if it is cut off."""
    reader = zlib.decompressobj(bits)
    found = reader.decompress(packed, limit + 1)
    if not reader.eof and len(found) <= limit:
        raise EOFError("it is cut off")
    return found, reader.unused_data


def _zstd(packed: bytes, limit: int) -> bytes:
    # A frame names the memory that it needs; a frame that is cut off gives what is there of it, which is not JSON.
    window = max(LEAST_WINDOW, 1 << limit.bit_length())
    reader = zstandard.ZstdDecompressor(max_window_size=window).stream_reader(packed, read_across_frames=True)
    pieces, size = [], 0
    while size <= limit and (piece := reader.read(min(limit + 1 - size, 1024 * 1024))):
        pieces.append(piece)
        size += len(piece)
    return b"".join(pieces)


_READERS: dict[str, Callable[[bytes, int], bytes]] = {"gzip": _gzip, "deflate": _deflate, "zstd": _zstd}
