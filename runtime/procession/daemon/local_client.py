"""A verb of the command line that asks the running owner, instead of owning the journal itself."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from typing import Any

import attrs
import trio

from procession.daemon.exit_codes import AskedRefused, NoOwner, OwnerGone
from procession.daemon.local_socket import LINE_BYTES_MIN, PROTOCOL, Lines
from procession.journal.ownership import holder_of
from procession.journal_errors import JournalOwned

_REPLY_BYTES_MAX = 16 * LINE_BYTES_MIN


@attrs.frozen
class Owner:
    """The running owner of a journal, which listens at its socket. Each question has a connection of its own."""

    pid: int
    address: str
    owned: JournalOwned

    async def ask(self, what: str, /, **asked: object) -> Mapping[str, Any]:
        """Have something done.

        Raises:
            AskedRefused: the owner refused it, as the verb itself would have.
            JournalOwned: it listens no more.
            OwnerGone: it is no more, or no answer came.

        Cancellation: closes the connection; the owner stops waiting, what it has begun to do it does.
        """
        try:
            stream = await trio.open_unix_socket(self.address)
        except OSError as error:
            holder = holder_of(self.owned.path)
            if holder is None or not holder.running or holder.pid != self.pid:
                raise OwnerGone(self.pid) from error
            raise self.owned from error
        async with stream:
            lines = Lines(stream, _REPLY_BYTES_MAX)
            try:
                with contextlib.suppress(trio.BrokenResourceError):  # an owner that is busy says so, and closes at once
                    await lines.send({"protocol": PROTOCOL, "do": what, **asked})
                reply = await lines.receive()
            except (trio.BrokenResourceError, ValueError) as error:
                raise OwnerGone(self.pid) from error
        if not isinstance(reply, Mapping):
            raise OwnerGone(self.pid)
        if "error" in reply:
            raise AskedRefused(reply["error"], reply["kind"], reply["exit_code"], reply.get("at"))
        found: Mapping[str, Any] = reply["done"]
        return found


def owner_of(journal: str) -> Owner | None:
    """The running owner of a journal that can be asked; None where nobody owns it.

    Raises:
        JournalOwned: a process owns it that listens to nobody, a service that embeds the runtime for instance.
    """
    name = os.path.realpath(journal)
    holder = holder_of(name)
    if holder is None or not holder.running:
        return None
    owned = JournalOwned(name, holder.pid, holder.host, holder.started_at)
    if holder.address is None:
        raise owned
    return Owner(holder.pid, holder.address, owned)


def asked_owner(journal: str) -> Owner:
    """As `owner_of`, for verbs that nobody but a running owner can do.

    Raises:
        NoOwner: nobody owns the journal.
    """
    owner = owner_of(journal)
    if owner is None:
        raise NoOwner(journal)
    return owner
