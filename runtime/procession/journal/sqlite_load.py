"""Reading many flows at once from a SQLite journal: three statements for all of them, not three for each."""

# SQL in several lines is one string.

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from operator import itemgetter

from procession.journal.row_crc import FLOW_COLUMNS, flow_of
from procession.journal.rows import PastStep, ShortFlow
from procession.journal.sqlite_read import joined

_FLOWS = "flow on flow.process = asked.column1 and flow.key = asked.column2"
# By position, which is mostly the order of the versions: the index that finds them is made so.
_STEPS = (
    "select step.flow, step.version, step.outcome, event.type, event.version, event.payload, event.trace"
    " from json_each(?) as asked cross join step on step.flow = asked.value"
    " cross join event on event.position = step.position"
)
_HELD = "select value from json_each(?) where exists (select 1 from delivery where flow = value)"
_VERSION = itemgetter(0)


def load_many(
    connection: sqlite3.Connection, flows: Sequence[tuple[str, str]], steps_max: int
) -> dict[tuple[str, str], ShortFlow]:
    """See `JournalReader.load_many`."""
    rows = [flow_of(row) for row in dict.fromkeys(joined(connection, FLOW_COLUMNS, _FLOWS, flows))]
    short = [row.id for row in rows if row.outcome is None and row.version <= steps_max]
    steps: dict[int, list[PastStep]] = {flow: [] for flow in short}
    traces: dict[int, str] = {}
    for found in connection.execute(_STEPS, (json.dumps(short),)):
        steps[found[0]].append(PastStep._make(found[1:-1]))
        if found[1] == 1 and found[-1] is not None:
            traces[found[0]] = found[-1]
    for of_flow in steps.values():
        of_flow.sort(key=_VERSION)
    held = {flow for (flow,) in connection.execute(_HELD, (json.dumps([row.id for row in rows]),))}
    return {
        (row.process, row.key): ShortFlow(
            row, [] if row.outcome is not None else steps.get(row.id), row.id in held, traces.get(row.id)
        )
        for row in rows
    }
