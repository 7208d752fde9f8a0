"""/openapi.json has every path that is served, and responses match it."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import aiohttp
import hypothesis
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode, checks
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi import checks as openapi_checks
from starlette.routing import Mount

from app.demo import provider
from app.endpoints.openapi import console_paths, inference_paths, passthrough_paths
from app.endpoints.openapi.document import document, operation_id
from app.endpoints.openapi.operation import DocumentedPath
from app.endpoints.openapi.paths import documented_paths, served_routes
from app.server.app import routes
from scripts.fake_provider.server import Running
from tests.support.operators import ADMIN, MASTER, Operator
from tests.support.proxy import CHEAP, STRONG, Proxy
from tests.support.randomness import examples

PATHS = list(documented_paths(routes))
OTHER_ROOMS = {
    (each.method, each.route or each.path)
    for each in (*inference_paths.PATHS, *passthrough_paths.PATHS, *console_paths.PATHS)
}
#: Valid and invalid requests of each operation, with names that exist and names that do not.
EXAMPLES = examples(5)
CHECKS: list[Any] = [
    checks.not_a_server_error,
    openapi_checks.status_code_conformance,
    openapi_checks.content_type_conformance,
    openapi_checks.response_headers_conformance,
    openapi_checks.response_schema_conformance,
]
#: Bodies that the router parses must be refused if they are invalid; others are for the provider to refuse.
OURS: list[Any] = [openapi_checks.negative_data_rejection, openapi_checks.ignored_auth]


def test_every_route_is_documented_and_no_other() -> None:
    paths = [(each.method, each.path) for each in PATHS]
    assert len(paths) == len(set(paths))
    served = {(method, path) for method, path, _ in served_routes(routes)}
    assert served == {(each.method, each.route or each.path) for each in PATHS}
    assert served >= OTHER_ROOMS, "a description has no route"


def test_the_demo_provider_is_not_in_the_document() -> None:
    assert not list(served_routes([Mount("/demo/v1", routes=provider.routes)]))


def test_every_operation_has_an_id_of_its_own() -> None:
    made = document(routes)
    names = [operation["operationId"] for path in made["paths"].values() for operation in path.values()]
    assert len(names) == len(set(names)) == len(PATHS)
    assert operation_id("DELETE", "/v1/router/memories/{memory_id}") == "delete_router_memories_memory_id"


def test_every_reference_leads_to_a_component() -> None:
    made = document(routes)
    references = set(re.findall(r'"\$ref": "([^"]+)"', json.dumps(made)))
    components = {f"#/components/schemas/{name}" for name in made["components"]["schemas"]}
    assert len(references) > 50
    assert references <= components
    assert not [name for name in made["components"]["schemas"] if "__" in name], "two models have the same name"


async def test_the_document_needs_no_key(proxy: Proxy) -> None:
    async with aiohttp.ClientSession(proxy.url) as http, http.get("/openapi.json") as reply:
        assert reply.status == 200
        made = await reply.json()
    assert made["openapi"].startswith("3.1")
    assert not [path for path in made["paths"] if path.startswith(ADMIN)], "without a master key none is served"


async def test_with_a_master_key_the_document_has_the_admin_api(admin: Operator) -> None:
    async with admin.http.get("/openapi.json") as reply:
        made = await reply.json()
    assert f"{ADMIN}/tenants/{{tenant}}/keys/{{key_id}}/rotate" in made["paths"]
    assert MASTER not in str(made)


# The proxy runs in another thread of this process, and uses the same random numbers.
@pytest.mark.property
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Do not use the `random` module")
async def test_responses_match_the_document(admin: Operator, upstream: Running) -> None:
    """schemathesis: for any request, no 5xx, and no status, type or format that is not in the document."""
    upstream.clear()
    await admin("PUT", "/providers/spare", {"base_url": "http://127.0.0.1:1/v1"})
    await admin("PUT", "/models/spare", {"provider": "spare", "input_price": 1, "output_price": 1})
    await admin("POST", "/tenants", {"name": "spare", "models": [CHEAP, STRONG]}, code=201)
    key = await admin("POST", "/tenants/spare/keys", {}, code=201)
    known = {"tenant": "spare", "key_id": str(key["id"]), "policy": "auto", "model": "spare", "provider": "spare"}
    async with admin.http.get("/openapi.json") as reply:
        schema = schemathesis.openapi.from_dict(await reply.json())
    failures = await asyncio.to_thread(_failures, schema, admin.proxy, {**known, "name": CHEAP})
    assert not failures, "\n\n".join(f"{label}: {failure}" for label, failure in failures.items())


# The same objects of this tenant.
@pytest.mark.filterwarnings("ignore:Do not use the `random` module")
async def test_a_wrong_document_is_detected(admin: Operator) -> None:
    made = document(routes)
    tenants, status = f"{ADMIN}/tenants", "/v1/router/status"
    del made["paths"]["/v1/router/explain"]["post"]["responses"]["400"]
    made["paths"]["/healthz"]["get"]["responses"]["200"]["content"] = {"text/plain": {}}
    made["paths"][status]["get"]["responses"]["200"]["content"]["application/json"]["schema"]["required"] = ["shape"]
    wrong = ("/v1/router/explain", "/healthz", status)
    made["paths"] = {path: made["paths"][path] for path in (*wrong, tenants)}
    schema = schemathesis.openapi.from_dict(made)
    found = await asyncio.to_thread(_failures, schema, admin.proxy, {})
    assert {path for path in made["paths"] for label in found if f" {path}," in label} == set(wrong)


def _failures(schema: Any, proxy: Proxy, known: dict[str, str]) -> dict[str, str]:
    found = {}
    # Base URLs of providers are changed last, so that no request goes to an address that does not exist.
    operations = sorted(
        (each.ok() for each in schema.get_all_operations()),
        key=lambda each: (f"{ADMIN}/providers" in each.path, each.path),
    )
    with _session() as session:
        for operation in operations:
            named = {name: known[name] for name in known if f"{{{name}}}" in operation.path}
            for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
                for names in [None, named] if named else [None]:
                    label = f"{operation.label}, {mode.value}, {names or ''}"
                    try:
                        _check(operation, mode, names, proxy, session)
                    except Unsatisfiable:
                        pass  # an operation without parameters has no invalid requests
                    except (FailureGroup, AssertionError) as error:
                        found[label] = str(error)
    return found


def _check(
    operation: Any, mode: GenerationMode, names: dict[str, str] | None, proxy: Proxy, session: requests.Session
) -> None:
    ours = operation.path.startswith("/v1/router/")
    headers = {"authorization": f"Bearer {MASTER if operation.path.startswith(ADMIN) else proxy.key}"}

    @hypothesis.settings(
        max_examples=EXAMPLES, suppress_health_check=list(HealthCheck), phases=[hypothesis.Phase.generate]
    )
    @hypothesis.given(operation.as_strategy(generation_mode=mode, path_parameters=names))
    def run(case: Any) -> None:
        reply = case.call(base_url=proxy.url, headers=headers, session=session)
        case.validate_response(
            reply, checks=[*CHECKS, *(OURS if ours else [])], headers=headers, transport_kwargs={"base_url": proxy.url}
        )

    run()


@contextmanager
def _session() -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.trust_env = False
        yield session


@pytest.mark.parametrize("documented", PATHS, ids=lambda documented: f"{documented.method} {documented.path}")
def test_an_operation_has_its_errors(documented: DocumentedPath) -> None:
    statuses = set(document(routes)["paths"][documented.path][documented.method.lower()]["responses"])
    if documented.operation.key is not None:
        assert {"401"} <= statuses
    if documented.operation.body is not None:
        assert {"400", "413"} <= statuses
