"""Settings of the process, read from its environment once and then frozen; routing policy is in the database."""

from .process import BACKENDS, MOST_WORKERS, Backend, Settings

__all__ = ["BACKENDS", "MOST_WORKERS", "Backend", "Settings"]
