"""The demo's examples: number, format, and the pattern of their scores."""

from __future__ import annotations

import re
from collections import Counter
from statistics import mean

import pytest

from app.demo.dataset import KINDS, examples, memory, showcase
from app.demo.models import DEMO_MODELS, MODELS
from app.demo.samples import SAMPLES
from app.dialects.tokens import estimate

SMALL, MEDIUM, LARGE = MODELS
#: The kinds on which the small model is good, and those on which it mostly fails.
EASY, HARD = KINDS[:4], KINDS[4:]


def test_38_examples_of_each_kind_are_taught_and_three_are_for_show() -> None:
    assert Counter(example.kind for example in memory()) == dict.fromkeys(KINDS, 38)
    assert Counter(example.kind for example in showcase()) == dict.fromkeys(KINDS, 3)
    assert len(memory()) + len(showcase()) == len(examples())


def test_ids_and_prompts_are_unique_and_ids_name_their_kind() -> None:
    assert len({example.id for example in examples()}) == len({example.prompt for example in examples()}) == 328
    assert all(re.fullmatch(rf"{example.kind.replace('_', '-')}-\d\d", example.id) for example in examples())


def test_no_two_prompts_begin_alike() -> None:
    openings = Counter(" ".join(example.prompt.lower().split()[:5]) for example in examples())
    assert max(openings.values()) == 1


def test_every_example_has_an_answer_of_every_model_with_a_score_and_its_own_tokens() -> None:
    for example in examples():
        assert tuple(example.answers) == MODELS
        for answer in example.answers.values():
            assert answer.text.strip()
            assert 0 <= answer.score <= 1
            assert answer.tokens == max(1, round(estimate(answer.text)))


@pytest.mark.parametrize("kind", KINDS)
def test_the_small_model_does_well_on_the_easy_kinds_and_fails_on_most_of_the_hard_ones(kind: str) -> None:
    scores = {
        model: mean(example.answers[model].score for example in memory() if example.kind == kind) for model in MODELS
    }
    assert scores[LARGE] > 0.9
    assert (scores[SMALL] > 0.8) == (kind in EASY)
    assert (scores[SMALL] <= 0.5) == (kind in HARD)


def test_there_are_exceptions_in_both_directions() -> None:
    easy_failed = [e for e in memory() if e.kind in EASY and e.answers[SMALL].score <= 0.25]
    hard_solved = [e for e in memory() if e.kind in HARD and e.answers[SMALL].score == 1]
    worse_for_more = [e for e in memory() if e.answers[LARGE].score < e.answers[SMALL].score]
    assert len(easy_failed) >= 5
    assert len(hard_solved) >= 20
    assert len(worse_for_more) >= 15


def test_the_models_are_listed_from_cheap_to_dear() -> None:
    prices = [(model.input_price, model.output_price) for model in DEMO_MODELS]
    assert prices == sorted(prices)
    assert 10 <= prices[-1][0] / prices[0][0] <= 30


def test_samples_send_showcase_prompts_and_each_shows_something_else() -> None:
    assert {sample.example.split for sample in SAMPLES} == {"showcase"}
    assert [(sample.model, sample.reason) for sample in SAMPLES] == [
        (SMALL, "learned"),
        (LARGE, "learned"),
        (LARGE, "capability"),
    ]
