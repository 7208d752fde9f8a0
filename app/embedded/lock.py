"""A lock file: held by one process, given up by the kernel however that process ends."""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path
from types import TracebackType


class FileLock:
    """An exclusive lock on the file `path`, which holds the owner's process id while it is locked.

    `flock`, not `lockf`: it also keeps two owners within one process apart. Python opens files close-on-exec, so a
    Postgres that outlives us does not keep the lock.
    """

    def __init__(self, path: Path, *, wait: bool = False) -> None:
        self.path = path
        self._wait = wait
        self._file: int | None = None

    @property
    def held(self) -> bool:
        return self._file is not None

    def acquire(self) -> bool:
        """Take the lock; False when another process has it (with `wait`, only returns once it is ours)."""
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
        """Give the lock up; nothing happens when it is not held."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def owner(self) -> int | None:
        """The process id that the holder wrote, or None when it has not written one."""
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
