"""A lock file, which the kernel releases when its process ends in any way."""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path
from types import TracebackType


class FileLock:
    """An exclusive lock on the file `path`, which holds the owner's process id while it is locked.

    Uses `flock` and not `lockf`, because it also excludes a second owner in the same process. Python opens files
    close-on-exec, so a Postgres that outlives this process does not keep the lock.
    """

    def __init__(self, path: Path, *, wait: bool = False) -> None:
        self.path = path
        self._wait = wait
        self._file: int | None = None

    @property
    def held(self) -> bool:
        return self._file is not None

    def acquire(self) -> bool:
        """Take the lock and return True; return False if another process has it, or with `wait`, wait for it."""
        if self._file is not None:
            return True
        file = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if self._wait else fcntl.LOCK_NB))
            os.truncate(file, 0)
            os.write(file, f"{os.getpid()}\n".encode())
        except BlockingIOError:
            os.close(file)
            return False
        except BaseException:
            os.close(file)
            raise
        self._file = file
        return True

    def release(self) -> None:
        """Release the lock, if it is held."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def owner(self) -> int | None:
        """Return the process id of the owner, or None if the file has none."""
        with contextlib.suppress(OSError, ValueError):
            return int(self.path.read_text())
        return None

    def __enter__(self) -> FileLock:
        if not self.acquire():
            raise BlockingIOError(f"{self.path} is locked by process {self.owner()}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
