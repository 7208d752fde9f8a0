"""API keys: how one is made, what of it is stored, and how people tell two apart."""

from __future__ import annotations

import secrets
from hashlib import sha256

PREFIX = "rk-"
LENGTH = 46


def make_key() -> str:
    """A new key: `rk-` and 32 random bytes in URL-safe base64, 46 characters in all."""
    return PREFIX + secrets.token_urlsafe(32)


def hash_of(key: str) -> bytes:
    """SHA-256 of the whole key, 32 bytes: all that is stored of it. A plain hash will do, no key can be guessed."""
    return sha256(key.encode("utf-8", "surrogateescape")).digest()


def hint_of(key: str) -> str:
    """The key's first 9 characters: six of its 43 random ones, too few to help anybody."""
    return key[:9]


def is_key(text: str) -> bool:
    """Whether `text` has the form of a key at all; what has not need not be looked up."""
    return len(text) == LENGTH and text.startswith(PREFIX)
