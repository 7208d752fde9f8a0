"""The settings of a policy, with defaults and ranges."""

from __future__ import annotations

from app.policy_settings import POLICY_SETTINGS
from scripts.docs.tables import code, table


def markdown() -> str:
    """Return a row for each setting, in the order of the SQL type `policy_settings`."""
    rows = []
    for setting in POLICY_SETTINGS.values():
        default = setting.default if isinstance(setting.default, str) else f"{setting.default:.10g}"
        allowed = ", ".join(setting.choices) or setting.brief_range
        rows.append(
            (code(setting.name), code(setting.option), code(setting.variable), code(default), allowed, setting.help)
        )
    return table(("setting", "option of `policy put`", "variable", "default", "range", "meaning"), rows)
