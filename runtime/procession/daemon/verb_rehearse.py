"""`procession rehearse`: what would change for the flows of a journal, before it is deployed; calls no gateway."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator

import attrs
import trio

from procession.daemon.configuration import configured
from procession.daemon.exit_codes import ExitCode, UsageRefused
from procession.daemon.output import Output
from procession.daemon.progress import Progress
from procession.journal.sqlite_reader import read_sqlite
from procession.primitives.codec import to_json
from procession.primitives.registry import Registry
from procession.reading.rehearsal import Count, Example, Group, Outlook, Rehearsal, Rehearser, Selection
from procession.settings import Settings
from procession.wiring import load_wiring, registry_of

_SHOWN_CHARS_MAX = 200


def run(options: argparse.Namespace, output: Output) -> int:
    """Rehearse; 1 where a flow differs."""
    if options.limit < 0:
        raise UsageRefused(f"--limit {options.limit} is less than 0", "give it a number, 0 for all")
    selection = Selection(options.process, tuple(options.status or ()), options.limit, options.sample)
    configuration = configured(options)
    journal = configuration.existing_journal()
    # The gateways only say which commands have a receiver: those of production might want their secrets.
    wiring = load_wiring(configuration.settings, "testing")
    registry = registry_of(wiring)
    began = time.perf_counter()
    found = trio.run(_rehearse, journal, registry, configuration.settings, selection, output)
    seconds = time.perf_counter() - began
    if output.as_json:
        output.json(_json(found, journal, seconds, selection))
    else:
        _Printed(output, found, selection).print(seconds)
    return ExitCode.DONE if found.same else ExitCode.FAILED


async def _rehearse(
    journal: str, registry: Registry, settings: Settings, selection: Selection, output: Output
) -> Rehearsal:
    reader = await read_sqlite(journal)
    try:
        progress = Progress("rehearse", "steps", output.stderr, total=(await reader.heads()).flow)
        try:
            return await Rehearser(reader, registry, settings, selection, progress.show).run()
        finally:
            progress.clear()
    finally:
        await reader.close()


def _json(found: Rehearsal, journal: str, seconds: float, selection: Selection) -> dict[str, object]:
    return {
        "same": found.same,
        "journal": journal,
        "flows": attrs.asdict(found.flows),
        "steps": found.steps,
        "seconds": seconds,
        "steps_per_s": found.steps / seconds,
        "differing": attrs.asdict(found.differing),
        "differences": [_group_json(group, selection) for group in _ordered(found)],
        "differences_left_out": attrs.asdict(found.more_groups),
        "next": [attrs.asdict(outlook) for outlook in found.outlooks.values()],
        "moved": found.moved,
        "unknown_processes": {name: attrs.asdict(count) for name, count in found.unknown.items()},
        "start_refused": found.refused,
    }


def _group_json(group: Group, selection: Selection) -> dict[str, object]:
    return {
        "process": group.process,
        "handler": group.handler or None,
        "event": group.event,
        "what": group.what,
        "flows": attrs.asdict(group.flows),
        "commands_open": group.commands_open,
        "sample": [attrs.asdict(example) for example in group.examples(selection.examples)],
    }


def _ordered(found: Rehearsal) -> list[Group]:
    """What concerns most live flows first."""
    return sorted(found.groups.values(), key=lambda group: (-group.flows.live, -group.flows.ended))


class _Printed:
    """A rehearsal for people: a verdict, then a block for each difference."""

    def __init__(self, output: Output, found: Rehearsal, selection: Selection) -> None:
        self._output = output
        self._found = found
        self._selection = selection

    def print(self, seconds: float) -> None:
        """Print all of it."""
        output, found = self._output, self._found
        if found.refused is not None:
            output.line(output.styled("a runtime with this code would refuse to start:", "red"))
            output.line(f"    {output.cell(found.refused)}")
        for name, count in found.unknown.items():
            output.line(
                f"process {output.cell(name)} is not among the flows at hand: {self._flows(count)} not rehearsed"
            )
        for group in _ordered(found):
            self._group(group)
        if found.more_groups.total:
            output.line(f"and more kinds of differences than fit, in {self._flows(found.more_groups)}")
        self._outlooks()
        self._verdict(seconds)

    def _group(self, group: Group) -> None:
        output = self._output
        at = f"{group.handler}, at {group.event}" if group.handler else group.event
        output.line(output.styled(output.cell(f"{group.process}: {at}"), "bold"))
        output.line(f"    {output.styled(output.cell(group.what), 'yellow')}: {self._flows(group.flows)}")
        if group.commands_open:
            output.line(f"    commands of these that are still open, and will be delivered: {group.commands_open}")
        for example in group.examples(self._selection.examples):
            self._example(example)

    def _example(self, example: Example) -> None:
        output = self._output
        place = f"step {example.version}, event {example.position}" if example.version else "next"
        output.line(f"    {output.cell(example.flow)} ({example.status}), {place}")
        for word, data in (("recorded", example.recorded), ("now", example.now)):
            if data not in (None, []):
                output.line(f"        {word:<8} {output.cell(_text(data))}")

    def _outlooks(self) -> None:
        output, outlooks = self._output, list(self._found.outlooks.values())
        if not outlooks:
            return
        output.line(output.styled("what comes next for live flows, as they stand:", "bold"))
        for outlook in sorted(outlooks, key=lambda one: (one.process, not one.quarantined, -one.flows)):
            then = output.styled(outlook.then, "red" if outlook.fails else "")
            output.line(f"    {output.number(outlook.flows)} of {outlook.process}: {_waits(outlook)}: {then}")

    def _verdict(self, seconds: float) -> None:
        output, found = self._output, self._found
        for line in self._sentences():
            output.line(line)
        output.say(f"{found.steps:,} steps in {seconds:.1f}s, {found.steps / seconds:,.0f} a second")

    def _sentences(self) -> Iterator[str]:
        found = self._found
        if found.moved:
            yield f"{found.moved} live flows went on meanwhile: rehearse again to see what comes next for them"
        if not found.flows.total:
            yield "no flow was rehearsed"
        elif found.differing.total:
            yield f"rehearsed {self._flows(found.flows)}; {self._flows(found.differing)} would differ"
        else:
            yield f"rehearsed {self._flows(found.flows)}; all ask for the same so far"

    def _flows(self, count: Count) -> str:
        return f"{self._output.number(count.live)} live and {self._output.number(count.ended)} ended flows"


def _waits(outlook: Outlook) -> str:
    if outlook.waits == "deadline":
        return f"the deadline {outlook.type} is armed"
    return f"{outlook.type} waits" + (" in quarantine" if outlook.quarantined else "")


def _text(data: object) -> str:
    text = data if isinstance(data, str) else to_json(data).decode()
    return text if len(text) <= _SHOWN_CHARS_MAX else text[:_SHOWN_CHARS_MAX] + "…"
