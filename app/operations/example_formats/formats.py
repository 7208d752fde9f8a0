"""The list of formats, and the recognition of a file's format by its fields."""

from __future__ import annotations

from ...errors import BadRequest
from .answers import ANSWERS, EVALS
from .arena import ARENA
from .base import Format
from .langfuse import LANGFUSE
from .langsmith import LANGSMITH
from .native import EXAMPLES, TABLE
from .promptfoo import PROMPTFOO
from .records import Sample
from .wide import ROUTELLM, ROUTERBENCH

FORMATS = (EXAMPLES, TABLE, ARENA, ROUTERBENCH, ROUTELLM, PROMPTFOO, LANGFUSE, LANGSMITH, ANSWERS, EVALS)
BY_NAME = {each.name: each for each in FORMATS}


def recognised(sample: Sample, name: str | None) -> Format:
    """Return the format of this name, None: the only one that fits. Raises `BadRequest` with the list of formats."""
    if name is not None:
        return BY_NAME[name]
    found = [each for each in FORMATS if each.matches(sample)]
    if len(found) == 1:
        return found[0]
    if found:
        names = " and ".join(each.name for each in found)
        raise BadRequest(f"the file could be {names}: choose with --format NAME.", param="format")
    shown = ", ".join(sorted(sample.fields)[:12]) or "none"
    raise BadRequest(
        f"no format is recognised by the fields of the {'header' if sample.table else 'first object'} ({shown[:300]}). "
        f"Formats are: {'; '.join(f'{each.name}: {each.shape}' for each in FORMATS)}.",
        param="format",
    )


def is_known(sample: Sample) -> bool:
    """Whether a format fits."""
    return any(each.matches(sample) for each in FORMATS)
