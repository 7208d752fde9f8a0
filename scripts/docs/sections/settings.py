"""The environment variables of the process, with defaults and ranges."""

from __future__ import annotations

from app.settings import Settings
from app.settings.others import OTHERS
from app.settings.process import variables
from scripts.docs.tables import code, table


def markdown() -> str:
    """Return a row for each variable: those of `Settings`, then those read elsewhere."""
    defaults = Settings()
    rows = [
        (code(variable.name), _default(getattr(defaults, field), variable.default), variable.kind.range, variable.help)
        for field, variable in variables().items()
    ]
    rows += [
        (code(variable.name), _default(None, variable.default), variable.kind.range, variable.help)
        for variable in OTHERS
    ]
    return table(("variable", "default", "range", "meaning"), rows)


def _default(value: object, shown: str | None) -> str:
    if shown is not None:
        return shown if "`" in shown or " " in shown or "'" in shown else code(shown)
    if value is None:
        return ""
    if isinstance(value, bool):
        return code(int(value))
    return code(f"{value:.10g}" if isinstance(value, int | float) else value)
