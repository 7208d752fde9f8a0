"""Keys of the ASGI scope that endpoints and middleware share."""

from __future__ import annotations

#: In the scope of a request whose answer is a provider's: that one is left as it came.
PASSED_ON = "pgrouter.passed_on"


#: In the scope of a request: that its endpoint has observed it; whose it is; what came of it, if that was not sent.
OBSERVED, TENANT, STATUS = "pgrouter.observed", "pgrouter.tenant", "pgrouter.status"
