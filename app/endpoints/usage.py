"""GET /v1/router/usage: what the key's tenant used and spent, beside what its default models would have cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.accounting.usage_report import parse_dimensions, report_row, total
from app.endpoints.requests import called
from app.errors import BadRequest
from app.http.responses import answer
from app.operations.timespans import past, since
from app.store import usage as usage_store


async def usage(request: Request) -> Response:
    """Requests, tokens and USD since 7 days ago or `since`, until now or `until`, by what `by` says."""
    services, caller = await called(request)
    asked = Asked.of(request)
    return asked.answered(
        await usage_store.usage(services.db, caller.tenant_id, asked.since, asked.until, asked.by), asked.by
    )


class Asked(NamedTuple):
    """Since when, until when, and what it is to be shown by."""

    since: datetime
    until: datetime
    by: list[str]

    @classmethod
    def of(cls, request: Request) -> Asked:
        """Read the query. Raises `BadRequest` naming the parameter."""
        for name in request.query_params:
            if name not in cls._fields:
                raise BadRequest(f"{name}: there is no such parameter, only since, until and by.", param=name)
        now = datetime.now(UTC)
        begin = since(request.query_params.get("since", "7d"), now)
        until = request.query_params.get("until")
        end = now if until is None else past(until, now, "until")
        if end <= begin:
            raise BadRequest("until: it has to be after since.", param="until")
        return cls(begin, end, parse_dimensions(request.query_params.get("by", "")))

    def answered(self, rows: Sequence[Mapping[str, Any]], by: Sequence[str]) -> Response:
        """The rows, with the columns that they are by, and their sums."""
        data = [report_row(row, by) for row in rows]
        return answer({"object": "router.usage", **self._asdict(), "by": by, "data": data, "total": total(rows)})


routes = [Route("/v1/router/usage", usage)]
