"""The benchmark of certificates runs from end to end on a label set and writes its rows."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import orjson
import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.server
def test_every_share_is_measured_with_and_without_tuning(server_dsn: str, tmp_path: Path) -> None:
    rng = random.Random(1)
    lines = ["prompt,q:small,q:large,c:small,c:large"]
    for number in range(240):
        easy = number % 2 == 0
        text = f"{'Translate the word' if easy else 'Prove the theorem about'} {rng.randrange(10**6)}"
        lines.append(f"{text},{int(easy or rng.random() < 0.3)},{int(rng.random() < 0.95)},0.0001,0.001")
    (tmp_path / "topics.csv").write_text("\n".join(lines))
    rows = tmp_path / "rows.json"
    arguments = ["--quick", "--only", str(tmp_path / "topics.csv"), "--draws", "2", "--memory", "120"]
    subprocess.run(
        [sys.executable, "scripts/bench_certificate.py", *arguments, "--json", str(rows)],
        cwd=ROOT, env=os.environ | {"TEST_DATABASE_URL": server_dsn}, check=True, capture_output=True, timeout=100,
    )  # fmt: skip
    found = {(r["metric"], r["params"]["at most"], r["params"]["tuned"]): r for r in orjson.loads(rows.read_bytes())}
    assert {key[0] for key in found} == {"broken", "certified", "measured", "real", "cost"}
    assert {key[1:] for key in found} == {(share, tuned) for share in (0.02, 0.05, 0.1) for tuned in ("no", "yes")}
    # 60 tested rows support 5% if at most one of them is worse, and never 2%.
    assert found["certified", 0.02, "no"]["value"] == 0
    assert found["certified", 0.1, "no"]["value"] == 1
    assert found["cost", 0.1, "no"]["value"] < 0.9
    assert found["broken", 0.1, "no"]["holds"]
