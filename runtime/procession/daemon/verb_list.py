"""`procession ls`: the flows of a journal, beside a running owner or with none."""

from __future__ import annotations

import argparse

import attrs
import trio

from procession.daemon.configuration import configured
from procession.daemon.durations import human, now_us, parse_age
from procession.daemon.exit_codes import UsageRefused
from procession.daemon.flow_shown import shown_flow
from procession.daemon.output import Output
from procession.journal.flow_match import Match
from procession.journal.journal import JournalReader
from procession.journal.rows import FlowQuery, FlowRow
from procession.journal.sqlite_reader import read_sqlite
from procession.reading.search_meaning import meaning_of
from procession.reading.search_parser import parse_search

_PAGE = 1000
_US = 1_000_000


def run(options: argparse.Namespace, output: Output) -> int:
    """List flows, or aggregates, the oldest first."""
    asked_us = now_us()
    if options.limit < 0:
        raise UsageRefused(f"--limit {options.limit} is less than 0", "give it a number, 0 for all")
    before_us = None if options.older_than is None else asked_us - int(parse_age(options.older_than) * _US)
    searched = meaning_of(parse_search(" ".join(options.search)), asked_us)
    query = attrs.evolve(
        searched,
        process=options.process,
        status=tuple(options.status) if options.status else searched.status,
        outcome=options.outcome,
        key=options.key,
        key_prefix=options.prefix,
        started_before_us=before_us if searched.started_before_us is None else searched.started_before_us,
    )
    journal = configured(options).existing_journal()
    rows, more = trio.run(_read, journal, query, options.limit, options.aggregates)
    if output.as_json:
        output.json({"flows": [attrs.asdict(shown_flow(row, asked_us)) for row in rows], "more": more})
        return 0
    output.table(
        ("AGGREGATE" if options.aggregates else "FLOW", "STATUS", "OUTCOME", "STEPS", "AGE", "LAST STEP", "REASON"),
        [_cells(row, asked_us) for row in rows],
        status_column=1,
    )
    if more:
        output.say(f"the oldest {len(rows)} are shown; --limit 0 shows all, --help names the filters")
    elif not rows:
        output.say("no aggregate matches" if options.aggregates else "no flow matches")
    return 0


async def _read(journal: str, query: FlowQuery, limit: int, aggregates: bool) -> tuple[list[FlowRow], bool]:  # noqa: FBT001 - by trio.run
    """At most `limit` flows, or aggregates, and whether there are more."""
    reader = await read_sqlite(journal)
    try:
        if query.process is None and not any(_names_process(match) for match in query.matches):
            query = attrs.evolve(query, but_not=await _others(reader, aggregates=aggregates))
        rows: list[FlowRow] = []
        while True:
            wanted = _PAGE if limit == 0 else min(_PAGE, limit + 1 - len(rows))
            page = await reader.flows(query, rows[-1].id if rows else 0, wanted)
            rows.extend(page)
            if len(page) < wanted:
                return rows, False
            if limit and len(rows) > limit:
                return rows[:limit], True
    finally:
        await reader.close()


def _names_process(match: Match) -> bool:
    return match.column == "process" and not match.negated


async def _others(reader: JournalReader, *, aggregates: bool) -> tuple[str, ...]:
    """The names whose rows are not asked for: those of processes, or of aggregates."""
    if aggregates:
        return tuple(sorted({row.process for row in await reader.concerns()}))
    return tuple(row.name for row in await reader.types() if row.kind == "aggregate")


def _cells(row: FlowRow, asked_us: int) -> tuple[str, ...]:
    age = human((asked_us - row.started_us) / _US) if row.started_us else "-"
    idle = human((asked_us - row.updated_us) / _US)
    return (f"{row.process}/{row.key}", row.status, row.outcome or "-", str(row.version), age, idle, row.reason or "-")
