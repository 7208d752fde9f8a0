"""Content that a request forces: calls of its tools, or JSON of its schema."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

#: Depth below which optional and nullable fields are left out or null.
DEEP = 6


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a tool."""

    name: str
    arguments: str

    @property
    def parsed(self) -> Any:
        """The parsed arguments."""
        return json.loads(self.arguments)


def instance(schema: dict[str, Any], root: dict[str, Any] | None = None, depth: int = 0) -> Any:
    """Return a value that satisfies a simple JSON schema: references, unions, enums, objects, arrays and bounds."""
    root = root if root is not None else schema
    if "$ref" in schema:
        target: Any = root
        for part in str(schema["$ref"]).removeprefix("#").strip("/").split("/"):
            target = target[part] if part else target
        return instance(target, root, depth + 1)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][0]
    if choices := schema.get("anyOf") or schema.get("oneOf"):
        plain = [choice for choice in choices if choice.get("type") == "null"] if depth > DEEP else []
        return instance((plain or choices)[0], root, depth + 1)
    if "allOf" in schema:
        merged = {key: value for part in schema["allOf"] for key, value in part.items()}
        return instance({**merged, **{key: value for key, value in schema.items() if key != "allOf"}}, root, depth)
    kind = schema.get("type", "object" if "properties" in schema else "string")
    return _of_kind(kind[0] if isinstance(kind, list) else kind, schema, root, depth)


def _of_kind(kind: str, schema: dict[str, Any], root: dict[str, Any], depth: int) -> Any:
    if kind == "object":
        needed = schema.get("required", []) if depth > DEEP else schema.get("properties", {})
        fields = schema.get("properties", {})
        return {name: instance(fields.get(name, {}), root, depth + 1) for name in needed}
    if kind == "array":
        length = schema.get("minItems", 0 if depth > DEEP else 1)
        return [instance(schema.get("items", {}), root, depth + 1) for _ in range(length)]
    if kind in ("integer", "number"):
        low = schema.get("minimum", schema.get("exclusiveMinimum", 0) + ("exclusiveMinimum" in schema))
        value = min(max(low, 1), schema.get("maximum", max(low, 1)))
        return int(value) if kind == "integer" else float(value)
    if kind in ("boolean", "null"):
        return True if kind == "boolean" else None
    return _TEXTS.get(schema.get("format", ""), "é — text").ljust(schema.get("minLength", 0), ".")


_TEXTS = {
    "date": "2024-02-29",
    "date-time": "2024-02-29T12:00:00Z",
    "time": "12:00:00Z",
    "email": "a@example.com",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}


def _called(tools: list[Any], parallel: bool, name: str | None = None) -> tuple[Call, ...]:
    """Return calls of the named tool, or of all tools (of one, if calls must not be parallel)."""
    called = [tool for tool in tools if name is None or tool["name"] == name]
    schemas = [tool.get("parameters") or tool.get("input_schema") or {"type": "object"} for tool in called]
    calls = [Call(tool["name"], json.dumps(instance(schema))) for tool, schema in zip(called, schemas, strict=True)]
    return tuple(calls if parallel else calls[:1])


def openai_calls(body: dict[str, Any]) -> tuple[Call, ...]:
    """Return the calls that a chat completion or response must make: tool_choice is `required` or names a function."""
    # In chat completions a function is nested one level deeper.
    tools = [tool.get("function", tool) for tool in body.get("tools") or () if tool.get("type") == "function"]
    parallel = body.get("parallel_tool_calls") is not False
    choice = body.get("tool_choice")
    if isinstance(choice, dict) and choice.get("type") == "allowed_tools":
        allowed = choice.get("allowed_tools", choice)
        names = {tool.get("function", tool).get("name") for tool in allowed.get("tools", ())}
        tools, choice = [tool for tool in tools if tool["name"] in names], allowed.get("mode")
    if choice == "required":
        return _called(tools, parallel)
    if isinstance(choice, dict):
        return _called(tools, parallel, str(choice.get("function", choice).get("name")))
    return ()


def anthropic_calls(body: dict[str, Any]) -> tuple[Call, ...]:
    """Return the tools that a message must use: tool_choice is `any` or names one."""
    choice = body.get("tool_choice") or {}
    if choice.get("type") not in ("any", "tool"):
        return ()
    tools = [tool for tool in body.get("tools") or () if "input_schema" in tool]
    return _called(tools, choice.get("disable_parallel_tool_use") is not True, choice.get("name"))


def json_text(wanted: Any) -> str | None:
    """Return the JSON text that `response_format`, `text.format` or `output_config.format` requires, if any."""
    kind = wanted.get("type") if isinstance(wanted, dict) else None
    if kind == "json_object":
        return json.dumps({"answer": "é — text"})
    if kind != "json_schema":
        return None
    schema = wanted.get("json_schema", wanted).get("schema", {})
    return json.dumps(instance(schema), ensure_ascii=False)
