"""The knobs of telemetry; they hang in `Settings` as the table `[telemetry]`."""

from __future__ import annotations

from typing import Literal

import attrs

from procession.errors import SettingsError
from procession.knob import Knob, float_knob, int_knob, knob_field


@attrs.frozen(kw_only=True)
class TelemetrySettings:
    """What leaves the process, and where it goes."""

    service_name: str = knob_field(
        "procession", Knob(str, "What this service is called in traces and metrics.", "procession")
    )
    otlp_endpoint: str | None = knob_field(
        None, Knob(str, "Send traces to the OTLP receiver at this address; to none if left out.", None)
    )
    otlp_protocol: Literal["http/protobuf"] = knob_field(
        "http/protobuf", Knob(str, "How they are sent.", "http/protobuf", choices=("http/protobuf",))
    )
    otlp_timeout_s: float = float_knob(5, 0.1, 60, "A batch that is not taken in so long is dropped, and counted.")
    otlp_interval_s: float = float_knob(1, 0.05, 60, "A batch is sent this often, or as soon as it is full.")
    trace_ratio: float = float_knob(
        0.01, 0, 1, "This share of flows is traced, of those whose caller did not decide it already."
    )
    spans_waiting_max: int = int_knob(
        8_192, 16, 1_000_000, "Spans that wait to be sent; more are dropped, and counted."
    )
    metrics_endpoint: str | None = knob_field(
        None, Knob(str, "Send metrics to the OTLP receiver at this address; to none if left out.", None)
    )
    metrics_interval_s: float = float_knob(10, 0.05, 3_600, "They are sent this often.")
    sample_s: float = float_knob(5, 0.1, 3_600, "What stands in the journal is counted this often, for gauges.")
    measure: bool = knob_field(
        default=False,
        knob=Knob(bool, "Measure loop and journal also where neither HTTP is served nor metrics sent.", default=False),
    )

    def __attrs_post_init__(self) -> None:
        """Refuse an address that is none."""
        if self.otlp_endpoint is not None:
            traces_address(self.otlp_endpoint)
        if self.metrics_endpoint is not None:
            metrics_address(self.metrics_endpoint)


def traces_address(endpoint: str) -> str:
    """Where traces go at an OTLP receiver: the path `/v1/traces` at its address, or the very path that is given.

    Raises:
        SettingsError: it is no address of an HTTP server.
    """
    return _address(endpoint, "otlp_endpoint", "v1/traces")


def metrics_address(endpoint: str) -> str:
    """Where metrics go: the path `/v1/metrics`, as above.

    Raises:
        SettingsError: it is no address of an HTTP server.
    """
    return _address(endpoint, "metrics_endpoint", "v1/metrics")


def _address(endpoint: str, knob: str, path: str) -> str:
    from urllib.parse import urlsplit  # noqa: PLC0415 - only where something is sent

    try:
        parts = urlsplit(endpoint)
        found = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or True)
    except ValueError:
        found = False
    if not found:
        cure = "write an address as http://127.0.0.1:4318"
        raise SettingsError(f"TelemetrySettings.{knob}", f"is {endpoint!r}, which is no address", cure)
    return endpoint if parts.path.strip("/") else f"{endpoint.rstrip('/')}/{path}"
