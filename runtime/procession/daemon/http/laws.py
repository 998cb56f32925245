"""The laws over HTTP: what the check finds in the code of the flows that run, and which invariants are watched."""

from __future__ import annotations

from procession.daemon.http.law_book import Laws
from procession.daemon.http.routes import Call, Route


async def laws(call: Call) -> Laws:
    """What the check finds in the classes that run, and what must hold of every flow."""
    return await call.serving.law_book.read()


ROUTES = (Route("GET", "/v1/laws", "reader", "What the check finds, and the invariants.", Laws, laws),)
