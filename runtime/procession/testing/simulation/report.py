"""What a failing seed leaves: a text that says what happened, and a journal file that `procession show` opens."""

from __future__ import annotations

from pathlib import Path

import attrs
import trio

from procession.journal.rows import Commit, Contents
from procession.journal.sqlite import open_sqlite
from procession.primitives.stored import stored_of
from procession.testing.simulation.machine import Breach, Run
from procession.testing.simulation.plan import SOURCE, Plan

_LINES_SHOWN_MAX = 60


@attrs.frozen
class Failure:
    """A seed that fails, and the smallest plan found that fails in the same way."""

    seed: int
    breaches: tuple[Breach, ...]
    """Of the plan as it was drawn."""
    run: Run
    """Of the shrunk plan."""
    shrunk_breaches: tuple[Breach, ...]
    size: int
    """Of the plan as it was drawn."""
    runs: int
    """That shrinking took."""


def write(failure: Failure, folder: Path) -> tuple[Path, Path]:
    """The text and the journal of a failure, in this folder; the paths of both.

    What was there under these names is replaced.
    """
    folder.mkdir(parents=True, exist_ok=True)
    text, journal = folder / f"seed-{failure.seed}.txt", folder / f"seed-{failure.seed}.db"
    for old in (journal, *(journal.with_name(journal.name + end) for end in ("-wal", "-shm", "-head", ".lock"))):
        old.unlink(missing_ok=True)
    trio.run(_copy, failure.run.past.contents, journal, failure.run.now_us)
    text.write_text("\n".join([*_told(failure), *failure.run.trace.lines(), ""]), "utf-8")
    return text, journal


def message(failure: Failure, text: Path, journal: Path) -> str:
    """What the assertion says."""
    flow = next((f"{row.process}/{row.key}" for row in failure.run.past.contents.flows), "PROCESS/KEY")
    lines = failure.run.trace.lines()
    hidden = len(lines) - _LINES_SHOWN_MAX
    shown = [f"  … {hidden} lines before", *lines[-_LINES_SHOWN_MAX:]] if hidden > 0 else lines
    return "\n".join(
        [
            *_told(failure),
            *shown,
            f"all of it: {text}",
            f"the journal: procession --journal {journal} show {flow}",
            f"the same again: simulate(..., seeds=[{failure.seed}])",
        ]
    )


def _told(failure: Failure) -> list[str]:
    plan = failure.run.plan
    return [
        f"seed {failure.seed} breaks what is promised:",
        *(f"  {rule}: {found}" for rule, found in failure.breaches),
        f"shrunk in {failure.runs} runs from size {failure.size} to {plan.size}, it breaks:",
        *(f"  {rule}: {found}" for rule, found in failure.shrunk_breaches),
        "with this plan:",
        *_plan_lines(plan),
        "what happened:",
    ]


def _plan_lines(plan: Plan) -> list[str]:
    found = []
    for publish in plan.publishes:
        named = ", ".join(f"{stored_of(type(one.event)).name} as {one.source}/{one.id}" for one in publish.events)
        found.append(f"  at {publish.at_s:g} s publish {named}")
    found += [f"  at {one.at_s:g} s send {one.command} as {SOURCE}/{one.id}" for one in plan.sendings]
    for one in plan.at_commits:
        at = f"  commit {one.number}{', or the first after it that leaves work undone' if one.waits else ''}"
        found.append(f"{at}: {one.fault}{f', {one.reopens_failing} reopens fail' if one.reopens_failing else ''}")
    found += [f"  read {number} fails" for number in sorted(plan.at_reads)]
    found += [f"  at {one.at_s:g} s: {one.fault} ({one.amount:g})" for one in plan.at_times]
    found += [f"  until {plan.horizon_s:g} s: {', '.join(sorted(plan.constant)) or 'nothing else goes wrong'}"]
    return [*found, *(["  and then a crash"] if plan.ends_by_crash else [])]


async def _copy(contents: Contents, path: Path, now_us: int) -> None:
    """The rows as a SQLite journal: one commit that holds them all."""
    journal = await open_sqlite(path, clock_us=lambda: now_us)
    await journal.commit(commit_of(contents))
    await journal.close_clean()


def commit_of(contents: Contents) -> Commit:
    """One commit that writes all rows of a journal into an empty one."""
    return Commit(
        events=list(contents.events),
        steps=sorted(contents.steps, key=lambda row: (row.flow, row.version)),
        flows={row.id: row for row in contents.flows},
        unhandled=list(contents.unhandled),
        deliveries={(row.flow, row.position): row for row in contents.deliveries},
        commands=list(contents.commands),
        timers={(row.flow, row.name): row for row in contents.timers},
        snapshots=list(contents.snapshots),
        types=list(contents.types),
        concerns=list(contents.concerns),
    )
