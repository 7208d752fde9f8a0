"""GET /v1/router/usage: what the key's tenant used and spent, beside what its default models would have cost."""

from __future__ import annotations

from datetime import UTC, datetime

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.endpoints.http import answer, called
from app.errors import BadRequest
from app.moments import past, since
from app.spending import dimensions, shown, total
from app.store import money

_PARAMETERS = frozenset({"since", "until", "by"})


async def usage(request: Request) -> Response:
    """Requests, tokens and USD since 7 days ago or `since`, until now or `until`, by what `by` says."""
    services, caller = await called(request)
    for name in request.query_params:
        if name not in _PARAMETERS:
            raise BadRequest(f"{name}: there is no such parameter, only since, until and by.", param=name)
    now = datetime.now(UTC)
    begin = since(request.query_params.get("since", "7d"), now)
    until = request.query_params.get("until")
    end = now if until is None else past(until, now, "until")
    if end <= begin:
        raise BadRequest("until: it has to be after since.", param="until")
    by = dimensions(request.query_params.get("by", ""))
    rows = await money.usage(services.db, caller.tenant_id, begin, end, by)
    return answer(
        {
            "object": "router.usage",
            "since": begin,
            "until": end,
            "by": by,
            "data": [shown(row, by) for row in rows],
            "total": total(rows),
        }
    )


routes = [Route("/v1/router/usage", usage)]
