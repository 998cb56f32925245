"""What the service manager is told, by sd_notify(3): ready, a line of status, that the loop turns, that it stops."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable, Mapping

import attrs
import trio

logger = logging.getLogger("procession.daemon")
_STATUS_EVERY_S = 5.0
_TAKEN_WITHIN_S = 1.0
"""What a manager does not take in this time is left out: it holds nobody up."""
_PINGS_PER_PERIOD = 3
_US = 1_000_000


@attrs.define(eq=False)
class ServiceManager:
    """The datagram socket that NOTIFY_SOCKET names; without one, all of it does nothing."""

    address: str | None
    watchdog_s: float | None
    """Within this the manager wants to hear from the loop, else it starts the service again."""
    _socket: trio.socket.SocketType | None = None
    _line: trio.Lock = attrs.field(factory=trio.Lock)
    """Two tasks may tell at one time; only one may wait at a socket."""

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> ServiceManager:
        """As the environment says; a watchdog that is meant for another process is not ours."""
        address = environ.get("NOTIFY_SOCKET") or None
        period = environ.get("WATCHDOG_USEC", "")
        ours = environ.get("WATCHDOG_PID", "") in ("", str(os.getpid()))
        return cls(address, int(period) / _US if address and ours and period.isdecimal() and int(period) else None)

    async def tell(self, **fields: str) -> None:
        """Send fields, `READY="1"` for instance. A manager that does not listen is no reason to fail or to wait."""
        if self.address is None:
            return
        with trio.move_on_after(_TAKEN_WITHIN_S) as waiting:
            async with self._line:
                await self._send(self.address, "\n".join(f"{name}={value}" for name, value in fields.items()))
        if waiting.cancelled_caught:
            logger.warning("the service manager did not take %s", ", ".join(fields))

    async def _send(self, address: str, lines: str) -> None:
        place = "\0" + address[1:] if address.startswith("@") else address
        for _ in range(2):  # a manager that started anew listens at a socket of the same name
            try:
                if self._socket is None:
                    self._socket = trio.socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
                    # Of a socket that is not connected the system says that it takes more, also where it does not.
                    await self._socket.connect(place)
                await self._socket.send(lines.encode())
            except OSError:
                self.close()
            else:
                return

    async def keep_told(self, status: Callable[[], str]) -> None:
        """Tell the status now and then, and the watchdog within each period that the loop turns. Runs for ever."""
        told_at = float("-inf")
        pause_s = _STATUS_EVERY_S
        if self.watchdog_s is not None:
            pause_s = min(pause_s, self.watchdog_s / _PINGS_PER_PERIOD)
        while True:
            now = trio.current_time()
            fields: dict[str, str] = {} if self.watchdog_s is None else {"WATCHDOG": "1"}
            if now >= told_at + _STATUS_EVERY_S:
                fields["STATUS"] = status()
                told_at = now
            if fields:
                await self.tell(**fields)
            await trio.sleep(pause_s)

    def close(self) -> None:
        """Let the socket go."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
