"""Selects a free TCP port of 127.0.0.1 for a home."""

from __future__ import annotations

import os
import socket
import zlib
from collections.abc import Callable, Iterator

from ..errors import ConfigurationError
from .home import Home

# Below the ephemeral ports, so that the port of a home is still free after a restart.
FIRST, LAST = 20_000, 29_999


def is_free(port: int) -> bool:
    """Whether a server can listen on 127.0.0.1:`port` now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As Postgres does, so that connections of its last run in TIME_WAIT do not occupy the port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def choices(home: Home, fixed: int | None, report: Callable[[str], None]) -> Iterator[int]:
    """Yield ports for Postgres, best first: only `fixed` if given, else that of the last start, else any free one.

    Raises `ConfigurationError` if `fixed` is in use, or after the last free port.
    """
    if fixed is not None:
        if not is_free(fixed):
            raise ConfigurationError(
                f"Port {fixed} of 127.0.0.1 is in use by another program: "
                "set another port for Postgres, or none to use any free port."
            )
        yield fixed
        return
    last = home.port
    for port in _candidates(home):
        if is_free(port):
            if last not in (None, port):
                report(f"Port {last} is in use by another program; Postgres uses {port}.")
            yield port
    raise ConfigurationError(f"No TCP port of 127.0.0.1 from {FIRST} to {LAST} is free for Postgres.")


def _candidates(home: Home) -> Iterator[int]:
    if home.port is not None:
        yield home.port
    # Start at a port that is derived from the path of the home.
    start, count = zlib.crc32(os.fsencode(home.path)), LAST - FIRST + 1
    for step in range(count):
        yield FIRST + (start + step) % count
