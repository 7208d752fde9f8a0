"""The commands of `pgrouter` with their arguments and options."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer.main

from app.cli import main
from scripts.docs.tables import code, sentence, table


def markdown() -> str:
    """Return a row for each command."""
    rows = [
        (code(f"pgrouter {' '.join((*words, *_arguments(command)))}"), " ".join(_options(command)), _summary(command))
        for words, command in commands(typer.main.get_command(main))
    ]
    return table(("command", "options", "what it does"), rows)


def commands(command: Any, *words: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield every command that is not a group, with the words that call it.

    Tested by attribute, because some versions of typer bring their own click.
    """
    if not hasattr(command, "commands"):
        yield words, command
        return
    for name, each in command.commands.items():
        yield from commands(each, *words, name)


def _arguments(command: Any) -> Iterator[str]:
    for each in command.params:
        if each.param_type_name == "argument":
            # A metavar may already have the brackets of an optional argument.
            name = (each.metavar or each.name.upper()).strip("[]…").rstrip("]")
            shown = f"{name}…" if each.nargs == -1 else name
            yield shown if each.required else f"[{shown}]"


def _options(command: Any) -> Iterator[str]:
    for each in command.params:
        if each.param_type_name != "argument" and "--help" not in each.opts:
            yield code("/".join((*each.opts, *each.secondary_opts)))


def _summary(command: Any) -> str:
    return sentence(command.help or "")
