"""`procession top`: the running owner at a glance, drawn again and again on a terminal; once where it is piped."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from typing import Any

import trio

from procession.daemon.configuration import configured
from procession.daemon.durations import human
from procession.daemon.local_client import Owner, asked_owner
from procession.daemon.output import Output
from procession.daemon.stopping import Stop, run_stoppable

_CLEAR = "\x1b[H\x1b[2J"
_RATES = (
    ("events in", ("events_accepted",)),
    ("turns", ("turns_handled",)),
    ("commands", ("commands_sent",)),
    ("answers", ("commands_answered",)),
    ("ended", ("flows_ended", "flows_cancelled")),
    ("failed", ("attempts_failed", "turns_failed")),
    ("commits", ("commits",)),
)
_ERROR_CHARS = 60
_REASON_CHARS = 80


def run(options: argparse.Namespace, output: Output) -> int:
    """Show it until somebody wants us to stop; once where nobody looks at a terminal, or by --once."""
    owner = asked_owner(configured(options).existing_journal())
    return run_stoppable(lambda stop: _run(options, output, owner, stop))


async def _run(options: argparse.Namespace, output: Output, owner: Owner, stop: Stop) -> int:
    found = await owner.ask("snapshot")
    if output.as_json:
        output.json(found)
        return 0
    once = options.once or not output.on_terminal
    before: Mapping[str, Any] | None = None
    while True:
        if not once:
            output.stdout.write(_CLEAR)
        for line in _lines(output, found, before):
            output.line(line)
        output.stdout.flush()
        if once:
            return 0
        before = found
        with trio.move_on_after(options.interval_s):
            await stop.asked.wait()
            return 0
        found = await owner.ask("snapshot")


def _lines(output: Output, found: Mapping[str, Any], before: Mapping[str, Any] | None) -> Iterator[str]:
    trouble = [f"held: {found['held']}"] if found["held"] else []
    if found["stopped"]:
        trouble.append(f"stopped: {output.cell(', '.join(found['stopped']))}")
    state = output.styled("; ".join(trouble), "red") if trouble else output.styled("well", "green")
    yield f"{found['journal']}  process {found['pid']}, up {human(found['uptime_s'])}  {state}"
    yield ""
    span_s = found["uptime_s"] - (before["uptime_s"] if before else 0.0)
    yield "  ".join(f"{name} {_rate(found, before, counters, span_s)}/s" for name, counters in _RATES)
    yield ""
    for gateway in found["gateways"]:
        yield _gateway(output, gateway)
    yield ""
    number = f"{found['quarantined']:,}{'+' if found['quarantined_more'] else ''}"
    yield f"quarantine {output.styled(number, 'red' if found['quarantined'] else 'green')}"
    for flow in found["quarantine"]:
        yield f"    {output.cell(flow['flow'])}  {_short(output, flow['reason'] or '', _REASON_CHARS)}"
    yield ""
    yield from _tree(output, found["tree"], "")


def _rate(found: Mapping[str, Any], before: Mapping[str, Any] | None, counters: tuple[str, ...], span_s: float) -> str:
    names = [f"procession_{name}" for name in counters]
    grown = sum(found["counters"][name] - (before["counters"][name] if before else 0) for name in names)
    return f"{grown / span_s:,.0f}" if span_s > 0 else "0"


def _gateway(output: Output, state: Mapping[str, Any]) -> str:
    word, style = ("paused", "yellow") if state["paused"] else (f"breaker {state['breaker']}", "green")
    if not state["paused"] and state["breaker"] != "closed":
        style = "red"
    error = f"  last error: {_short(output, state['last_error'], _ERROR_CHARS)}" if state["last_error"] else ""
    waiting = f"{state['waiting']:,}{'+' if state['more'] else ''}"
    running = f"{state['running']} of {state['concurrency']} calls"
    return f"gateway {state['name']}  {output.styled(word, style)}  {running}, {waiting} wait{error}"


def _tree(output: Output, node: Mapping[str, Any], indent: str) -> Iterator[str]:
    style = {"running": "green", "ended": "dim", "failed": "red", "held": "red"}.get(node["state"], "yellow")
    restarts = f"  {node['restarts']} restarts" if node["restarts"] else ""
    detail = f"  {_short(output, node['detail'], _ERROR_CHARS)}" if node["detail"] else ""
    yield f"{indent}{output.cell(node['name'])}  {output.styled(node['state'], style)}{restarts}{detail}"
    for child in node["children"]:
        yield from _tree(output, child, indent + "    ")
    if node["children_left_out"]:
        yield f"{indent}    … and {node['children_left_out']:,} others"


def _short(output: Output, text: str, chars_max: int) -> str:
    shown = output.cell(text)
    return shown if len(shown) <= chars_max else f"{shown[: chars_max - 1]}…"
