"""The asyncio loop of the program around a runtime: gateways marked `host=True` are awaited there."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Protocol

import trio

from procession.errors import WiringError
from procession.primitives.gateway import Gateway


class HostLost(Exception):  # noqa: N818 - it tells the gateway's host how the attempt ended, and goes no further
    """The host cancelled the call, or its loop is gone: what became of the call is not known."""


class HostCall(Protocol):
    """A call on its way to the host's loop."""

    @property
    def ended(self) -> bool:
        """It has returned, or never began; False while it goes on unseen after `wait` was cancelled."""
        ...

    async def wait(self) -> object:
        """The answer; an error comes out as itself.

        Raises:
            HostLost: the host cancelled it, or its loop is gone.

        Cancellation: cancels the task in the host's loop, and waits a bounded time for its end.
        """
        ...


class HostLoop(Protocol):
    """Where such gateways are awaited."""

    def begin(self, work: Callable[[], Coroutine[Any, Any, object]], ended: Callable[[], None]) -> HostCall:
        """Start the work in the host's loop, in the context of the caller; `ended` is called in trio's thread."""
        ...


HOST_LOOP: trio.lowlevel.RunVar[HostLoop | None] = trio.lowlevel.RunVar("procession host loop", None)
"""Of this trio run: None where nobody gave it one, as in a trio program."""


def refuse_hostless(gateways: Mapping[str, Gateway | type[Gateway]]) -> None:
    """A gateway that needs the host's loop is refused where there is none.

    Raises:
        WiringError: names the gateway.
    """
    for name, gateway in gateways.items():
        if gateway.__gateway__.policy.host and HOST_LOOP.get() is None:
            raise WiringError(
                f"{gateway.__gateway__.site}: gateway {name!r} is marked host=True, and this runtime has no"
                " asyncio host",
                "open it from asyncio, by `procession.embed.open_async`; or drop host=True and await trio",
            )
