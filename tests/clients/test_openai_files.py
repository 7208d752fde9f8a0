"""OpenAI's official client on files, images, audio, moderations and batches."""

from __future__ import annotations

from collections.abc import AsyncIterator

import openai
import pytest

from scripts.fake_provider.media import SPEECH
from scripts.fake_provider.server import ANSWER
from tests.support.clients import Front

#: Line ends, the beginning of a boundary, and bytes that are not text.
CONTENT = b'{"a":1}\r\n--\r\n' + bytes(range(256)) * 400


@pytest.fixture
async def client(front: Front) -> AsyncIterator[openai.AsyncOpenAI]:
    async with front.openai() as client:
        yield client


async def test_a_file_comes_back_as_it_was_sent(client: openai.AsyncOpenAI) -> None:
    file = await client.files.create(file=("café.jsonl", CONTENT), purpose="batch")
    assert (file.filename, file.bytes) == ("café.jsonl", len(CONTENT))
    assert (await client.files.retrieve(file.id)).id == file.id
    assert (await client.files.content(file.id)).content == CONTENT


async def test_files_are_listed_page_by_page_until_deleted(client: openai.AsyncOpenAI) -> None:
    made = {(await client.files.create(file=("a.txt", b"a"), purpose="evals")).id for _ in range(3)}
    assert made == {file.id async for file in client.files.list(purpose="evals", limit=2)}
    for identifier in made:
        assert (await client.files.delete(identifier)).deleted
    assert [file.id async for file in client.files.list(purpose="evals")] == []


async def test_a_file_that_is_not_there_is_not_found(client: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="No such object: file-never"):
        await client.files.retrieve("file-never")


async def test_a_large_file_is_uploaded_in_parts(client: openai.AsyncOpenAI) -> None:
    upload = await client.uploads.upload_file_chunked(
        file=CONTENT, filename="a.bin", bytes=len(CONTENT), mime_type="text/plain", purpose="batch", part_size=40_000
    )
    assert (upload.status, upload.file is not None) == ("completed", True)
    assert upload.file is not None
    assert (await client.files.content(upload.file.id)).content == CONTENT


async def test_a_batch_of_an_uploaded_file_is_made_and_cancelled(client: openai.AsyncOpenAI) -> None:
    file = await client.files.create(file=("a.jsonl", CONTENT), purpose="batch")
    batch = await client.batches.create(
        input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h", metadata={"a": "é"}
    )
    assert (await client.batches.retrieve(batch.id)).metadata == {"a": "é"}
    assert (await client.batches.cancel(batch.id)).status == "cancelling"
    assert batch.id in [listed.id async for listed in client.batches.list()]


async def test_speech_comes_as_bytes_whole_and_streamed(client: openai.AsyncOpenAI) -> None:
    whole = await client.audio.speech.create(model="gpt-4o-mini-tts", voice="alloy", input="Hello")
    assert await whole.aread() == SPEECH
    async with client.audio.speech.with_streaming_response.create(
        model="gpt-4o-mini-tts", voice="alloy", input="Hello"
    ) as streamed:
        assert b"".join([chunk async for chunk in streamed.iter_bytes()]) == SPEECH


async def test_a_recording_is_transcribed(client: openai.AsyncOpenAI) -> None:
    recording = ("a.wav", b"RIFF" + CONTENT)
    heard = await client.audio.transcriptions.create(model="whisper-1", file=recording)
    plain = await client.audio.transcriptions.create(model="whisper-1", file=recording, response_format="text")
    assert (heard.text, plain) == (ANSWER, f"{ANSWER}\n")


async def test_pictures_are_made_and_edited(client: openai.AsyncOpenAI) -> None:
    made = await client.images.generate(model="gpt-image-1", prompt="a café", n=2)
    assert [bool(picture.b64_json) for picture in made.data or []] == [True, True]
    edited = await client.images.edit(model="gpt-image-1", prompt="a café", image=("a.png", CONTENT))
    assert len(edited.data or []) == 1


async def test_moderations_say_what_is_bad(client: openai.AsyncOpenAI) -> None:
    said = await client.moderations.create(input=["a café", "violence"])
    assert [result.flagged for result in said.results] == [False, True]
    assert said.results[1].categories.violence
