"""Fills the generated sections of the documents.

A document marks a section by `<!-- generated: NAME -->` and `<!-- end -->`, each on a line of its own; the text between
them is replaced by the result of `markdown()` of `scripts/docs/sections/NAME.py` (`-` in the name is `_` in the file's
name). `python -m scripts.docs.generate` rewrites the documents in FILES.
"""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).parents[2]
#: The documents with generated sections.
FILES = ("app/README.md", "sql/README.md")

_SECTION = re.compile(r"^<!-- generated: ([a-z-]+) -->$.*?^<!-- end -->$", re.S | re.M)


def markdown(name: str) -> str:
    """Return the text of the section `name`. Raises `ModuleNotFoundError` for a name that has no module."""
    made: str = import_module(f"scripts.docs.sections.{name.replace('-', '_')}").markdown()
    return made.strip()


def filled(text: str) -> str:
    """Return a document with new generated sections."""
    return _SECTION.sub(lambda found: f"<!-- generated: {found[1]} -->\n{markdown(found[1])}\n<!-- end -->", text)


def names_in(text: str) -> list[str]:
    """Return the names of a document's generated sections."""
    return [found[1] for found in _SECTION.finditer(text)]


def main() -> None:
    """Rewrite the documents, and print which of them changed."""
    for name in FILES:
        path = ROOT / name
        before = path.read_text(encoding="utf-8")
        after = filled(before)
        if after != before:
            path.write_text(after, encoding="utf-8")
        print(f"{name}: {'written' if after != before else 'unchanged'}")


if __name__ == "__main__":
    main()
