"""The label sets of benchmarks: where they are found, and the known structure of generated ones."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from scripts.labels import files, generator
from scripts.labels.kinds import KINDS
from scripts.quality.label_sets import load
from scripts.support import corpus


def test_bench_data_names_a_folder_of_label_sets(tmp_path: Path) -> None:
    for name in ("b.csv.gz", "a.csv", "notes.txt"):
        (tmp_path / name).touch()
    assert files.label_files({"BENCH_DATA": str(tmp_path)}) == [tmp_path / "a.csv", tmp_path / "b.csv.gz"]


def test_a_folder_without_label_sets_is_named(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=f"BENCH_DATA={tmp_path}: there is no label set"):
        files.label_files({"BENCH_DATA": str(tmp_path)})


def test_without_bench_data_the_folder_beside_the_repository_is_taken_if_it_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "FOLDER", tmp_path)
    assert files.label_files({}) == list(files.generated())
    (tmp_path / "a.csv.gz").touch()
    assert files.label_files({}) == [tmp_path / "a.csv.gz"]
    assert files.label_files({"BENCH_DATA": "generated"}) == list(files.generated())


def test_generated_sets_can_be_measured_whole() -> None:
    found = [load(path) for path in files.generated()]
    assert [(each.name, len(each.prompts), len(each.models)) for each in found][1:] == [
        ("pair", 6_000, 2),
        ("six", 3_000, 6),
    ]
    assert found[0].name == "demo"
    assert len(found[0].prompts) >= 250
    assert all(each.notes == () and each.tasks for each in found)
    assert found[1].complete.all()
    assert 0.8 < found[2].complete.mean() < 0.95


def test_the_same_arguments_make_the_same_bytes(tmp_path: Path) -> None:
    one, same, other = (
        generator.write(tmp_path / f"{number}.csv.gz", generator.rows(50, generator.SIX, seed=seed)).read_bytes()
        for number, seed in enumerate((1, 1, 2))
    )
    assert one == same != other


def test_a_model_is_right_as_often_as_its_skill_says(tmp_path: Path) -> None:
    labels = load(generator.write(tmp_path / "pair.csv.gz", generator.rows(6_000, generator.PAIR, seed=3)))
    assert labels.tasks is not None
    tasks = np.array(labels.tasks)
    for kind in KINDS:
        measured = labels.quality[tasks == kind.name].mean(axis=0)
        known = [candidate.right(kind) for candidate in generator.PAIR]
        np.testing.assert_allclose(measured, known, atol=0.08)


def test_a_router_that_knows_the_kind_gains_over_every_mixture_of_single_models(tmp_path: Path) -> None:
    labels = load(generator.write(tmp_path / "pair.csv.gz", generator.rows(4_000, generator.PAIR, seed=4)))
    assert labels.tasks is not None
    small, large = labels.quality.mean(axis=0)
    cheap, dear = labels.cost.mean(axis=0)
    by_kind = {kind.name: int(generator.PAIR[0].right(kind) < 0.8) for kind in KINDS}
    chosen = np.array([by_kind[task or ""] for task in labels.tasks])
    rows = np.arange(len(chosen))
    quality, cost = labels.quality[rows, chosen].mean(), labels.cost[rows, chosen].mean()
    blend = small + (large - small) * (cost - cheap) / (dear - cheap)
    assert quality - blend > 0.07


def test_kinds_have_words_of_their_own() -> None:
    words = defaultdict(set)
    for kind in KINDS:
        for word in kind.words:
            words[word].add(kind.name)
    assert all(len(kinds) == 1 for kinds in words.values())


def test_the_memorys_models_are_the_cheapest_the_middle_and_the_dearest() -> None:
    row = {"prompt": "p", "c:b": "2", "c:a": "1", "c:d": "", "c:c": "3"}
    assert corpus.by_cost([row, {**row, "c:d": "9"}]) == ("a", "c", "d")
    assert corpus.by_cost([{"c:b": "2", "c:a": "1"}]) == ("a", None, "b")
