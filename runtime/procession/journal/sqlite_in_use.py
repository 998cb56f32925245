"""What a runtime must know of to go on with what is open."""

from __future__ import annotations

import sqlite3

from procession.journal.rows import TypeInUse

_LIVE = "status <> 'ended' and flow.status in ('unstarted', 'active', 'quarantined')"
"""The first part is what the index of flows that have not ended is made by."""


def types_in_use(connection: sqlite3.Connection) -> list[TypeInUse]:
    """See `JournalReader.types_in_use`."""
    questions = (
        (
            "select 'command', command.type, json_extract(step.effects, '$[' || command.idx || '].version'), count(*)"
            " from command join step on step.flow = command.flow and step.position = command.position"
            " where command.state = 'open' group by 2, 3 order by 2, 3"
        ),
        "select 'timer', type, version, count(*) from timer group by 2, 3 order by 2, 3",
        (
            "select 'delivery', event.type, event.version, count(*)"
            " from delivery join event on event.position = delivery.position group by 2, 3 order by 2, 3"
        ),
        (
            f"select 'flow', process, 0, count(*) from (select id, process from flow where {_LIVE}"
            " union select flow.id, flow.process from command cross join flow on flow.id = command.flow"
            " where command.state = 'open'"
            " union select flow.id, flow.process from delivery cross join flow on flow.id = delivery.flow"
            " where delivery.state = 'pending') group by 2 order by 2"
        ),
        (
            "select 'step', event.type, event.version, count(*) from flow cross join step on step.flow = flow.id"
            f" cross join event on event.position = step.position where {_LIVE}"
            " and step.outcome <> 'skipped' group by 2, 3 order by 2, 3"
        ),
    )
    return [TypeInUse._make(row) for question in questions for row in connection.execute(question)]
