"""Random examples: the same in every run of `make test`, fresh ones in `make fuzz`."""

from __future__ import annotations

import os
import random
import time

import hypothesis

#: The number from which a run of `make fuzz` derives its random numbers; None: the numbers are fixed.
FUZZ_SEED = int(os.environ["FUZZ_SEED"]) if os.environ.get("FUZZ_SEED") else None
#: Seconds after which `make fuzz` skips the tests that it has not begun.
FUZZ_SECONDS = float(os.environ.get("FUZZ_SECONDS", "300"))
#: How many times as many examples `make fuzz` tries.
FACTOR = 10
_ENDS = time.monotonic() + FUZZ_SECONDS


def register_profiles() -> None:
    """Load the Hypothesis profile `fixed`, or `fuzz` if there is a FUZZ_SEED.

    Neither has a deadline, because the time of an example depends on the machine, nor a database of examples, which
    other checkouts would not have: a failing example becomes an explicit example.
    """
    shared = hypothesis.settings(
        deadline=None,
        database=None,
        suppress_health_check=[hypothesis.HealthCheck.too_slow],
        max_examples=examples(100),
    )
    hypothesis.settings.register_profile("fixed", shared, derandomize=True)
    hypothesis.settings.register_profile("fuzz", shared, derandomize=False, print_blob=True)
    hypothesis.settings.load_profile("fixed" if FUZZ_SEED is None else "fuzz")


def examples(count: int) -> int:
    """Return the number of examples of a property: `count`, and FACTOR times as many in `make fuzz`."""
    return count if FUZZ_SEED is None else count * FACTOR


def seeds(count: int) -> list[int]:
    """Return seeds for `random.Random`: 0 to `count - 1`, and FACTOR times as many fresh ones in `make fuzz`."""
    if FUZZ_SEED is None:
        return list(range(count))
    dice = random.Random(FUZZ_SEED)
    return [dice.randrange(10**9) for _ in range(count * FACTOR)]


def fuzzing_is_over() -> bool:
    """Return whether `make fuzz` has used up its time."""
    return FUZZ_SEED is not None and time.monotonic() > _ENDS
