"""Which models can serve a request at all: the API, tools, images, sound, JSON schema, reasoning, length."""

from __future__ import annotations

from app.dialects import Dialect, Reading
from app.entities import Model

#: An estimate of tokens may be this much too low before a context window overflows.
MARGIN = 1.2


def able(model: Model, dialect: Dialect, reading: Reading, tokens: int) -> bool:
    """Whether `model` can serve a request of so many prompt tokens.

    What is not known of a model is taken as a yes: the provider will say.
    """
    limit = (reading.limit or 0) // reading.answers
    return not (
        dialect.name not in model.provider.speaks
        or (reading.tools and model.tools is False)
        or (reading.parallel_tools and model.parallel_tools is False)
        or (reading.vision and model.vision is False)
        or (reading.audio and model.audio is False)
        or (reading.json_schema and model.json_schema is False)
        or (reading.reasoning and model.reasoning is False)
        or (model.context_window is not None and tokens * MARGIN + limit > model.context_window)
        or (model.max_output is not None and limit > model.max_output)
    )
