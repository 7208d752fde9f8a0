"""Label sets: any file of the format is read, and no prompt is in both parts of a split."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from scripts.quality.label_sets import UnusableSet, load
from scripts.quality.split import Embedded, Split, list_prices, prices

HEAD = "prompt,task,bench,q:a,q:b,c:a,c:b\n"


def written(folder: Path, rows: list[str], head: str = HEAD, name: str = "set.csv") -> Path:
    path = folder / name
    text = head + "".join(f"{row}\n" for row in rows)
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return path


def complete(number: int = 30, task: str = "x") -> list[str]:
    return [f"prompt {i},{task}{i % 2},b,{i % 2},1,0.1,{i}" for i in range(number)]


def embedded(path: Path) -> Embedded:
    labels = load(path)
    vectors = np.random.default_rng(0).normal(size=(len(labels.prompts), 8)).astype(np.float16)
    return Embedded.of(labels, "test", vectors, np.arange(1, len(labels.prompts) + 1))


@pytest.mark.parametrize("name", ["set.csv", "set.csv.gz"])
def test_a_set_is_read_plain_and_compressed(tmp_path: Path, name: str) -> None:
    labels = load(written(tmp_path, complete(), name=name))
    assert (labels.name, len(labels.prompts), labels.models) == ("set", 30, ["a", "b"])
    assert labels.tasks is not None
    assert set(labels.tasks) == {"x0", "x1"}
    assert labels.quality[3].tolist() == [1.0, 1.0]
    assert labels.cost[3].tolist() == [0.1, 3.0]


def test_rows_of_the_same_prompt_become_one_with_the_mean_of_what_is_known(tmp_path: Path) -> None:
    labels = load(written(tmp_path, [*complete(), " prompt 3 ,x,b,0,,0.3,3", "prompt 3,x,b,,0.5,0.2,9"]))
    assert len(labels.prompts) == 30
    assert labels.quality[3].tolist() == [0.5, 0.75]
    assert labels.cost[3] == pytest.approx([0.2, 5.0])


def test_empty_cells_are_unknown_and_never_zero(tmp_path: Path) -> None:
    labels = load(written(tmp_path, [*complete(), "more,x,b,,1,0.1,", "other,x,b,nan,None,,1"]))
    assert len(labels.prompts) == 31
    assert np.isnan(labels.quality[30]).tolist() == [True, False]
    assert np.isnan(labels.cost[30]).tolist() == [False, True]
    assert not labels.complete[30]
    assert labels.notes == ("1 prompts without any score",)


def test_a_set_without_tasks_or_with_one_alone_has_none(tmp_path: Path) -> None:
    assert load(written(tmp_path, [f"p {i},1,0,0.1,0.2" for i in range(30)], "prompt,q:a,q:b,c:a,c:b\n")).tasks is None
    assert load(written(tmp_path, [row.replace("x0", "x1") for row in complete()])).tasks is None


def test_a_model_that_answered_too_little_is_left_out(tmp_path: Path) -> None:
    rows = [f"p {i},{i % 2},1,{'1' if i < 3 else ''},0.1,0.2,0.3" for i in range(40)]
    labels = load(written(tmp_path, rows, "prompt,q:a,q:b,q:rare,c:a,c:b,c:rare\n"))
    assert labels.models == ["a", "b"]
    assert labels.notes == ("rare left out: too few answers",)


def test_a_model_without_costs_is_left_out(tmp_path: Path) -> None:
    labels = load(written(tmp_path, [f"p {i},1,0,1,0.1,0.2" for i in range(30)], "prompt,q:a,q:b,q:n,c:a,c:b\n"))
    assert (labels.models, labels.notes) == (["a", "b"], ("no costs of n",))


@pytest.mark.parametrize(
    ("cells", "named"),
    [
        ("1.5,1,0.1,1", "q:a is '1.5'"),
        ("1,-1,0.1,1", "q:b"),
        ("1,1,-2,1", "c:a"),
        ("1,1,1,inf", "c:b"),
        ("x,1,1,1", "q:a"),
    ],
)
def test_a_cell_that_is_no_score_or_cost_is_named(tmp_path: Path, cells: str, named: str) -> None:
    with pytest.raises(UnusableSet, match=f"line 32: {named}"):
        load(written(tmp_path, [*complete(), f"bad,x,b,{cells}"]))


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    for head in ("text,q:a,q:b,c:a,c:b\n", "prompt,q:a,c:a\n", ""):
        with pytest.raises(UnusableSet, match="needs a column `prompt`"):
            load(written(tmp_path, ["1,1,1,1,1"], head))
    with pytest.raises(UnusableSet, match="3 prompts were answered by every model, 10 are needed"):
        load(written(tmp_path, complete(3)))


def test_what_is_asked_is_not_taught_and_was_answered_by_every_model(tmp_path: Path) -> None:
    data = embedded(written(tmp_path, [*complete(100), *(f"half {i},x,b,1,,0.1," for i in range(20))]))
    for seed in range(5):
        split = Split.of(data, seed)
        assert sorted([*split.taught, *split.asked]) == list(range(120))
        assert len(split.asked) == 20
        assert data.labels.complete[split.asked].all()


def test_the_default_and_the_cheapest_are_chosen_by_what_was_taught_alone(tmp_path: Path) -> None:
    data = embedded(written(tmp_path, complete(100)))
    split = Split.of(data, 0)
    before = split.strong, split.weak
    data.labels.quality[split.asked] = [1, 0]
    data.labels.cost[split.asked] = [1e9, 0]
    again = Split.of(data, 0)
    assert before == (again.strong, again.weak) == (1, 0)


def test_prices_and_answers_make_up_every_cost_exactly() -> None:
    rng = np.random.default_rng(1)
    lengths = rng.integers(1, 1000, 200)
    cost = np.stack([lengths * 1e-6 + rng.random(200) * 1e-4, rng.random(200), np.zeros(200)], axis=1)
    cost[5, 1] = np.nan
    tokens, prompt, completion = prices(lengths, cost)
    np.testing.assert_allclose(lengths[:, None] * prompt + tokens * completion, cost, rtol=1e-9, atol=1e-18)
    assert (tokens[np.isfinite(cost)] >= 0).all()
    assert prompt[0] == pytest.approx(1e-6, rel=0.1)
    assert (prompt[2], completion[2]) == (0, 0)


def test_a_list_price_is_the_mean_cost_of_a_model() -> None:
    cost = np.array([[1.0, 2.0], [3.0, np.nan]])
    tokens, prompt, completion = list_prices(np.array([10, 500]), cost)
    assert prompt.tolist() == [0, 0]
    np.testing.assert_allclose(tokens * completion, np.array([[2, 2], [2, np.nan]]))
