"""How the tests derive the text of examples from messages."""

from __future__ import annotations

from app.dialects.markers import markers_of
from app.memory.examples import TextRules

#: The default markers, and no policies.
RULES = TextRules(markers_of(), {})
