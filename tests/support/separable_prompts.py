"""Prompts of two kinds: the cheap model is good at one and bad at the other."""

from __future__ import annotations

import random
from typing import Any

_CITIES = ("Lyon", "Porto", "Graz", "Turku", "Leeds", "Bergen", "Gdansk", "Utrecht", "Malmo", "Ghent")
_DISHES = ("soup", "bread", "stew", "salad", "curry", "pancakes", "omelette", "risotto", "dumplings", "pie")
_MOODS = ("short", "cheerful", "simple", "friendly", "polite", "warm")
_OBJECTS = ("matrix", "polynomial", "integral", "determinant", "eigenvalue", "limit", "derivative", "sequence")


def easy(seed: int) -> str:
    """Return a prompt about travel or food."""
    pick = random.Random(seed)
    return (
        f"Write a {pick.choice(_MOODS)} postcard from {pick.choice(_CITIES)} about the {pick.choice(_DISHES)} "
        f"we ate there with {pick.randint(2, 9)} friends."
    )


def hard(seed: int) -> str:
    """Return a prompt of mathematics."""
    pick = random.Random(seed)
    return (
        f"Prove that the {pick.choice(_OBJECTS)} of the {pick.choice(_OBJECTS)} f(x) = {pick.randint(2, 99)}x^"
        f"{pick.randint(2, 9)} + {pick.randint(2, 99)} converges, and compute its {pick.choice(_OBJECTS)}."
    )


def lessons(count: int = 120, cheap: str = "cheap", strong: str = "strong") -> list[dict[str, Any]]:
    """Return `count` examples, half of each kind: the strong model is always right, the cheap one on easy prompts."""
    kinds = ((easy, 1.0), (hard, 0.0))
    return [
        {"prompt": kind(seed), "scores": {cheap: score, strong: 1.0}}
        for seed in range(count // 2)
        for kind, score in kinds
    ]
