"""Where the traces of a runtime go: to a provider that its host hands in, to an OTLP receiver, or nowhere."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from importlib.metadata import version

import trio

from procession.engine.engine import Engine
from procession.errors import SettingsError
from procession.settings import Settings
from procession.telemetry.spans import Spans
from procession.telemetry_settings import TelemetrySettings, traces_address


class Exporting:
    """The spans of one runtime; None of them where nothing is traced."""

    spans: Spans | None = None

    def count_in(self, engine: Engine) -> None:
        """Count what is dropped among the other counters."""

    async def close(self) -> None:
        """Send what is left, for at most two seconds."""


class _Provided(Exporting):
    """Through a provider that is somebody else's: what becomes of its spans, and when they are sent, is its matter."""

    def __init__(self, provider: object) -> None:
        from procession.telemetry.provided_spans import ProvidedSpans  # noqa: PLC0415 - it loads OpenTelemetry

        self.spans: Spans | None = ProvidedSpans(provider, version("procession"))


class _ToReceiver(_Provided):
    """To an OTLP receiver, through a provider of our own."""

    def __init__(self, settings: TelemetrySettings, endpoint: str) -> None:
        try:
            from procession.telemetry.otlp import otlp_provider  # noqa: PLC0415 - it loads OpenTelemetry, and requests
        except ImportError as error:
            found = f"is {endpoint!r}, which needs the extra `otlp` ({error.name} is not installed)"
            cure = "pip install 'procession[otlp]'"
            raise SettingsError("telemetry.otlp_endpoint", found, cure) from error
        provider, self._queue = otlp_provider(
            settings.service_name,
            traces_address(endpoint),
            timeout_s=settings.otlp_timeout_s,
            interval_s=settings.otlp_interval_s,
            waiting_max=settings.spans_waiting_max,
        )
        super().__init__(provider)

    def count_in(self, engine: Engine) -> None:
        """As `Exporting` says."""

        def count(dropped: int) -> None:
            engine.counters.telemetry_dropped = dropped

        self._queue.on_dropped = count

    async def close(self) -> None:
        """As `Exporting` says."""
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(self._queue.close)


@contextlib.asynccontextmanager
async def exporting(settings: Settings, provider: object | None) -> AsyncIterator[Exporting]:
    """Where traces go for as long as the block.

    Raises:
        WiringError: the provider makes no spans.
        SettingsError: traces are to be sent, and the extra `otlp` is missing.
    """
    endpoint = settings.telemetry.otlp_endpoint
    found = Exporting()
    if provider is not None:
        found = _Provided(provider)
    elif endpoint is not None:
        found = _ToReceiver(settings.telemetry, endpoint)
    try:
        yield found
    finally:
        await found.close()
