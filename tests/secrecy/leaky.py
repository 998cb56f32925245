"""The vault, in a process that logs what it accepts: a fault that the sweep must find."""

from __future__ import annotations

import logging
from typing import Any

from procession import Settings, Wiring, publishing
from tests.secrecy import vault

logger = logging.getLogger("procession.leaky")


def wire_production(settings: Settings) -> Wiring:
    """With the fault in it."""
    encode = publishing._encode  # noqa: SLF001 - what is replaced is no name for users

    def telling(*given: Any) -> Any:  # noqa: ANN401 - as the original
        incoming = encode(*given)
        logger.debug("accepted %s", incoming.payload)
        return incoming

    setattr(publishing, "_encode", telling)  # noqa: B010 - mypy would compare their signatures
    return vault.wire_production(settings)


wire_testing = wire_production
