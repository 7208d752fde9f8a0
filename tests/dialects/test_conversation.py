"""What identifies a conversation, and what must not."""

from __future__ import annotations

from typing import Any

import pytest

from app.dialects import CHAT, MESSAGES, RESPONSES, ParsedRequest
from app.dialects.conversation import continues, conversation_of
from app.dialects.markers import markers_of
from app.routing.options import RoutingOptions
from tests.support.agents import AGENTS, sessions

MARKERS = markers_of()
SYSTEM = {"role": "system", "content": "Be brief."}
ANSWER = {"role": "assistant", "content": "Yes."}
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


def key_of(request: ParsedRequest, name: str | None = None, task: str | None = None) -> bytes:
    return conversation_of(request, MARKERS, name, None, task).key


def key(*messages: dict[str, Any], name: str | None = None, task: str | None = None, **body: Any) -> bytes:
    return key_of(CHAT.read({"messages": list(messages), **body}), name, task)


def test_a_conversation_keeps_its_key_as_it_grows() -> None:
    opening = [SYSTEM, user("hello")]
    first = key(*opening)
    assert len(first) == 16
    assert key(*opening, ANSWER, user("more")) == first
    assert key(SYSTEM, user("hello!")) != first


def test_a_named_conversation_is_its_name_and_tasks_are_kept_apart() -> None:
    assert key(user("a"), name="c-1") == key(user("b"), name="c-1") == key(user("b"), name="c-1", user="kim")
    assert key(user("a"), name="c-1") != key(user("a"), name="c-2")
    assert key(user("a"), name="c-1", task="sql") != key(user("a"), name="c-1")
    assert key(user("a"), task="sql") != key(user("a"))


def test_only_an_answer_makes_a_request_continue() -> None:
    assert not continues(CHAT.read({"messages": [SYSTEM, user("a"), user("b")]}))
    assert continues(CHAT.read({"messages": [user("a"), ANSWER, user("b")]}))
    assert continues(RESPONSES.read({"input": "b", "conversation": "conv_1"}))


@pytest.mark.parametrize("agent", AGENTS)
def test_the_requests_of_a_session_are_one_conversation_and_sessions_are_several(agent: str) -> None:
    keys = [{key_of(request) for request in session.requests()} for session in sessions(agent)]
    assert [len(each) for each in keys] == [1] * len(keys)
    assert len(set.union(*keys)) == len(keys)


def test_the_time_in_a_system_prompt_does_not_end_a_conversation() -> None:
    for role in ("system", "developer"):
        morning = {"role": role, "content": "It is Monday, 9:59. Good morning."}
        evening = {"role": role, "content": "It is Monday, 21:01. Good evening."}
        assert key(morning, user("hello")) == key(evening, user("hello"), ANSWER, user("more"))
    days = ("May 1", "May 2")
    responses = [RESPONSES.read({"instructions": f"Today: {day}", "input": "hello"}) for day in days]
    messages = [MESSAGES.read({"system": f"Today: {day}", "messages": [user("hello")]}) for day in days]
    assert len(set(map(key_of, [*responses, *messages]))) == 1


def test_the_shape_of_a_message_does_not_matter() -> None:
    marked = {"type": "text", "text": "hello", "cache_control": {"type": "ephemeral"}}
    plain = key(user("hello"))
    assert key(user([marked])) == key(user([{"type": "text", "text": "hello"}])) == key(user(" hello\n")) == plain
    assert key({**user("hello"), "name": "kim"}) == plain


def test_reminders_that_change_do_not_end_a_conversation() -> None:
    first, later = (f"<system-reminder>\nIt is {clock}\n</system-reminder>\nhello" for clock in ("9:00", "9:01"))
    assert key(user(first)) == key(user(later), ANSWER, user("more")) == key(user("hello"))


def test_images_tell_conversations_apart() -> None:
    other = {"type": "image_url", "image_url": {"url": "data:image/png;base64,BBBB"}}
    assert key(user([IMAGE])) != key(user([other]))
    assert key(user([IMAGE])) == key(user([{**IMAGE, "cache_control": {}}]), ANSWER, user("What is it?"))


def test_without_a_user_the_other_messages_identify_a_conversation() -> None:
    assert key({"role": "system", "content": "a"}) != key({"role": "system", "content": "b"})


@pytest.mark.parametrize(
    "member",
    [
        {"prompt_cache_key": "s-1"},
        {"session_id": "s-1"},
        {"user": "s-1"},
        {"metadata": {"session_id": "s-1"}},
        {"metadata": {"user_id": "user_1_account__session_2"}},
    ],
)
def test_the_clients_session_tells_equal_openings_apart(member: dict[str, Any]) -> None:
    requests: list[tuple[Any, dict[str, Any]]] = [
        (CHAT.read, {"messages": [user("hi")]}),
        (MESSAGES.read, {"messages": [user("hi")]}),
        (RESPONSES.read, {"input": "hi"}),
    ]
    for read, body in requests:
        assert key_of(read({**body, **member})) != key_of(read(body))
        assert key_of(read({**body, **member})) == key_of(read({**body, **member}))


def test_a_session_holds_several_conversations() -> None:
    # Agents ask for titles and run sub-agents in the same session; the model of these must not decide for it.
    assert key(user("Fix it."), prompt_cache_key="s") != key(user("Make a title."), prompt_cache_key="s")


def test_a_stored_conversation_of_the_responses_api_is_its_id() -> None:
    one, two = ({"input": text, "conversation": {"id": "conv_1"}} for text in ("hello", "more"))
    assert key_of(RESPONSES.read(one)) == key_of(RESPONSES.read(two))
    assert key_of(RESPONSES.read(one), name="mine") == key(user("x"), name="mine")
    assert key_of(RESPONSES.read({**one, "conversation": "conv_2"})) != key_of(RESPONSES.read(one))


@pytest.mark.parametrize(
    "header", [b"x-claude-code-session-id", b"session_id", b"session-id", b"x-session-id", b"x-grok-conv-id"]
)
def test_the_session_is_read_from_a_header(header: bytes) -> None:
    assert RoutingOptions.of({header: b"s-\xff"}).session == "s-\xff"
    assert RoutingOptions.of({header: b""}).session is None


@pytest.mark.parametrize("odd", [None, 1, [], {"user_id": 1}, "x", {"user_id": ""}])
def test_odd_metadata_is_no_session(odd: Any) -> None:
    assert CHAT.read({"messages": [user("hi")], "metadata": odd, "user": 1, "prompt_cache_key": []}).session is None
