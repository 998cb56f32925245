"""The HTTP facade of the daemon, where the settings name an address: nothing of it is loaded where they do not."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import attrs

from procession.errors import SettingsError
from procession.facade import Runtime
from procession.settings import Settings


@attrs.frozen
class Door:
    """What serves a runtime over HTTP, or nothing where no address is named."""

    serve: Callable[[Runtime], contextlib.AbstractAsyncContextManager[object]] = lambda _: contextlib.nullcontext()
    """For as long as its block."""
    reload: Callable[[], list[str]] = list
    """Read the tokens and the certificate again; names what changed. Raises SettingsError where they can't be used."""
    reread_tokens: Callable[[], bool] | None = None
    """Heed the file of the tokens at once; whether that is done. None where there is none."""


@contextlib.contextmanager
def http_door(settings: Settings) -> Iterator[Door]:
    """Listen at once, so that what can't be served is refused before anything is opened.

    Raises:
        SettingsError: nothing can listen there, the extra is missing, or the tokens or the certificate can't be used.
    """
    if settings.http.bind is None:
        yield Door()
        return
    try:
        # Only where it is served.
        from procession.daemon.http.server import Guard, http_served, listening_at  # noqa: PLC0415
        from procession.daemon.log_ring import LogRing  # noqa: PLC0415
    except ModuleNotFoundError as missing:
        found = f"is {settings.http.bind!r}, which needs the extra `http`"
        raise SettingsError("http.bind", found, "pip install 'procession[http]'") from missing
    guard, logs = Guard.of(settings.http), LogRing(settings.http.log_records_max)
    with contextlib.closing(listening_at(settings.http.bind)) as listening, logs.kept():

        def serve(runtime: Runtime) -> contextlib.AbstractAsyncContextManager[object]:
            return http_served(runtime, listening, guard, logs)

        yield Door(serve, guard.reload, guard.access.reread if guard.access.needs_tokens else None)
