"""The embedder that calls an OpenAI-compatible endpoint with the `openai` package."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from openai import APIConnectionError, APIStatusError, APITimeoutError, AsyncOpenAI, BadRequestError, OpenAIError
from openai.types import CreateEmbeddingResponse

from ...errors import ConfigurationError
from .base import EmbeddingFailed, Paid, replace_surrogates

NATIVE = {"text-embedding-3-small": 1536, "text-embedding-3-large": 3072, "text-embedding-ada-002": 1536}
# Models trained so that a prefix of a vector is a vector too; the endpoint's `dimensions` truncates in the same way.
MATRYOSHKA = "text-embedding-3-"
READ_BYTES = 24_000
"""Bytes of a text that are sent, head and tail of a longer one; under 8,191 tokens of 3 bytes on average."""
TIMEOUT = 30.0


class RemoteEmbedder:
    """Embedder over the network: up to 2,048 texts per request, two attempts of 30 s each.

    Requests vectors of the database's width, or of the model's dimensions if those are fewer. The key is
    `ROUTER_EMBEDDING_API_KEY`, else `OPENAI_API_KEY`; the URL is `url`, else `OPENAI_BASE_URL`, else OpenAI's.
    """

    quick = False

    def __init__(self, model: str, width: int, url: str | None = None) -> None:
        url = url or os.environ.get("OPENAI_BASE_URL") or None
        key = os.environ.get("ROUTER_EMBEDDING_API_KEY") or os.environ.get("OPENAI_API_KEY")
        if not key and url is None:
            raise ConfigurationError(
                f"ROUTER_EMBEDDER=openai:{model} needs a key: set ROUTER_EMBEDDING_API_KEY or OPENAI_API_KEY, "
                "or ROUTER_EMBEDDING_URL to a server that needs none."
            )
        self.dimensions = min(NATIVE.get(model, width), width)
        self.name = f"openai:{model}@{self.dimensions}"
        self.model = model
        self._width = width
        self._sends_dimensions = True
        # The client requires a key, even for a local server that needs none.
        self._client = AsyncOpenAI(api_key=key or "none", base_url=url, max_retries=1, timeout=TIMEOUT)
        # Accessed here, because the first access imports it: half a second of the first request's deadline.
        self._embeddings = self._client.embeddings

    async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return unit vectors, shape (len(texts), dimensions), padded with zeros. Raises `EmbeddingFailed`."""
        return await self.embed_billed(texts, None)

    async def embed_billed(self, texts: Sequence[str], paid: Paid | None) -> NDArray[np.float32]:
        """Return vectors as `embed` does, and call `paid` with the tokens that the endpoint reports.

        If it reports none, four bytes count as a token.
        """
        if not texts:
            return np.zeros((0, self.dimensions), np.float32)
        try:
            sent = [_truncate(text) for text in texts]
            reply = await self._request(sent)
            if paid is not None:
                paid(_tokens(reply) or sum(len(text.encode()) for text in sent) // 4)
            vectors = [item.embedding for item in sorted(reply.data, key=lambda item: item.index)]
        except APITimeoutError:
            raise EmbeddingFailed(f"{self.name}: no answer from {self._host} within {TIMEOUT:g} s") from None
        except APIConnectionError as error:
            raise EmbeddingFailed(
                f"{self.name}: cannot reach {self._host} ({type(error.__cause__).__name__})"
            ) from None
        except APIStatusError as error:
            # The endpoint's message may quote the text, so only the status is reported.
            raise EmbeddingFailed(f"{self.name}: {self._host} answered {error.status_code}") from None
        except (OpenAIError, ValueError, TypeError) as error:
            raise EmbeddingFailed(f"{self.name}: {self._host} sent no embeddings ({type(error).__name__})") from None
        if len(vectors) != len(texts):
            raise EmbeddingFailed(f"{self.name}: {self._host} sent {len(vectors)} vectors for {len(texts)} texts")
        return np.stack([self._to_unit_vector(vector) for vector in vectors])

    async def close(self) -> None:
        """Close the client's connections."""
        await self._client.close()

    async def _request(self, texts: list[str]) -> CreateEmbeddingResponse:
        if self._sends_dimensions:
            try:
                return await self._embeddings.create(model=self.model, input=texts, dimensions=self.dimensions)
            except BadRequestError:
                # Some servers reject the parameter. If the request has another fault, it fails again below.
                pass
        reply = await self._embeddings.create(model=self.model, input=texts)
        self._sends_dimensions = False
        return reply

    def _to_unit_vector(self, values: list[float]) -> NDArray[np.float32]:
        vector = np.asarray(values, np.float32)
        if vector.ndim != 1 or not np.isfinite(vector).all():
            raise EmbeddingFailed(f"{self.name}: {self._host} sent a vector that is not a list of finite numbers")
        if len(vector) > self.dimensions:
            if not self.model.startswith(MATRYOSHKA):
                raise EmbeddingFailed(
                    f"{self.name}: its vectors have {len(vector)} dimensions and cannot be shortened; "
                    f"the database's column holds {self._width}"
                )
            vector = vector[: self.dimensions]
        row = np.zeros(self.dimensions, np.float32)
        row[: len(vector)] = vector
        length = float(np.linalg.norm(row))
        return row / length if length > 0 else row

    @property
    def _host(self) -> str:
        return self._client.base_url.host


def _tokens(reply: CreateEmbeddingResponse) -> int:
    """Return the tokens that an endpoint reports; 0: it reports none."""
    reported = getattr(reply.usage, "prompt_tokens", None)
    return reported if isinstance(reported, int) and reported > 0 else 0


def _truncate(text: str) -> str:
    # In bytes, because a character outside ASCII has two to four bytes and takes a token or more.
    data = replace_surrogates(text).encode()
    if len(data) <= READ_BYTES:
        return data.decode()
    half = READ_BYTES // 2
    return data[:half].decode(errors="ignore") + "\n" + data[-half:].decode(errors="ignore")
