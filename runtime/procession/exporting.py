"""Where the traces and metrics of a runtime go: to a provider of its host, to an OTLP receiver, or nowhere."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from importlib.metadata import version

import trio

from procession.engine.engine import Engine
from procession.errors import SettingsError
from procession.measuring import Measuring
from procession.settings import Settings
from procession.telemetry.spans import Spans
from procession.telemetry_settings import TelemetrySettings, metrics_address, traces_address


class Exporting:
    """The spans of one runtime, None of them where nothing is traced; and its metrics."""

    spans: Spans | None = None
    sender: Callable[[Measuring], Callable[[], None]] | None = None
    """Sends what is measured from when it is called, and returns what ends that; None where no metrics are sent."""
    _end_of_metrics: Callable[[], None] | None = None

    def send(self, measuring: Measuring) -> None:
        """Send metrics from now on, where they are to be sent."""
        if self.sender is not None:
            self._end_of_metrics = self.sender(measuring)

    async def end(self) -> None:
        """Send what is left of both at the same time, for at most two seconds."""
        with trio.CancelScope(shield=True):
            async with trio.open_nursery() as closing:
                closing.start_soon(self.close)
                if self._end_of_metrics is not None:
                    closing.start_soon(trio.to_thread.run_sync, self._end_of_metrics)

    def count_in(self, engine: Engine) -> None:
        """Count what is dropped among the other counters."""

    async def close(self) -> None:
        """Send the spans that are left, for at most two seconds."""


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


def _metrics_to(endpoint: str, settings: TelemetrySettings) -> Callable[[Measuring], Callable[[], None]]:
    try:
        from procession.telemetry.otlp_metrics import Sending, otlp_exporter  # noqa: PLC0415 - as above

        exporter = otlp_exporter(metrics_address(endpoint), settings.otlp_timeout_s)
    except ImportError as error:
        found = f"is {endpoint!r}, which needs the extra `otlp` ({error.name} is not installed)"
        cure = "pip install 'procession[otlp]'"
        raise SettingsError("telemetry.metrics_endpoint", found, cure) from error

    def send(measuring: Measuring) -> Callable[[], None]:
        every_s, dropped = settings.metrics_interval_s, measuring.count_dropped
        return Sending(exporter, measuring.families, settings.service_name, every_s, dropped).close

    return send


@contextlib.asynccontextmanager
async def exporting(settings: Settings, provider: object | None) -> AsyncIterator[Exporting]:
    """Where traces go for as long as the block.

    Raises:
        WiringError: the provider makes no spans.
        SettingsError: something is to be sent, and the extra `otlp` is missing.
    """
    endpoint, metrics_endpoint = settings.telemetry.otlp_endpoint, settings.telemetry.metrics_endpoint
    sender = None if metrics_endpoint is None else _metrics_to(metrics_endpoint, settings.telemetry)
    found = Exporting()
    if provider is not None:
        found = _Provided(provider)
    elif endpoint is not None:
        found = _ToReceiver(settings.telemetry, endpoint)
    found.sender = sender
    try:
        yield found
    finally:
        await found.end()
