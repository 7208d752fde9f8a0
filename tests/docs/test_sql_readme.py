"""sql/README.md, and the comments in the catalogue, which it repeats."""

from __future__ import annotations

import re

import asyncpg
import pytest

from scripts.docs.sql_functions import README, SQL, catalogue, errors_of, first_sentence, written
from tests.support.databases import blocking

Rows = list[asyncpg.Record]


@pytest.fixture
def found(database: str) -> tuple[Rows, Rows]:
    """The functions and the views of a migrated database."""
    return blocking(lambda: catalogue(database))


def test_the_tables_are_as_make_docs_writes_them(found: tuple[Rows, Rows]) -> None:
    text = README.read_text(encoding="utf-8")
    assert written(text, *found) == text


def test_every_comment_begins_with_a_line_that_is_a_sentence(found: tuple[Rows, Rows]) -> None:
    short = [row["name"] for rows in found for row in rows if not first_sentence(row["comment"]).endswith(".")]
    assert short == []


def test_a_comment_names_every_error_that_its_function_raises(found: tuple[Rows, Rows]) -> None:
    comments = {row["name"]: row["comment"] for row in found[0]}
    for path in SQL.rglob("*.sql"):
        raised = set(re.findall(r"errcode = '(\w+)'", path.read_text(encoding="utf-8")))
        name = path.name.partition(".")[0]
        assert raised <= set(errors_of(comments.get(name, "")).split(", ")), name


def test_the_table_of_errors_names_those_that_are_raised() -> None:
    raised = {
        code for path in SQL.rglob("*.sql") for code in re.findall(r"'(RT\d{3})'", path.read_text(encoding="utf-8"))
    }
    assert set(re.findall(r"^\| `(RT\d{3})` ", README.read_text(encoding="utf-8"), re.MULTILINE)) == raised
