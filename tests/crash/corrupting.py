"""Damages a journal in many ways, and asks of each: who noticed, was any row wrong, and what does a salvage keep?

    python -m tests.crash.corrupting --flips 1000 [--seed 1]
    python -m tests.crash.corrupting --flips 100 --others 10 --rounds 1000 --minutes 5

The journal is that of a real run. Each damage is done to a fresh copy. It counts as noticed by the first layer that
notices: opening, reading every row, the pages, a checksum chain, the checksum of a row, the comparison of rows with
what they follow from. Else every row must equal the original, or it is missed.
"""

# A script prints.
# ruff: noqa: T201

from __future__ import annotations

import argparse
import logging
import random
import sqlite3
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import attrs
import trio

from procession import ProcessionError, open_runtime
from procession.journal.archive_folder import ArchiveFolder
from procession.journal.head_file import refuse_older
from procession.journal.sqlite_schema import prepare_reader, uri_of
from procession.journal.sqlite_verify import checks
from tests.crash.counts import Counts, add_arguments, hand_out, within
from tests.crash.damaged_case import Case, Tables, make, rows_of
from tests.crash.damages import DAMAGES, HEAD_DAMAGES, OF_A_LOG, Moment, lay
from tests.crash.salvage_check import UNPROVED, breaches_of
from tests.fixtures.journals.parcel_v1 import Couriers, Parcel

CHAIN_CODES = ("event_crc", "step_crc", "event_tail", "step_tail", "event_tombstone", "step_tombstone")
ROW_CODES = ("flow_crc", "command_crc", "type_crc", "concern_crc", "names")
LAYERS = ("open", "read", "pages", "chain", "row", "compared", "start", "equal", "earlier", "missed")
HARMLESS = {
    "snapshot": {"*", "version", "fingerprint", "state"},
    "owner": UNPROVED["owner"],
    "journal": {"created_us"},
}
"""What may change unnoticed, for no turn and no effect follows from it: docs/salvage.md says of each why."""


@attrs.define
class Seen:
    """What one damage came to."""

    layer: str
    differing: frozenset[str]
    """Columns that were read as something else than was written, as `table.column`."""
    breaches: list[str]
    """Of what a salvage promises."""
    kept: float | None
    """Share of the flows that a salvage kept; None where it could find nothing."""


def layer_of(path: Path, original: Tables, *, chains: bool = True, heads: bool = True) -> tuple[str, frozenset[str]]:
    """Who noticed, and what was wrong; `chains=False` plants a fault: a check without checksums, `heads=False` another:
    an owner that does not look at the head file."""
    try:
        if heads:
            refuse_older(str(path))
        with closing(sqlite3.connect(uri_of(str(path), "mode=ro"), uri=True, isolation_level=None)) as connection:
            prepare_reader(connection, str(path))
            connection.execute("select id from journal").fetchone()[0]
            codes = _codes(connection, path)
    except (sqlite3.Error, ProcessionError, TypeError):
        return "open", frozenset()
    try:
        differing = _differing(original, rows_of(path))
    except sqlite3.Error:
        return "read", frozenset()
    found = {
        "pages": not codes.isdisjoint(("pages", "schema")),
        "chain": chains and bool(codes.intersection(CHAIN_CODES)),
        "row": chains and bool(codes.intersection(ROW_CODES)),
        "compared": bool(codes.difference((*CHAIN_CODES, *ROW_CODES))),
        "equal": not differing,
        "earlier": _is_earlier(original, rows_of(path)),
    }
    return next((layer for layer, is_so in found.items() if is_so), "missed"), differing


def _is_earlier(original: Tables, found: Tables) -> bool:
    """Whether it has fewer events, and none that is another: with nothing to find, it is what it was at a moment."""
    there, were = set(map(repr, found["event"])), set(map(repr, original["event"]))
    return there < were


def _codes(connection: sqlite3.Connection, path: Path) -> set[str]:
    codes: set[str] = set()
    for check in checks(ArchiveFolder(str(path))):
        while (found := check(connection)) is not None:
            codes.update(fault.code for fault in found)
    return codes


def _differing(original: Tables, found: Tables) -> frozenset[str]:
    differing: set[str] = set()
    for table in original.keys() | found.keys():
        one, other = original.get(table, ()), found.get(table, ())
        if len(one) != len(other):
            differing.add(f"{table}.*")
            continue
        gone = [row for row in one if row not in other]
        come = [row for row in other if row not in one]
        differing.update(
            f"{table}.{column}"
            for before, after in zip(gone, come, strict=True)
            for column in before
            if before[column] != after.get(column)
        )
    return frozenset(differing)


async def starts(path: Path) -> bool:
    """Whether a runtime with the classes that it was written by takes it."""
    try:
        async with open_runtime(path, processes=[Parcel], gateways=[Couriers()]) as runtime:
            await runtime.journal.heads()
    except (ProcessionError, sqlite3.Error):
        return False
    return True


