"""The generated sections of the documents are up to date, and their tables are complete."""

from __future__ import annotations

from dataclasses import fields

import pytest

from app.settings import Settings
from app.settings.others import OTHERS
from app.settings.process import variables
from scripts.docs.generate import FILES, ROOT, filled, names_in
from scripts.docs.sections.reasons import REASONS
from tests.support.sql_world import World


@pytest.mark.parametrize("name", FILES)
def test_the_generated_sections_are_up_to_date(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    assert names_in(text), f"{name} has no generated section"
    assert filled(text) == text, f"{name} is out of date: run `make docs`"


def test_every_section_is_in_a_document() -> None:
    there = {path.stem.replace("_", "-") for path in (ROOT / "scripts/docs/sections").glob("[a-z]*.py")}
    assert there == {section for name in FILES for section in names_in((ROOT / name).read_text(encoding="utf-8"))}


def test_a_section_is_replaced_and_what_surrounds_it_stays() -> None:
    text = "before\n<!-- generated: reasons -->\nold\n<!-- end -->\nafter\n"
    made = filled(text)
    assert made.startswith("before\n<!-- generated: reasons -->\n| reason |")
    assert made.endswith("|\n<!-- end -->\nafter\n")
    assert filled(made) == made


def test_every_setting_but_the_demo_has_a_variable_of_its_own() -> None:
    assert {each.name for each in fields(Settings)} - set(variables()) == {"demo"}
    names = [variable.name for variable in (*variables().values(), *OTHERS)]
    assert len(names) == len(set(names))


async def test_the_reasons_are_the_labels_of_the_enumeration(world: World) -> None:
    labels = await world.owner.fetchval("select enum_range(null::router.reason)::text[]")
    assert set(labels) == set(REASONS)
