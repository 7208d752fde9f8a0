"""TCP ports of 127.0.0.1: which are free, and which of them a home takes."""

from __future__ import annotations

import os
import socket
import zlib
from collections.abc import Callable, Iterator

from app.embedded.home import Home
from app.errors import ConfigurationError

# Below the ports that systems lend to outgoing connections, so that ours is still free after a restart.
FIRST, LAST = 20_000, 29_999


def is_free(port: int) -> bool:
    """Whether a server could listen on 127.0.0.1:`port` now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # Postgres sets it too: connections of its last run that still linger do not count as taken.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def choices(home: Home, fixed: int | None, say: Callable[[str], None]) -> Iterator[int]:
    """Ports to start Postgres on, best first: `fixed` alone if given, else the last start's, else any that is free.

    Raises `ConfigurationError` when `fixed` is taken, or when there are no more.
    """
    if fixed is not None:
        if not is_free(fixed):
            raise ConfigurationError(
                f"Port {fixed} of 127.0.0.1 is taken by another program: "
                "choose another one for Postgres, or none, and a free one is found."
            )
        yield fixed
        return
    last = home.port
    for port in _candidates(home):
        if is_free(port):
            if last not in (None, port):
                say(f"Port {last} is taken by another program; Postgres uses {port}.")
            yield port
    raise ConfigurationError(f"No TCP port of 127.0.0.1 from {FIRST} to {LAST} is free for Postgres.")


def _candidates(home: Home) -> Iterator[int]:
    if home.port is not None:
        yield home.port
    # Each home begins somewhere else, and always at the same place.
    start, count = zlib.crc32(os.fsencode(home.path)), LAST - FIRST + 1
    for step in range(count):
        yield FIRST + (start + step) % count