async def look(case: Case, folder: Path, content: bytes, wal: bytes | None = None, head: bytes | None = None) -> Seen:
    """Ask everything of one damaged file."""
    path, target, flows = folder / "damaged.db", folder / "new.db", len(case.folded)
    lay(path, content, wal, head)
    layer, differing = layer_of(path, case.rows)
    whole = ("earlier", "missed", "equal")
    if layer == "open" and head is not None and layer_of(path, case.rows, heads=False)[0] in whole:
        case = await Case.of(path)  # whole, as of an earlier commit: more than there is can't be kept
    breaches, kept = await breaches_of(path, target, case)
    kept = None if kept is None else kept * len(case.folded) / flows
    if layer == "missed" and not await starts(path):
        layer = "start"
    for name in folder.iterdir():
        name.unlink()
    return Seen(layer, differing, breaches, kept)


async def run(
    case: Case, folder: Path, seed: int, numbers: dict[str, int], *, told: bool = False
) -> dict[str, list[Seen]]:
    """So many damages of each kind."""
    seen: dict[str, list[Seen]] = {}
    for name, number in numbers.items():
        chance = random.Random(f"{seed} {name}")
        for count in range(number):
            content = bytearray(case.content)
            wal = DAMAGES[name](content, case.wal, case.moments, chance)
            head = case.head
            if head is not None and name in HEAD_DAMAGES:
                head = HEAD_DAMAGES[name](head, case.moments, chance)
            found = await look(case, folder, bytes(content), wal, head)
            seen.setdefault(name, []).append(found)
            for breach in found.breaches if told else ():
                print(f"{name} {count + 1}: {breach}", file=sys.stderr, flush=True)
            if told and (count + 1) % 100 == 0:
                print(f"{name}: {count + 1} of {number}", file=sys.stderr, flush=True)
    return seen


def table(seen: dict[str, list[Seen]]) -> str:
    """For the docs."""
    lines = [f"| damage | times | {' | '.join(LAYERS)} | salvaged | flows kept |", "|---" * (len(LAYERS) + 4) + "|"]
    for name, of_kind in seen.items():
        layers = Counter(one.layer for one in of_kind)
        kept = [one.kept for one in of_kind if one.kept is not None]
        share = f"{sum(kept) / len(kept):.1%}" if kept else "-"
        counts = " | ".join(str(layers[layer]) for layer in LAYERS)
        lines.append(f"| {name} | {len(of_kind)} | {counts} | {len(kept)} | {share} |")
    return "\n".join(lines)


async def _main(given: argparse.Namespace) -> tuple[Case, dict[str, list[Seen]]]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        moments: list[Moment] = []
        await make(folder / "made.db", given.parcels, moments)
        closed = await Case.of(folder / "made.db", moments)
        killed = await Case.killed(folder / "killed.db", moments)
        (folder / "work").mkdir()
        numbers = {
            kind: given.flips if kind == "bit flip" else given.others for kind in DAMAGES if kind not in OF_A_LOG
        }
        of_logs = dict.fromkeys(OF_A_LOG, given.others)
        seen: dict[str, list[Seen]] = {}
        for seed in within(given.minutes, range(given.seed, given.seed + given.rounds)):
            for case, damages in ((closed, numbers), (killed, of_logs)):
                for kind, found in (await run(case, folder / "work", seed, damages, told=True)).items():
                    seen.setdefault(kind, []).extend(found)
        return closed, seen


def forgiven(seen: Seen) -> bool:
    """Whether all that was read as something else is harmless."""
    return all(
        column in HARMLESS.get(table, ()) for table, _, column in (each.partition(".") for each in seen.differing)
    )


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.crash.corrupting")
    parser.add_argument("--flips", type=int, default=1000)
    parser.add_argument("--others", type=int, default=100, help="of each other kind of damage")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--parcels", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=1, help="so often, each by the next seed")
    add_arguments(parser)
    options = parser.parse_args(arguments)
    logging.disable(logging.WARNING)  # each damage is told there, and counted here
    case, seen = trio.run(_main, options)
    print(f"seed {options.seed}, {len(case.content):,} bytes, {len(case.folded)} flows")
    print(table(seen))
    everything = [one for of_kind in seen.values() for one in of_kind]
    missed = [one for one in everything if one.layer == "missed"]
    columns = Counter(column for one in missed for column in one.differing)
    print("read as something else, and nobody noticed:", dict(columns.most_common()) or "nothing")
    harmful = [sorted(one.differing) for one in missed if not forgiven(one)]
    print("and is not harmless:", len(harmful), *harmful[:20], sep="\n  ")
    breaches = [f"{kind}: {breach}" for kind, of_kind in seen.items() for one in of_kind for breach in one.breaches]
    print("breaches of a salvage:", len(breaches), *breaches[:20], sep="\n  ")
    found = Counter("equal" if one.layer in ("equal", "earlier") else one.layer for one in everything)
    figures = {
        "damages": len(everything),
        "bit flips among them": len(seen.get("bit flip", ())),
        "noticed": len(everything) - found["equal"] - found["missed"],
        "that left every row as it was": found["equal"],
        "unnoticed in what decides nothing": found["missed"] - len(harmful),
        "salvaged": sum(one.kept is not None for one in everything),
    }
    unnoticed = [f"unnoticed, and not harmless: {columns}" for columns in harmful]
    counts = Counts(figures, [*breaches, *unnoticed], ("damages", "noticed", "salvaged"))
    return hand_out(options, counts, shown=False)


if __name__ == "__main__":
    sys.exit(main())
