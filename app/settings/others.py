"""The variables that other modules and packages read from the environment themselves, for the documents."""

from __future__ import annotations

from .variables import Kind, Variable, switch, text

_ANY = text()

#: Read by pgrouter outside of `Settings`, or by a package on its behalf; a test compares them with the code.
OTHERS = (
    Variable("ROUTER_CANDIDATES", "candidates of new `auto` policies, separated by commas", _ANY, "chosen by price"),
    Variable("OPENAI_API_KEY", "key of the provider that the embedded start uses", _ANY, ""),
    Variable("OPENAI_BASE_URL", "base URL of that provider", _ANY, "OpenAI's"),
    Variable("ROUTER_EMBEDDING_API_KEY", "key for the endpoint of `openai:MODEL`", _ANY, "`OPENAI_API_KEY`"),
    Variable("ROUTER_EMBEDDING_DIMENSIONS", "width of the vector column, chosen at the first `migrate`", _ANY, "384"),
    Variable(
        "OTEL_EXPORTER_OTLP_ENDPOINT", "OTLP endpoint for traces and metrics; each signal may have its own", _ANY, ""
    ),
    Variable("OTEL_EXPORTER_OTLP_PROTOCOL", "protocol of that endpoint; no other is supported", _ANY, "http/protobuf"),
    Variable("OTEL_SERVICE_NAME", "name of this service in traces and metrics", _ANY, "pgrouter"),
    Variable("OTEL_RESOURCE_ATTRIBUTES", "attributes of this service in traces and metrics", _ANY, ""),
    Variable("OTEL_SDK_DISABLED", "`true` turns traces and metrics off", Kind(switch().read, "true, false"), "false"),
    Variable("OTEL_TRACES_EXPORTER", "`none` turns traces off", Kind(_ANY.read, "otlp, none"), "otlp"),
    Variable("OTEL_METRICS_EXPORTER", "`none` turns metrics off", Kind(_ANY.read, "otlp, none"), "otlp"),
    Variable("TIKTOKEN_CACHE_DIR", "folder for the vocabularies of the extra `tiktoken`", _ANY, "a temporary folder"),
)
