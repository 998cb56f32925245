"""The HTTP facade of the daemon, where the settings name an address: nothing of it is loaded where they do not."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from procession.errors import SettingsError
from procession.facade import Runtime
from procession.settings import Settings

Door = Callable[[Runtime], contextlib.AbstractAsyncContextManager[object]]
"""Serves a runtime for as long as its block."""


@contextlib.contextmanager
def http_door(settings: Settings) -> Iterator[Door]:
    """Listen at once, so that what can't be served is refused before anything is opened.

    Raises:
        SettingsError: nothing can listen there, or the extra is missing.
    """
    if settings.http.bind is None:
        yield lambda _: contextlib.nullcontext()
        return
    try:
        from procession.daemon.http.server import http_served, listening_at  # noqa: PLC0415 - only where it is served
    except ModuleNotFoundError as missing:
        found = f"is {settings.http.bind!r}, which needs the extra `http`"
        raise SettingsError("http.bind", found, "pip install 'procession[http]'") from missing
    with contextlib.closing(listening_at(settings.http.bind)) as listening:
        yield lambda runtime: http_served(runtime, listening)
