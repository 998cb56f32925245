"""Descriptors of this process: connections may not take those that the journal and gateways need."""

from __future__ import annotations

import contextlib
import logging
import resource

logger = logging.getLogger("procession.daemon")
_KEPT_BACK = 256
"""For files, sockets of gateways, and whatever else flows open; half of all where there are few."""


def make_room(connections: int) -> None:
    """Raise the limit of this process for so many connections, as far as the system lets it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + _KEPT_BACK
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    raised = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    with contextlib.suppress(ValueError, OSError):  # what the system refuses, it refuses: fewer are taken then
        resource.setrlimit(resource.RLIMIT_NOFILE, (raised, hard))


def connections_that_fit(connections_max: int) -> int:
    """How many connections may be open at one time under the limit of this process; says so where it is fewer."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= connections_max + _KEPT_BACK:
        return connections_max
    fit = min(connections_max, soft - min(_KEPT_BACK, soft // 2))
    if fit < connections_max:
        found = "at most %d connections are taken, not %d (http.connections_max): this process may open %d files; %s"
        logger.warning(found, fit, connections_max, soft, "raise its limit, as by LimitNOFILE= of systemd")
    return fit
