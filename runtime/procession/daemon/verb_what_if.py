"""`procession what-if`: what would have come of a flow's history with events changed, inserted or dropped."""

from __future__ import annotations

import argparse
from typing import Any

import trio

from procession.daemon.configuration import configured
from procession.daemon.exit_codes import UsageRefused
from procession.daemon.flow_shown import plain
from procession.daemon.output import Output
from procession.daemon.verb_show import flow_name
from procession.journal.sqlite_reader import read_sqlite
from procession.primitives.codec import from_json, to_json
from procession.primitives.registry import Registry
from procession.reading.what_if import read_what_if
from procession.reading.what_if_answer import Edit, WhatIf, WhatIfStep
from procession.wiring import load_wiring, registry_of


def run(options: argparse.Namespace, output: Output) -> int:
    """Show what would differ."""
    process, key = flow_name(options.flow)
    edits = _edits(options)
    configuration = configured(options)
    settings = configuration.settings
    registry = registry_of(load_wiring(settings, "testing"))
    effects_max = settings.flows.effects_per_turn_max
    found = trio.run(_read, configuration.existing_journal(), registry, (process, key), edits, effects_max)
    if output.as_json:
        output.json(plain(found))
    else:
        _print(output, found)
    return 0


async def _read(journal: str, registry: Registry, flow: tuple[str, str], edits: list[Edit], effects_max: int) -> WhatIf:
    reader = await read_sqlite(journal)
    try:
        return await read_what_if(reader, registry, *flow, edits, effects_max=effects_max)
    finally:
        await reader.close()


def _edits(options: argparse.Namespace) -> list[Edit]:
    """The edits of the command line."""
    found = [Edit(kind="drop", at=_version(text)) for text in options.drop or ()]
    found += [Edit(kind="change", at=_version(at), data=_data(data)) for at, data in options.change or ()]
    found += [
        Edit(kind="insert", at=_version(at), type=kind, data=_data(data)) for at, kind, data in options.insert or ()
    ]
    if not found:
        raise UsageRefused("there is no edit", "give --change, --insert or --drop")
    return found


def _version(text: str) -> int:
    if not (text.isascii() and text.isdecimal()):
        raise UsageRefused(f"{text!r} is no step", "give its version, as `procession show` has it")
    return int(text)


def _data(text: str) -> Any:  # noqa: ANN401 - JSON
    try:
        return from_json(text)
    except ValueError as error:
        raise UsageRefused(f"{text!r:.60} is no JSON ({error})", "write the event's data as one JSON object") from None


def _print(output: Output, found: WhatIf) -> None:
    output.line(output.styled(output.cell(f"{found.flow}, what if"), "bold"))
    for step in found.steps:
        _print_step(output, step)
    same = f"{found.steps_same} other step{'' if found.steps_same == 1 else 's'} as before"
    output.line(f"\n{same}")
    for said, asked in (
        ("not sent", found.commands_gone),
        ("sent besides", found.commands_new),
        ("not armed", found.timers_gone),
        ("armed besides", found.timers_new),
    ):
        for one in asked:
            output.line(f"{said}: {output.cell(to_json(one).decode())}")
    if found.outcome_before != found.outcome_after:
        ends = [outcome or "not ended" for outcome in (found.outcome_before, found.outcome_after)]
        output.line(f"outcome: {output.cell(ends[0])} → {output.cell(ends[1])}")
    for change in found.state:
        output.line(output.cell(f"state {change.path}: {_short(change.before)} → {_short(change.after)}"))
    for said, failure in (("as it was", found.failure_before), ("as edited", found.failure_after)):
        if failure:
            output.line(output.styled(output.cell(f"{said} it breaks off: {failure}"), "red"))
    if found.same:
        output.line("nothing would differ")


def _print_step(output: Output, step: WhatIfStep) -> None:
    how = f" ({step.edit})" if step.edit else ""
    orphan = output.styled("  answers what would not have been asked for", "yellow") if step.orphan else ""
    output.line(f"\n{step.at:>6}  {output.styled(output.cell(step.type), 'cyan')}{how}{orphan}")
    if step.before != step.after:
        output.line(f"        → {output.cell(step.before) or 'not there'} → {output.cell(step.after) or 'not there'}")
    for mark, asked in (("-", step.asked_before), ("+", step.asked_after)):
        for one in asked if step.asked_before != step.asked_after else ():
            output.line(output.cell(f"        {mark} {to_json(one).decode()}"))


def _short(value: object) -> str:
    return to_json(value).decode()[:80]
