"""API keys of tenants: their format, hash and hint."""

from __future__ import annotations

import secrets
from hashlib import sha256

PREFIX = "rk-"
LENGTH = 46


def make_key() -> str:
    """Generate a key: `rk-` and 32 random bytes in URL-safe base64, 46 characters in all."""
    return PREFIX + secrets.token_urlsafe(32)


def hash_of(key: str) -> bytes:
    """Return the SHA-256 of a key, 32 bytes; only this is stored. No salt is needed: a key has 256 random bits."""
    return sha256(key.encode("utf-8", "surrogateescape")).digest()


def hint_of(key: str) -> str:
    """Return the first 9 characters of a key, by which people recognise it: 6 of its 43 random ones."""
    return key[:9]


def is_key(text: str) -> bool:
    """Whether `text` has the format of a key; other texts need no look-up."""
    return len(text) == LENGTH and text.startswith(PREFIX)
