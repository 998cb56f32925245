"""The owner at its unix socket: each connection asks one thing after another, and hears a result or a refusal."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Mapping
from typing import Any

import attrs
import trio

from procession.daemon.exit_codes import UsageRefused, code_of
from procession.daemon.local_socket import PROTOCOL, Lines
from procession.daemon.operations import Operations
from procession.errors import ProcessionError

logger = logging.getLogger("procession.daemon")
CONNECTIONS_MAX = 64
_SHOWN_CHARS = 80
LINE_S_MAX = 10.0
"""A line comes in so long, and an answer is taken in so long: nobody holds one of the places for ever."""


@attrs.define(eq=False)
class LocalServer:
    """Serves until it is cancelled."""

    operations: Operations
    line_bytes_max: int
    line_s_max: float = LINE_S_MAX
    _connections: int = 0

    async def serve(self, listener: trio.SocketListener) -> None:
        """Take connections; one that fails disturbs no other."""
        async with listener:
            await trio.serve_listeners(self._connection, [listener])

    async def _connection(self, stream: trio.SocketStream) -> None:
        lines = Lines(stream, self.line_bytes_max)
        self._connections += 1
        try:
            if self._connections > CONNECTIONS_MAX:
                busy = UsageRefused(f"{CONNECTIONS_MAX} others are connected to this owner", "try again later")
                await self._send(lines, _refusal(busy))
                return
            while (asked := await self._received(lines)) is not None:
                await self._answer(lines, asked)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # whoever asked has gone: nobody is there to be told
        except trio.TooSlowError:
            late = UsageRefused(f"no whole line came, or none was taken, in {self.line_s_max:g} s", "ask again")
            await self._last_word(lines, late)
        except ValueError as error:
            await self._last_word(lines, UsageRefused(f"a line can't be read: {error}", "send one JSON object a line"))
        finally:
            self._connections -= 1
            await trio.aclose_forcefully(stream)

    async def _received(self, lines: Lines) -> object | None:
        with trio.fail_after(self.line_s_max):
            return await lines.receive()

    async def _send(self, lines: Lines, reply: Mapping[str, Any]) -> None:
        with trio.fail_after(self.line_s_max):
            await lines.send(reply)

    async def _last_word(self, lines: Lines, error: ProcessionError) -> None:
        try:
            await self._send(lines, _refusal(error))
        except (trio.BrokenResourceError, trio.ClosedResourceError, trio.TooSlowError):
            logger.debug("whoever sent what can't be read has gone, or takes no answer")

    async def _answer(self, lines: Lines, asked: object) -> None:
        """Do what is asked, as long as whoever asked is there."""
        replies: list[dict[str, Any]] = []
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_cancel_when_closed, lines, nursery.cancel_scope)
            replies.append(await self._done(asked))
            nursery.cancel_scope.cancel()
        for reply in replies:
            try:
                await self._send(lines, reply)
            except TypeError as error:  # as in `_done`: what can't be written as JSON is a fault of that answer
                logger.exception("what was found at the local socket can't be sent")
                await self._send(lines, _refusal(error))

    async def _done(self, asked: object) -> dict[str, Any]:
        try:
            return {"done": await self.operations.do(_question(asked))}
        except (ProcessionError, TimeoutError) as error:
            return _refusal(error)
        except Exception as error:
            # A fault of ours in one answer must not end the owner: whoever can connect could end it by one line.
            logger.exception("what was asked at the local socket failed")
            return _refusal(error)


def _question(asked: object) -> Mapping[str, Any]:
    if isinstance(asked, Mapping) and asked.get("protocol") == PROTOCOL:
        return asked
    found = asked.get("protocol") if isinstance(asked, Mapping) else type(asked).__name__
    raise UsageRefused(
        f"the owner of the journal speaks protocol {PROTOCOL}, and {str(found)[:_SHOWN_CHARS]!r} came",
        "use the command of the same version as the running daemon",
    )


async def _cancel_when_closed(lines: Lines, scope: trio.CancelScope) -> None:
    with contextlib.suppress(trio.BrokenResourceError, ValueError):
        await lines.wait_closed()
    scope.cancel()


def _refusal(error: Exception) -> dict[str, Any]:
    at = getattr(error, "at", None)
    said = str(error).encode("utf-8", "backslashreplace").decode()
    return {"error": said, "kind": type(error).__name__, "exit_code": int(code_of(error)), "at": at}
