"""Requests in the shapes of coding agents, made by hand from public descriptions of them, in words of our own.

Each agent wraps the words of a person in its own way. A session has three requests: the first one, one after a tool has
run, and one with a second message of the person. The time of day, reminders and marks of the cache change in between.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from app.dialects import CHAT, MESSAGES, RESPONSES, Dialect, ParsedRequest

ASKS = (
    "The login form accepts an empty password. Find out why and add a test.",
    "Rename the column total to total_cents everywhere, migrations included.",
    "Our nightly export is slow; profile it and make it twice as fast.",
    "Write a README section about the retry settings.",
    "Why does the build fail on Windows only?",
    "Add a dark theme to the settings page.",
)
NEXT = (
    "Good. Now do the same for the registration form.",
    "Also rename it in the public documentation.",
    "Now run the benchmark again and show me a table.",
    "Make that section shorter.",
    "Fix it in the workflow file.",
    "Use the colours of the design system.",
)
RULES = "Use tabs. Run `make check` before you finish.\nNever touch <vendor/> folders. " + "Keep functions short. " * 40


@dataclass(frozen=True)
class Session:
    """The requests of one session: the first, one after a tool, one with a second message; and what was typed."""

    dialect: Dialect
    bodies: tuple[dict[str, Any], dict[str, Any], dict[str, Any]]
    asked: str
    asked_next: str

    def requests(self) -> list[ParsedRequest]:
        return [self.dialect.read(body) for body in self.bodies]


def _codex(number: int, clock: str) -> list[Any]:
    def user(*texts: str) -> dict[str, Any]:
        content = [{"type": "input_text", "text": text} for text in texts]
        return {"type": "message", "role": "user", "content": content}

    return [
        {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": f"Sandbox on. {clock}"}]},
        user(f"# AGENTS.md instructions for /home/kim/shop\n\n<INSTRUCTIONS>\n{RULES}\n</INSTRUCTIONS>"),
        user(
            "<environment_context>\n  <cwd>/home/kim/shop</cwd>\n  <shell>zsh</shell>\n"
            f"  <current_date>{clock}</current_date>\n</environment_context>"
        ),
        user(ASKS[number]),
    ]


def codex(number: int) -> Session:
    """Codex: instructions and environment are messages of their own before the person's; Responses API."""
    call = {"type": "function_call", "call_id": "c1", "name": "shell", "arguments": "{}"}
    output = {"type": "function_call_output", "call_id": "c1", "output": "3 files"}
    said = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Done."}]}
    again = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": NEXT[number]}]}

    def body(clock: str, *more: Any) -> dict[str, Any]:
        return {"model": "auto", "instructions": f"You are an agent. {clock}", "input": [*_codex(number, clock), *more]}

    bodies = (
        body("2026-03-01"),
        body("2026-03-02", call, output),
        body("2026-03-02", call, output, said, again),
    )
    return Session(RESPONSES, bodies, ASKS[number], NEXT[number])


def claude_code(number: int) -> Session:
    """Claude Code: reminders are parts of the person's message, and of messages with results; Messages API."""

    def reminder(text: str) -> dict[str, Any]:
        return {"type": "text", "text": f"<system-reminder>\n{text}\n</system-reminder>"}

    def body(clock: str, *more: Any) -> dict[str, Any]:
        ask: dict[str, Any] = {"type": "text", "text": ASKS[number]}
        if not more:
            ask["cache_control"] = {"type": "ephemeral"}
        first = {"role": "user", "content": [reminder(f"# Project rules\n{RULES}\nToday is {clock}."), ask]}
        system = [{"type": "text", "text": f"You are a coding agent. The time is {clock}."}]
        return {"model": "auto", "max_tokens": 900, "system": system, "messages": [first, *more]}

    call = {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "Read", "input": {}}]}
    result = {"type": "tool_result", "tool_use_id": "t1", "content": "def login(): …"}
    ran = {"role": "user", "content": [result, reminder("The list of todos is empty.")]}
    said = {"role": "assistant", "content": "Done."}
    again = {"role": "user", "content": [{"type": "text", "text": NEXT[number]}, reminder("A file changed.")]}
    bodies = (body("10:31"), body("10:32", call, ran), body("11:05", call, ran, said, again))
    return Session(MESSAGES, bodies, ASKS[number], NEXT[number])


def cline(number: int) -> Session:
    """Cline: the task is an element, results of tools are texts of a user; Chat Completions API."""

    def details(clock: str) -> str:
        return f"<environment_details>\n# Visible files\nsrc/a.ts\n\n# Current time\n{clock}\n</environment_details>"

    def user(*texts: str) -> dict[str, Any]:
        return {"role": "user", "content": [{"type": "text", "text": text} for text in texts]}

    system = {"role": "system", "content": "You are an agent with tools." + RULES}
    first = user(f"<task>\n{ASKS[number]}\n</task>", details("9:00"))
    call = {"role": "assistant", "content": "<read_file><path>src/a.ts</path></read_file>"}
    ran = user("[read_file for 'src/a.ts'] Result:", "export const a = <T>(x: T) => x", details("9:01"))
    done = {"role": "assistant", "content": "<attempt_completion><result>Done.</result></attempt_completion>"}
    again = user(
        "[attempt_completion] Result:", f"The user wrote:\n<feedback>\n{NEXT[number]}\n</feedback>", details("9:09")
    )
    messages = ([system, first], [system, first, call, ran], [system, first, call, ran, done, again])
    first_body, second_body, third_body = ({"model": "auto", "messages": each} for each in messages)
    return Session(CHAT, (first_body, second_body, third_body), ASKS[number], NEXT[number])


def cursor(number: int) -> Session:
    """Cursor: the editor's state comes before the person's words, which are an element; Chat Completions API."""

    def user(text: str, clock: str) -> dict[str, Any]:
        state = (
            f"<additional_data>\n<open_and_recently_viewed_files>\n- src/a.ts ({clock})\n"
            "</open_and_recently_viewed_files>\n</additional_data>"
        )
        return {"role": "user", "content": f"{state}\n\n<user_query>\n{text}\n</user_query>"}

    def body(clock: str, *more: Any) -> dict[str, Any]:
        system = {"role": "system", "content": f"You pair with a person. {clock}"}
        machine = {"role": "user", "content": f"<user_info>\nLinux, {clock}\n</user_info>\n<rules>\n{RULES}\n</rules>"}
        return {"model": "auto", "messages": [system, machine, user(ASKS[number], clock), *more]}

    call = {"role": "assistant", "content": None, "tool_calls": [{"id": "t1", "function": {"name": "grep"}}]}
    ran = {"role": "tool", "tool_call_id": "t1", "content": "src/a.ts:1"}
    said = {"role": "assistant", "content": "Done."}
    bodies = (
        body("8:00"),
        body("8:01", call, ran),
        body("8:02", call, ran, said, user(NEXT[number], "8:02")),
    )
    return Session(CHAT, bodies, ASKS[number], NEXT[number])


AGENTS: dict[str, Callable[[int], Session]] = {
    "codex": codex, "claude code": claude_code, "cline": cline, "cursor": cursor,
}  # fmt: skip


def sessions(agent: str) -> Iterator[Session]:
    """Yield a session of an agent for each of `ASKS`."""
    return map(AGENTS[agent], range(len(ASKS)))
