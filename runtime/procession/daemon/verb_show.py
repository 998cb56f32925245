"""`procession show`: one flow in order, with causes; beside a running owner or with none."""

from __future__ import annotations

import argparse
from typing import Any

import attrs
import trio

from procession.daemon.configuration import configured
from procession.daemon.durations import human, iso, now_us
from procession.daemon.exit_codes import UsageRefused
from procession.daemon.flow_shown import shown_history
from procession.daemon.output import Output
from procession.journal.sqlite_reader import read_sqlite
from procession.primitives.codec import to_json
from procession.reading.sequence import Sequence
from procession.reading.sequence_mermaid import sequence_mermaid
from procession.reading.sequence_of import read_sequence
from procession.reading.timeline import Entry, Timeline, effects_of, failures_of, read_timeline

_US = 1_000_000
_EVENTS_MAX = 10_000
"""Of one diagram."""


def run(options: argparse.Namespace, output: Output) -> int:
    """Show one flow."""
    process, key = flow_name(options.flow)
    if options.at is not None:
        from procession.daemon.state_shown import show_state  # noqa: PLC0415 - it loads the flows, which are users' code

        return show_state(configured(options), output, (process, key), options.at)
    if options.mermaid:
        drawn = trio.run(_read_sequence, configured(options).existing_journal(), process, key)
        output.line(sequence_mermaid(drawn).rstrip("\n"))
        return 0
    timeline = trio.run(_read, configured(options).existing_journal(), process, key)
    asked_us = now_us()
    if output.as_json:
        output.json(attrs.asdict(shown_history(timeline, asked_us)))
    else:
        _Printed(output, timeline, asked_us).print()
    return 0


def flow_name(text: str) -> tuple[str, str]:
    """Process and key of `order/421`; a key may hold slashes.

    Raises:
        UsageRefused: it names no flow.
    """
    process, slash, key = text.partition("/")
    if not (process and slash and key):
        raise UsageRefused(f"{text!r} names no flow", "write PROCESS/KEY, as `procession ls` shows it")
    return process, key


async def _read(journal: str, process: str, key: str) -> Timeline:
    reader = await read_sqlite(journal)
    try:
        return await read_timeline(reader, process, key)
    finally:
        await reader.close()


async def _read_sequence(journal: str, process: str, key: str) -> Sequence:
    reader = await read_sqlite(journal)
    try:
        return await read_sequence(reader, process, key, events_max=_EVENTS_MAX)
    finally:
        await reader.close()


class _Printed:
    """A timeline for people: an event a line, what followed from it indented below."""

    def __init__(self, output: Output, timeline: Timeline, asked_us: int) -> None:
        self._output = output
        self._timeline = timeline
        self._asked_us = asked_us
        self._began_us = timeline.flow.started_us or (
            timeline.entries[0].event.recorded_us if timeline.entries else asked_us
        )

    def print(self) -> None:
        """Print all of it."""
        self._head()
        for entry in self._timeline.entries:
            self._entry(entry)
        for timer in self._timeline.timers:
            due = human((timer.due_us - self._asked_us) / _US)
            self._output.line(f"\narmed: {timer.name}, due in {due}, at {iso(timer.due_us)}")

    def _head(self) -> None:
        flow, output = self._timeline.flow, self._output
        output.line(output.styled(output.cell(f"{flow.process}/{flow.key}"), "bold"))
        ended = f" ({flow.outcome})" if flow.outcome else ""
        output.line(f"{output.status(flow.status)}{ended}, {flow.version} steps")
        if flow.reason:
            output.line(output.styled(output.cell(f"because {flow.reason}"), "red"))
        if flow.started_us:
            idle = human((self._asked_us - flow.updated_us) / _US)
            output.line(f"started {iso(flow.started_us)}, last step {idle} ago")

    def _entry(self, entry: Entry) -> None:
        output, event = self._output, entry.event
        after = human(max(0, event.recorded_us - self._began_us) / _US)
        place = output.styled(f"{event.position:>6}  +{after:<8}", "dim")
        output.line(f"\n{place} {output.styled(event.type, 'cyan')}  {output.styled(output.cell(entry.cause), 'dim')}")
        output.line(f"        {output.cell(event.payload)}")
        if entry.fate == "alert":
            output.line(f"        {output.styled('alert: an invariant of this flow is broken', 'red')}")
            return
        if entry.step is None:
            fate = entry.fate.replace("_", " ")
            output.line(f"        {output.styled(f'no turn: {fate}', 'yellow')}")
            return
        how = "" if entry.fate == "handled" else f" ({entry.fate})"
        output.line(f"        → {entry.step.name}{how}, step {entry.step.version}")
        for effect in effects_of(entry.step):
            self._effect(effect)

    def _effect(self, effect: dict[str, Any]) -> None:
        output = self._output
        if "command" in effect:
            self._command(effect)
        elif "timer" in effect:
            output.line(f"          deadline {effect['event']}, due {iso(effect['due_us'])}")
        elif "cancel" in effect:
            output.line(f"          cancels {effect['cancel']}")
        elif "record" in effect:
            output.line(f"          records {effect['record']}")
        elif "end" in effect:
            output.line(f"          ends: {output.cell(str(effect['end']))}")

    def _command(self, effect: dict[str, Any]) -> None:
        output = self._output
        command = self._timeline.commands.get(effect["id"])
        data = output.cell(to_json(effect["data"]).decode())
        if command is None:
            output.line(f"          command {effect['command']} {data}")
            return
        row = command.row
        state = output.styled(
            row.state.replace("_", " "),
            _COLOURS.get(row.state, ""),
        )
        tries = f"{row.attempts} attempt{'' if row.attempts == 1 else 's'}"
        output.line(f"          command {row.type} → {row.gateway}: {state}, {tries}, id {effect['id']}")
        output.line(f"            {data}")
        for failure in failures_of(command):
            found = f"attempt {failure.get('n', '?')} failed: {output.cell(str(failure.get('found', '')))}"
            output.line(f"            {output.styled(found, 'yellow')}")
        if row.state == "open" and row.due_us > self._asked_us:
            output.line(f"            next attempt in {human((row.due_us - self._asked_us) / _US)}")


_COLOURS = {"given_up": "red", "refused": "yellow", "answered": "green"}
