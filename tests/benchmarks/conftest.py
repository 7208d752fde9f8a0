"""Benchmarks run on generated label sets, even if the machine has others."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from scripts.labels.files import GENERATED


@pytest.fixture(scope="session", autouse=True)
def generated_label_sets() -> Iterator[None]:
    """Set BENCH_DATA for this process and those it starts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BENCH_DATA", GENERATED)
        yield
