"""The error objects of both APIs."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import TypedDict


class ErrorDetails(TypedDict):
    """The fields of an error."""

    message: Annotated[str, Field(description="What is wrong, for people.")]
    type: Annotated[str, Field(description="The class of the error, for example `invalid_request_error`.")]
    param: Annotated[str | None, Field(description="The field or header that is wrong.")]
    code: Annotated[str | None, Field(description="The error's identifier, for programs.")]


class Error(TypedDict):
    """OpenAI's error object."""

    error: ErrorDetails


class AnthropicErrorDetails(TypedDict):
    """The fields of an error in Anthropic's shape."""

    type: Annotated[str, Field(description="The class of the error, for example `not_found_error`.")]
    message: Annotated[str, Field(description="What is wrong, for people.")]


class AnthropicError(TypedDict):
    """Anthropic's error object."""

    type: Literal["error"]
    error: AnthropicErrorDetails
