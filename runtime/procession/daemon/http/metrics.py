"""The counters in Prometheus' text format, 0.0.4. Labels are names of gateways; no flow and no key is ever in one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from procession.engine.gateway_host import GatewayState
from procession.facade import Runtime
from procession.telemetry.names import PREFIX, HttpCounters, counter_help

MEDIA = "text/plain; version=0.0.4"


def exposition(runtime: Runtime, http: HttpCounters) -> str:
    """Everything that is counted, at this moment; from memory."""
    gateways = runtime.gateways()
    return "\n".join((*_lines(runtime, gateways), *_http_lines(http), ""))


def _http_lines(counters: HttpCounters) -> Iterator[str]:
    help_of = counter_help(HttpCounters)
    for name, value in counters.as_dict().items():
        yield from _metric(f"{name}_total", "counter", help_of[name], [("", value)])


def _lines(runtime: Runtime, gateways: Iterable[GatewayState]) -> Iterator[str]:
    help_of = counter_help()
    for name, value in runtime.counters().items():
        yield from _metric(f"{name}_total", "counter", help_of[name], [("", value)])
    yield from _metric(
        f"{PREFIX}held", "gauge", "1 while nothing is accepted and no attempt begins.", [("", int(bool(runtime.held)))]
    )
    figures = [(f'{{gateway="{_escaped(state.name)}"}}', state) for state in gateways]
    yield from _metric(
        f"{PREFIX}gateway_attempts_running",
        "gauge",
        "Attempts under way.",
        [(label, state.running) for label, state in figures],
    )
    yield from _metric(
        f"{PREFIX}gateway_commands_waiting",
        "gauge",
        "Commands in memory that wait for an attempt.",
        [(label, state.waiting) for label, state in figures],
    )
    yield from _metric(
        f"{PREFIX}gateway_paused",
        "gauge",
        "1 while an operator holds its attempts back.",
        [(label, int(state.paused)) for label, state in figures],
    )


def _metric(name: str, kind: str, about: str, values: Iterable[tuple[str, int]]) -> Iterator[str]:
    yield f"# HELP {name} {about}"
    yield f"# TYPE {name} {kind}"
    yield from (f"{name}{label} {value}" for label, value in values)


def _escaped(label: str) -> str:
    return label.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
