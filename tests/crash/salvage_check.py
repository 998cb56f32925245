"""What a salvage promises, asked of one: what it keeps is what was there, and what it does not keep it lists."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import cast

from procession import ProcessionError
from procession.journal.salvage import Salvaged, salvage
from tests.crash.damaged_case import Case, Tables, folded_of, rows_of

UNPROVED = {
    "delivery": {"timer", "marked"},
    "snapshot": {"version", "fingerprint", "state"},
    "owner": {"renewed_us", "started_us", "pid", "host", "epoch", "clean", "unclean_starts"},
    "type": {"kind", "name", "version", "shape"},
    "concern": {"process", "type", "since"},
    "unhandled": {"reason"},
    "journal": {"created_us"},
}
"""What nothing else in a journal tells again: when, how often, why."""


async def breaches_of(path: Path, target: Path, case: Case) -> tuple[list[str], float | None]:
    """Salvage, and compare all that was kept with what was there."""
    try:
        found = salvage(str(path), str(target))
    except ProcessionError:
        return [], None
    except Exception as error:  # noqa: BLE001 - whatever it is, it is a breach: a salvage says what it can't do
        return [f"it raised {error!r}"], None
    # What a type was like can't be made anew without its class: that stays told until the next start.
    faults = [fault for fault in found.faults if fault.code != "type_missing"]
    breaches = [f"the new journal has {fault.code}: {fault.found}" for fault in faults]
    rows = rows_of(target)
    for table in ("event", "step", "command", "timer", "delivery", "flow"):
        breaches += _strange(table, rows, case.rows, found)
    try:
        folded = await folded_of(target)
    except (KeyError, ProcessionError) as error:
        return [*breaches, f"it can't be folded: {error!r}"], 0.0
    missing = _told_of(case.folded.keys() - folded.keys(), case, found, rows)
    listed = {f"{flow.process}/{flow.key}" for flow in found.left_out}
    unnamed = sum(flow.process is None for flow in found.left_out)
    if len(missing - listed) > unnamed:
        breaches.append(f"not kept and not listed: {sorted(missing - listed)[:5]}")
    breaches += _forgotten(case.rows, rows)
    differing = [name for name in folded if _state(folded[name]) != _state(case.folded.get(name))]
    breaches += [
        f"{name} folds to something else: {_state(folded[name])}, not {_state(case.folded.get(name))}"
        for name in differing[:5]
    ]
    return breaches, len(folded) / max(1, len(case.folded))


def _forgotten(original: Tables, rows: Tables) -> Iterator[str]:
    """Events that waited for a flow which was kept, and do not any more."""
    kept = {row["id"] for row in rows["flow"]}
    waiting = {(row["flow"], row["position"]) for row in rows["delivery"]}
    for row in original["delivery"]:
        if row["flow"] in kept and (row["flow"], row["position"]) not in waiting:
            yield f"event {row['position']} waited for flow {row['flow']}, which was kept without it"


def _told_of(flows: set[str], case: Case, found: Salvaged, rows: Tables) -> set[str]:
    """Those of which some event was kept, so that something can tell of them."""
    end = cast(int, rows["owner"][0]["position"])
    return {
        f"{process}/{key}"
        for event in case.rows["event"]
        if cast(int, event["position"]) <= end
        and not any(first <= cast(int, event["position"]) <= last for first, last in found.events_lost)
        for process, keys in json.loads(str(event["keys"])).items()
        for key in keys
    } & flows


def _state(flow: object) -> object:
    assert isinstance(flow, dict)
    return {name: value for name, value in flow.items() if name != "commands"}


def _strange(table: str, rows: Tables, original: Tables, found: Salvaged) -> Iterator[str]:
    """Rows of the new journal that the old one did not have, but for those that were made anew."""
    unproved = UNPROVED.get(table, set()) | ({"crc"} if table in ("event", "step") else set())
    known = {repr({name: value for name, value in row.items() if name not in unproved}) for row in original[table]}
    strange = [
        row
        for row in rows[table]
        if repr({name: value for name, value in row.items() if name not in unproved}) not in known
    ]
    if len(strange) > found.rebuilt.get(table, 0):
        yield f"{len(strange)} rows of {table} are not what was written: {strange[0]}"
