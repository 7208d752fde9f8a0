"""Takes an agent's wrappers out of the texts of messages, so that what the person wrote remains."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from .markers import (
    CLINE,
    EDITOR_HEADINGS,
    INSTRUCTION_HEADINGS,
    PREAMBLES,
    REQUEST_HEADING,
    WHOLE_TEXTS,
    Marker,
    Markers,
)

#: Characters at each end of a text that are searched for tags, at up to 0.1 us each.
SEARCHED = 512 * 1024
#: Characters of one search: another thread, such as the event loop's, runs between two.
STEP = 16 * 1024
#: Texts of one request that are searched, from the first.
TEXTS = 1000
#: Characters read beside an element for the rest of its line.
_LINE = 200
#: Characters of a tag at most.
_TAG = 300
#: The first line of a tool's result that Cline writes as a user's text: `[read_file for 'a.py'] Result:`.
_RESULT = "] Result:"

Span = tuple[int, int]


class _Element(NamedTuple):
    """An element: the positions of its opening tag, of its content and of the end of its closing tag."""

    start: int
    inner: int
    inner_end: int
    end: int
    name: str
    marker: Marker


def wrapped(text: str) -> bool:
    """Return whether a text may hold wrappers; a cheap test that most texts of people fail."""
    return "<" in text or text.startswith(("#", "[", "Caveat", "This is the", "I have *", "Here are", " ", "\n"))


def unwrap(messages: Sequence[Sequence[str]], markers: Markers, *, files: bool = True) -> list[str]:
    """Return for each message, given by the texts of its parts, what remains without wrappers, stripped.

    A message without wrappers is its parts joined by line breaks. Elements count if they are closed, and if nothing
    but white space or other elements is left or right of them on their lines: mentions within a sentence stay.
    `files` False: a part that begins with the heading of a file with instructions, and does not mark its end, stays.
    """
    found: dict[tuple[int, int], list[_Element]] = {}
    results = [_is_result(parts) for parts in messages]
    agents = {CLINE} if any(results) else set()
    texts = 0
    for at, parts in enumerate(messages):
        for place, text in enumerate(parts):
            if not wrapped(text) or texts >= TEXTS:
                continue
            texts += 1
            elements = _apart(text, _elements(text, markers)) if "<" in text else []
            found[at, place] = elements
            agents.update(each.marker.agent for each in elements if each.marker.rule.unmistakable)
            start = text[:_TAG].lstrip()
            agents.update(agent for preamble, agent in PREAMBLES.items() if start.startswith(preamble))
    if not agents and not any(found.values()):
        return ["\n".join(parts).strip() for parts in messages]
    cleaned = []
    for at, parts in enumerate(messages):
        kept = []
        changed = False
        for place, text in enumerate(parts):
            elements = [
                each for each in found.get((at, place), ()) if each.marker.agent in agents or _is_whole(text, each)
            ]
            spans = _outside(text, elements) if results[at] else _deleted(text, elements, files=files)
            changed = changed or bool(spans)
            kept.append(_without(text, spans) if spans else text)
        cleaned.append(("\n".join(filter(None, kept)) if changed else "\n".join(kept)).strip())
    return cleaned


def _elements(text: str, markers: Markers) -> list[_Element]:
    """Return the closed elements of a text, in the order of their starts."""
    opened: dict[str, list[Span]] = {}
    found = []
    for start, end, name, closes in _tags(text, markers):
        if not closes:
            opened.setdefault(name, []).append((start, end))
        elif opened.get(name):
            first, inner = opened[name].pop()
            found.append(_Element(first, inner, start, end, name, markers.elements[name]))
    found.sort()
    return found


def _tags(text: str, markers: Markers) -> Iterator[tuple[int, int, str, bool]]:
    """Yield the tags near the ends of a text: start, end, name, whether it closes an element."""
    size = len(text)
    ranges = [(0, size)] if size <= 2 * SEARCHED else [(0, SEARCHED), (size - SEARCHED, size)]
    for first, last in ranges:
        for begin in range(first, last, STEP):
            limit = min(begin + STEP, last)
            for match in markers.tags.finditer(text, begin, min(limit + _TAG, size)):
                if match.start() >= limit:
                    break
                yield match.start(), match.end(), match["name"], bool(match["close"])


def _apart(text: str, elements: list[_Element]) -> list[_Element]:
    """Return the elements that stand apart from prose: at the start or the end of a line, or beside such an element."""
    apart = [False] * len(elements)
    behind = 0
    for at, each in enumerate(elements):
        before = text[max(behind, each.start - _LINE) : each.start]
        apart[at] = not before.rpartition("\n")[2].strip()
        if apart[at]:
            behind = max(behind, each.inner if each.marker.rule.unwraps else each.end)
    ahead = len(text)
    for at in range(len(elements) - 1, -1, -1):
        each = elements[at]
        if not apart[at] and each.end <= ahead:
            apart[at] = not text[each.end : min(ahead, each.end + _LINE)].partition("\n")[0].strip()
        if apart[at]:
            ahead = each.start
    return [each for each, kept in zip(elements, apart, strict=True) if kept]


def _is_whole(text: str, element: _Element) -> bool:
    """Return whether `user_instructions` of Codex are all of a text."""
    if element.name != "user_instructions":
        return False
    return not text[: element.start].strip() and not text[element.end :].strip()


def _is_result(parts: Sequence[str]) -> bool:
    """Return whether the texts of a message are the result of a tool."""
    for text in parts:
        start = text.lstrip()[:_TAG] if text[:1].isspace() else text[:_TAG]
        if start:
            return start[0] == "[" and start.partition("\n")[0].rstrip().endswith(_RESULT)
    return False


def _deleted(text: str, elements: Sequence[_Element], *, files: bool) -> list[Span]:
    """Return the spans of a text that are no words of the person, in the order of their starts."""
    spans = []
    for each in elements:
        if each.marker.rule.unwraps:
            spans += [(each.start, each.inner), (each.inner_end, each.end)]
        else:
            spans.append((each.start, each.end))
    start = len(text) - len(text.lstrip())
    if text.startswith(WHOLE_TEXTS, start):
        spans.append((start, len(text)))
    elif text.startswith(INSTRUCTION_HEADINGS, start):
        block = next((each for each in elements if each.name == "INSTRUCTIONS"), None)
        if block is not None or files:
            spans.append((start, len(text) if block is None else block.end))
    elif text.startswith(EDITOR_HEADINGS, start):
        request = text.find(REQUEST_HEADING, start)
        if request >= 0:
            spans.append((start, request + len(REQUEST_HEADING)))
    spans.sort()
    return spans


def _outside(text: str, elements: Sequence[_Element]) -> list[Span]:
    """Return the spans of a tool's result: all but the elements that hold words of the person, such as feedback."""
    spans = []
    behind = 0
    for each in elements:
        if each.marker.rule.unwraps and each.start >= behind:
            spans.append((behind, each.inner))
            behind = each.inner_end
    return [*spans, (behind, len(text))]


def _without(text: str, spans: Sequence[Span]) -> str:
    """Return the pieces of a text between the spans, stripped and joined by line breaks."""
    pieces = []
    behind = 0
    for start, end in spans:
        if start > behind:
            pieces.append(text[behind:start].strip())
        behind = max(behind, end)
    pieces.append(text[behind:].strip())
    return "\n".join(filter(None, pieces))
