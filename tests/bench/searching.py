"""What a search costs in a large journal, over HTTP on loopback: a page either way, a count, a completion.

By the clock, and in processor time of this process, which is server and client: where others use the machine, only that
tells what a search itself costs.

The flows are those of `large`, spread over a hundred days, with rare ones among them: of another process, with rare
outcomes, cancelled, and in quarantine with reasons. What is asked for takes turns, so that what the machine does
meanwhile meets all alike.
"""

from __future__ import annotations

import sqlite3
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack, closing
from pathlib import Path
from typing import NamedTuple

import httpx
import trio

from procession import open_runtime
from procession.daemon.http.server import http_served, listening_at
from procession.journal.row_crc import seal
from tests.bench import large, saga
from tests.bench.figures import Figures, Report, Row, at_most, percentiles

FLOWS = 1_000_000
_ASKED = 10
"""How often each search is asked in a round; the first round also warms up."""
_DAYS = 100
_DAY_US = 86_400_000_000
_LIVE = 1_000
_GOAL_MS_P99 = 100


class _Cost(NamedTuple):
    """Milliseconds of one request."""

    cpu: float
    wall: float


def searches(flows: int) -> Mapping[str, str]:
    """One of each kind of term, and some together."""
    middle = large.key_of(flows // 2 + 1)
    return {
        "everything": "",
        "process": "process:order",
        "process that is rare": "process:refund",
        "not a process": "-process:order",
        "status": "status:quarantined",
        "status of nearly all": "status:ended",
        "several statuses": "status:waiting,cancelled",
        "key": f"key:{middle}",
        "beginning of a key": f"key:{middle[:3]}*",
        "outcome that is rare": "outcome:unpaid",
        "not an outcome": "-outcome:shipped",
        "stage": "stage:reserve",
        "reason": '"too heavy"',
        "age": "age>50d",
        "age that few have": "age<1h",
        "updated": "updated<1h",
        "updated, long ago": "updated>99d",
        "several terms": f"process:order status:waiting age>1h key:{middle[:2]}*",
    }


def report_search(rounds: int, flows: int, folder: Path | None) -> Report:
    """Milliseconds at the client, by what was asked."""
    with ExitStack() as stack:
        there = folder or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="procession-bench-")))
        found = trio.run(_measured, journal_in(there, flows), flows, rounds)
    pages = [ms for name, all_ms in found.items() if name.startswith("page") for ms in all_ms]
    counts = [ms for name, all_ms in found.items() if name.startswith("count") for ms in all_ms]
    rows = [
        _row("a page of any search", pages),
        _row("a count of any search", counts),
        *(_row(name, all_ms) for name, all_ms in found.items() if not name.startswith("count")),
    ]
    asked = sum(map(len, found.values()))
    return Report("search", f"{flows:,} flows, {asked:,} requests one after another, over HTTP on loopback", rows)


def _row(what: str, costs: list[_Cost]) -> Row:
    cpu, wall = (percentiles([cost[at] for cost in costs]) for at in (0, 1))
    remark = f"p50 {cpu[0]:.1f}; by the clock p50 {wall[0]:.1f}, p99 {wall[2]:.0f}"
    return Row(f"{what} p99, ms of the processor", cpu[2], None, at_most(_GOAL_MS_P99), remark)


def figures(report: Report) -> Figures:
    """What a report found, by name."""
    return {row.figure: row.ours for row in report.rows}


async def _measured(path: Path, flows: int, rounds: int) -> dict[str, list[_Cost]]:
    found: dict[str, list[_Cost]] = {}
    listening = listening_at("127.0.0.1:0")
    async with (
        open_runtime(path, processes=[saga.Order], gateways=large.gateways()) as runtime,
        http_served(runtime, listening) as address,
        httpx.AsyncClient(base_url=address, timeout=60, trust_env=False) as client,
    ):
        await _ask_all(client, flows, {})  # once, so that what is measured is no first look at a file
        for _ in range(rounds * _ASKED):
            await _ask_all(client, flows, found)
    return found


async def _ask_all(client: httpx.AsyncClient, flows: int, found: dict[str, list[_Cost]]) -> None:
    for name, search in searches(flows).items():
        for order in ("newest", "oldest"):
            ask = {"q": search, "order": order}
            found.setdefault(f"page: {name}", []).append(await _asked_ms(client, "/v1/search", ask))
        found.setdefault(f"count: {name}", []).append(await _asked_ms(client, "/v1/search/count", {"q": search}))
    for typed in ("", "process:", "outcome:u", f"key:{large.key_of(flows // 2)[:4]}"):
        ms = await _asked_ms(client, "/v1/search/complete", {"q": typed})
        found.setdefault(f"complete: {typed or 'nothing'}", []).append(ms)
    found.setdefault("list, GET /v1/flows", []).append(await _asked_ms(client, "/v1/flows", {}))


async def _asked_ms(client: httpx.AsyncClient, path: str, query: Mapping[str, str]) -> _Cost:
    began, worked = time.perf_counter(), time.process_time()
    answer = await client.get(path, params=query)
    answer.raise_for_status()
    return _Cost(1000 * (time.process_time() - worked), 1000 * (time.perf_counter() - began))


def journal_in(folder: Path, flows: int) -> Path:
    """The journal of so many flows in a folder, made where it is not there; of another name until it is whole."""
    path = folder / f"search_{flows}.db"
    if not path.exists():
        _make(path, flows)
    return path


def _make(path: Path, flows: int) -> None:
    half = path.with_suffix(".half")
    half.unlink(missing_ok=True)
    trio.run(large.write, half, large.Large(flows, max(2, flows // _LIVE)))
    now_us = time.time_ns() // 1000
    with closing(sqlite3.connect(half)) as connection:
        connection.execute(
            "update flow set started_us = :now - (:flows - id) * :apart, updated_us = :now - (:flows - id) * :apart"
            " + 1000000",
            {"now": now_us - 60_000_000, "flows": flows, "apart": _DAYS * _DAY_US // flows},
        )
        ended = "outcome is not null and"
        connection.execute(f"update flow set process = 'refund' where {ended} id % 1000 = 7")
        connection.execute(f"update flow set outcome = 'unpaid' where {ended} id % 5000 = 3")
        connection.execute(f"update flow set status = 'cancelled', outcome = 'cancelled' where {ended} id % 100 = 5")
        connection.execute(
            "update flow set status = 'quarantined', reason = 'ship: RuntimeError: parcel ' || id || ' is too heavy'"
            " where outcome is null and id % 20000 = 0"
        )
        seal(connection)
        connection.commit()
        connection.execute("pragma wal_checkpoint(truncate)")
    half.rename(path)
