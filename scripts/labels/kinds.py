"""Kinds of prompts that differ in their words, for label sets of known structure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """A latent kind of prompts, on which models differ in quality.

    `patterns` are sentences with placeholders `{thing}`, `{other}`, `{quality}`, `{place}` and `{number}`. The first
    two are filled with `words` of the kind, the others with words that all kinds share.
    """

    name: str
    #: Kinds of the same bench are similar, so that a shared memory of one may help another.
    bench: str
    #: Typical tokens of an answer; the actual number is half to twice this.
    answer: int
    patterns: tuple[str, ...]
    words: tuple[str, ...]


QUALITIES = ("short", "careful", "simple", "detailed", "friendly", "formal", "modern", "clear", "plain", "thorough")
PLACES = ("Lyon", "Porto", "Graz", "Turku", "Leeds", "Bergen", "Gdansk", "Utrecht", "Malmo", "Ghent", "Basel", "Split")

KINDS = (
    Kind(
        "kitchen",
        "household",
        220,
        (
            "Write a {quality} recipe for {thing} with {other} that feeds {number} people.",
            "My {thing} came out dry. How do I save it with {other}, and what goes with it in {place}?",
            "Plan {number} dinners around {thing} and {other} for a family that has little time.",
        ),
        (
            "risotto", "pancakes", "lentil soup", "roast chicken", "dumplings", "apple pie", "flatbread",
            "mushroom stew", "omelette", "caramel sauce", "pickled cabbage", "baked salmon", "chickpea curry", "gravy",
            "shortbread",
        ),
    ),
    Kind(
        "garden",
        "household",
        160,
        (
            "When do I sow {thing} near {place}, and may it stand beside {other}?",
            "The leaves of my {thing} turn yellow after {number} days of rain. Is the {other} to blame?",
            "Draw up a {quality} plan of a bed with {thing}, {other} and {number} other plants.",
        ),
        (
            "tomatoes", "runner beans", "lavender", "courgettes", "strawberries", "rhubarb", "sunflowers", "radishes",
            "compost", "mulch", "aphids", "hedge cuttings", "raspberry canes", "tulip bulbs", "seedlings",
        ),
    ),
    Kind(
        "letters",
        "office",
        140,
        (
            "Rewrite this in a {quality} tone: we regret that the {thing} of your {other} is {number} days late.",
            "Draft a {quality} message to a client in {place} about the {thing} and the {other}.",
            "Summarise in {number} sentences what the {thing} means for the {other} of our team.",
        ),
        (
            "invoice", "delivery", "contract renewal", "refund", "appointment", "newsletter", "complaint", "quotation",
            "meeting notes", "press release", "warranty", "job offer", "travel report", "reminder", "agenda",
        ),
    ),
    Kind(
        "algebra",
        "mathematics",
        320,
        (
            "Prove that the {thing} of a {other} of order {number} is unique.",
            "Let f(x) = {number}x^3 - 7x. Find the {thing} and explain what the {other} tells of it.",
            "Compute the {thing} of the {other} with entries up to {number}, step by step.",
        ),
        (
            "determinant", "eigenvalue", "polynomial", "matrix", "derivative", "integral", "residue", "inverse",
            "factorisation", "limit", "kernel", "quadratic form", "recurrence", "generating function", "norm",
        ),
    ),
    Kind(
        "arithmetic",
        "mathematics",
        90,
        (
            "A shop in {place} sells {number} {thing} at 3 euros each and {number} {other} at half. How much is it?",
            "{number} trucks carry {thing} and twice as many carry {other}. How many loads are that in {number} days?",
            "If {number} workers pack the {thing} in 6 hours, how long do 4 workers take for the {other}?",
        ),
        (
            "crates", "tickets", "bottles", "tiles", "notebooks", "barrels", "lamps", "parcels", "bricks", "baskets",
            "chairs", "pencils", "tyres", "blankets", "coins",
        ),
    ),
    Kind(
        "debugging",
        "software",
        260,
        (
            "This Python {thing} raises a KeyError after {number} calls, but only when the {other} is empty. Why?",
            "Write a {quality} unit test for the {thing} that mocks the {other} and runs {number} times.",
            "The {thing} in our service leaks memory: {number} MB an hour since the {other} was changed.",
        ),
        (
            "iterator", "cache", "decorator", "thread pool", "parser", "generator", "socket", "coroutine", "hash map",
            "logger", "serializer", "retry loop", "subprocess", "queue", "context manager",
        ),
    ),
    Kind(
        "databases",
        "software",
        180,
        (
            "Write SQL that lists the {thing} of each {other} with more than {number} rows.",
            "Why does Postgres scan all of the {thing} although the {other} has an index of {number} MB?",
            "Design {quality} tables for the {thing} and the {other} of {number} tenants.",
        ),
        (
            "orders", "foreign keys", "partition", "materialised view", "join", "transaction", "customers",
            "window function", "constraint", "replica", "trigger", "primary key", "subquery", "audit log", "vacuum",
        ),
    ),
    Kind(
        "clauses",
        "law",
        240,
        (
            "Does this clause let the tenant in {place} end the {thing} after {number} days despite the {other}?",
            "Which party bears the {thing} when the {other} fails within {number} months? Quote the wording.",
            "Explain in {quality} words how the {thing} limits the {other} to {number} percent.",
        ),
        (
            "lease", "indemnity", "liability cap", "notice period", "non-compete", "arbitration", "force majeure",
            "licence grant", "escrow", "penalty", "assignment", "jurisdiction", "severability", "deposit", "waiver",
        ),
    ),
)  # fmt: skip
