"""One flow's state around one of its events, for people and programs: `procession show --at`."""

from __future__ import annotations

import trio

from procession.daemon.configuration import Configuration
from procession.daemon.flow_shown import plain
from procession.daemon.output import Output
from procession.journal.sqlite_reader import read_sqlite
from procession.primitives.codec import to_json
from procession.primitives.registry import Registry
from procession.reading.flow_states import StateAt
from procession.reading.past_states import read_state
from procession.wiring import load_wiring, registry_of

_SHOWN_CHARS_MAX = 200


def show_state(configuration: Configuration, output: Output, flow: tuple[str, str], at: int) -> int:
    """Print it."""
    journal = configuration.existing_journal()
    registry = registry_of(load_wiring(configuration.settings, "testing"))
    found = trio.run(_read, journal, registry, flow, at)
    if output.as_json:
        output.json(plain(found))
        return 0
    output.line(output.styled(output.cell(f"{found.flow}, event {found.at} of {found.last}"), "bold"))
    handler = f" → {found.handler}" if found.handler else ""
    output.line(output.cell(f"{found.type} at {found.position}: {found.fate}{handler}"))
    output.line(f"    {output.cell(_short(found.data))}")
    output.line(output.cell(f"before: {_short(found.before)}"))
    output.line(output.cell(f"after:  {_short(found.after)}"))
    for change in found.changes:
        output.line(output.cell(f"    {change.path} {change.kind}: {_short(change.before)} → {_short(change.after)}"))
    if found.changes_left_out:
        output.line(f"    and {found.changes_left_out} more")
    if found.failure:
        output.line(output.styled(output.cell(found.failure), "red"))
    return 0


async def _read(journal: str, registry: Registry, flow: tuple[str, str], at: int) -> StateAt:
    reader = await read_sqlite(journal)
    try:
        return await read_state(reader, registry, *flow, at)
    finally:
        await reader.close()


def _short(value: object) -> str:
    text = to_json(value).decode()
    return text if len(text) <= _SHOWN_CHARS_MAX else f"{text[:_SHOWN_CHARS_MAX]}…"
