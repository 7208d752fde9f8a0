"""pgrouter: a drop-in OpenAI base URL that learns which prompts a cheaper model answers well enough."""

__version__ = "0.1.0"
