"""The measurements, each as rounds of figures and a table: ours, the floor of the same run, their ratio, the goal."""

# A script prints.
# ruff: noqa: T201

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import trio

from tests.bench import (
    active,
    disk,
    exploring,
    floor,
    guard,
    http,
    idle,
    in_flight,
    isolation,
    memory,
    portal,
    project,
    recovery,
    replay,
    saga,
    scenarios,
    scrape,
    startup,
    telemetry,
)
from tests.bench.figures import (
    Figures,
    Report,
    Row,
    at_least,
    at_most,
    medians,
    ratio_at_least,
    ratio_at_most,
)

_GROUP = 256
_MORE_BYTES_MAX = 20
"""What measuring is off by: 2 MB in 100,000 flows."""


def report_saga(rounds: int, flows: int | None) -> Report:
    """The saga beside the floor: the same rows by raw sqlite3, one commit a step and 256 steps a commit."""
    flows = flows or 5000
    found = _rounds("saga", rounds, lambda folder: _saga_and_floor(folder, flows))
    beside = (found["raw_256_flows_per_s"], ratio_at_least(0.17), "floor: raw sqlite3, 256 steps a commit")
    return Report(
        "saga",
        f"{flows} flows, medians of {rounds} rounds",
        [
            Row("throughput, flows/s", found["flows_per_s"], *beside, ratio=found["ratio_256"]),
            Row("  of raw, one step a commit", found["flows_per_s"], found["raw_1_flows_per_s"]),
        ],
    )


def _saga_and_floor(folder: Path, flows: int) -> Figures:
    flows_per_s = trio.run(saga.throughput, folder / "load.db", flows)
    steps = floor.read_back(folder / "load.db")
    assert len(steps) == idle.STEPS_PER_FLOW * flows, f"{len(steps)} steps of {flows} flows"
    one_by_one = floor.write(folder / "raw_1.db", folder / "load.db", steps)
    together = flows / sum(floor.write(folder / "raw_256.db", folder / "load.db", floor.grouped(steps, _GROUP)))
    return {
        "flows_per_s": flows_per_s,
        "raw_1_flows_per_s": flows / sum(one_by_one),
        "raw_256_flows_per_s": together,
        "ratio_256": flows_per_s / together,
    }


def report_idle(rounds: int, flows: int | None) -> Report:
    """One flow at a time, beside its four commits by raw sqlite3, and by the bare hop."""
    flows = min(flows or 300, 300)
    found = _rounds("idle", rounds, lambda folder: idle.measure(folder, flows))

    def row(figure: str, name: str, floor: str, ratio: str, *goal_and_remark: object) -> Row:
        return Row(figure, found[name], found[floor], *goal_and_remark, ratio=found[ratio])  # type: ignore[arg-type]  # both

    beyond = ("beyond four raw commits of the median, ms", found["idle_beyond_raw_ms"], None, at_most(2))
    return Report(
        "idle",
        f"{flows} flows one by one, medians of {rounds} rounds; floor: four raw commits",
        [
            row("a whole flow, p50, ms", "idle_ms_p50", "raw_four_ms_p50", "idle_p50_ratio", ratio_at_most(3)),
            row("a whole flow, p99, ms", "idle_ms_p99", "raw_four_ms_p99", "idle_p99_ratio", ratio_at_most(4)),
            Row("a whole flow, p95, ms", found["idle_ms_p95"]),
            Row(*beyond),
            row("the bare hop, four commits, p50, ms", "hop_four_ms_p50", "raw_four_ms_p50", "hop_p50_ratio"),
            row("the bare hop, four commits, p99, ms", "hop_four_ms_p99", "raw_four_ms_p99", "hop_p99_ratio"),
            row("a whole flow beside the bare hop, p50, ms", "idle_ms_p50", "hop_four_ms_p50", "idle_p50_of_hop"),
            row("a whole flow beside the bare hop, p99, ms", "idle_ms_p99", "hop_four_ms_p99", "idle_p99_of_hop"),
        ],
    )


def report_in_flight(rounds: int, flows: int | None) -> Report:
    """Throughput by the number of flows in flight."""
    found = _rounds("in_flight", rounds, lambda folder: in_flight.measure(folder, flows=flows or 4000))
    return Report(
        "in_flight",
        f"medians of {rounds} rounds",
        [Row(f"{width} in flight, flows/s", found[f"flows_per_s_{width}"]) for width in in_flight.WIDTHS],
    )


def report_memory(rounds: int, flows: int | None) -> Report:
    """Flows that wait, each with a timer; and those that are in memory."""
    many, few = flows or 100_000, min(flows or active.ATTEMPTS_MAX, active.ATTEMPTS_MAX)
    found = _rounds("memory", min(rounds, 1), lambda folder: _waiting_and_active(folder, many, few))
    none = at_most(_MORE_BYTES_MAX)
    return Report(
        "memory",
        f"{many:,} flows that wait, each with a timer; {few:,} in memory",
        [
            Row("empty runtime, MB", found["empty_mb"]),
            Row("more after publishing them, MB", found["after_publishing_mb"], None, at_most(20)),
            Row("more after opening their journal, MB", found["after_reopening_mb"], None, at_most(20)),
            Row("one more that waits, bytes", found["bytes_per_flow_more"], None, none, "none, as far as can be told"),
            Row("one that waits, after opening, bytes", found["bytes_per_flow_reopened"], None, none, "as above"),
            Row(
                "one at rest in the cache, bytes",
                found["cached_bytes_per_flow"],
                remark="at most flows.cached_max of them, 3,072; at work at most flows.awake_max, 2,000",
            ),
            Row(
                "one in the cache with an attempt running, bytes",
                found["attempted_bytes_per_flow"],
                remark="at most the concurrency of each gateway",
            ),
        ],
    )


def _waiting_and_active(folder: Path, waiting: int, in_memory: int) -> Figures:
    return {**memory.measure(folder, flows=waiting), **active.measure(folder, flows=in_memory)}


def report_disk(rounds: int, flows: int | None) -> Report:
    """Bytes on the disk."""
    found = _rounds("disk", min(rounds, 1), lambda folder: disk.measure(folder, flows=flows or 5000))
    ours, raw = found["bytes_per_event"], found["raw_bytes_per_event"]
    return Report(
        "disk",
        "pages in use; floor: the same rows by raw sqlite3",
        [
            Row("for an event of the saga, bytes, of raw", ours, raw, ratio_at_most(1.15)),
            Row("for an event of the saga, bytes", ours, None, at_most(800)),
            Row(
                "for a flow that waits, beyond its event, bytes",
                found["waiting_bytes_beyond_event"],
                None,
                at_most(600),
            ),
        ],
    )


def report_recovery(rounds: int, flows: int | None) -> Report:
    """A start after a crash, with many flows in flight."""
    flows = flows or recovery.SIZES[-1]
    found = _rounds("recovery", min(rounds, 1), lambda folder: recovery.measure(folder, flows=flows))
    rows = []
    for size in recovery.sizes_upto(flows):
        sent_goal = at_least(5000) if size == flows else None
        rows += [
            Row(f"{size:,}: ready after, s", found[f"ready_s_{size}"], None, at_most(1)),
            Row(f"{size:,}: sent again and ended, flows/s", found[f"sent_again_per_s_{size}"], None, sent_goal),
        ]
    return Report("recovery", "by flows in flight when the process was killed", rows)


def report_replay(rounds: int, flows: int | None) -> Report:
    """Reading a journal again, beside a bare cursor; and folding flows from their steps."""
    found = _rounds("replay", rounds, lambda folder: replay.measure(folder, flows=flows or 10_000))
    floor, typed, columns = found["floor_per_s"], found["typed_ratio"], found["columns_ratio"]
    return Report(
        "replay",
        f"medians of {rounds} rounds; floor: a bare cursor over four columns",
        [
            Row("typed events, events/s", found["typed_per_s"], floor, ratio_at_least(0.1), ratio=typed),
            Row("four columns, events/s", found["columns_per_s"], floor, ratio_at_least(0.6), ratio=columns),
            Row("flows folded again, events/s", found["rehydrated_per_s"], None, at_least(50_000)),
        ],
    )


def report_startup(rounds: int, flows: int | None) -> Report:
    """From nothing to something that runs."""
    found = _rounds("startup", min(rounds, 1), startup.measure)
    python = found["python_s"]
    return Report(
        "startup",
        "new processes, medians; floor: a Python that does nothing",
        [
            Row("the libraries alone, s", found["libraries_s"], python),
            Row("import, s", found["import_s"], python, at_most(0.25)),
            Row("--help, s", found["help_s"], python, at_most(0.15)),
            Row("start to first durable flow, new file, s", found["first_flow_s"], python, at_most(0.5)),
        ],
    )


def report_isolation(rounds: int, flows: int | None) -> Report:
    """The latency of harmless flows beside poisonous ones."""
    flows = flows or 10_000
    found = _rounds(
        "isolation", rounds, lambda folder: isolation.measure(folder, flows=flows, poisonous=max(1, flows // 100))
    )
    p99 = (found["poisoned_ms_p99"], found["calm_ms_p99"], ratio_at_most(1.05))
    return Report(
        "isolation",
        f"{flows} flows, one of 100 poisonous, medians of {rounds} pairs; floor: none poisonous",
        [
            Row("p50, ms", found["poisoned_ms_p50"], found["calm_ms_p50"]),
            Row("p99, ms", *p99, ratio=found["p99_ratio"]),
        ],
    )


def report_invariants(rounds: int, flows: int | None) -> Report:
    """The saga with two invariants that are watched, and without."""
    flows = flows or 5000
    found = _rounds("invariants", rounds, lambda folder: _watched_and_not(folder, flows))
    watched = (found["watched_flows_per_s"], found["plain_flows_per_s"], None, "until the last history is judged")
    return Report(
        "invariants",
        f"{flows} flows, medians of {rounds} rounds; floor: without",
        [Row("flows/s with two", *watched, ratio=found["ratio"])],
    )


def _watched_and_not(folder: Path, flows: int) -> Figures:
    plain = trio.run(saga.throughput, folder / "plain.db", flows)
    rules = (saga.never_ships_unpaid, saga.never_charges_twice)
    watched = trio.run(saga.throughput, folder / "watched.db", flows, rules)
    return {"plain_flows_per_s": plain, "watched_flows_per_s": watched, "ratio": watched / plain}


def report_scenarios(rounds: int, flows: int | None) -> Report:
    """Given/when/then tests, beside tests that do nothing."""
    tests = flows or 1000
    found = _rounds("scenarios", rounds, lambda folder: scenarios.measure(folder, tests))
    return Report(
        "scenarios",
        f"{tests} tests in a pytest process, medians of {rounds} rounds; floor: as many empty tests",
        [
            Row("the whole process, s", found["scenarios_s"], found["empty_s"], at_most(2.5)),
            Row("its processor time, s", found["scenarios_cpu_s"], found["empty_cpu_s"]),
            Row("a scenario beyond an empty test, ms", found["scenario_beyond_empty_ms"], None, None, "processor time"),
        ],
    )


def report_explore(rounds: int, flows: int | None) -> Report:
    """Turns that `explore` runs, keeping account of all it has seen."""
    items = 9 if flows is None else 4
    found = _rounds("explore", rounds, lambda _: exploring.measure(items))
    bare, goal = found["bare_turns_per_s"], at_least(50_000)
    return Report(
        "explore",
        f"a batch of {items} items, a user in {items - 2} systems, {rounds} rounds; floor: a bare loop",
        [
            Row("batch, turns/s", found["batch_turns_per_s"], bare, goal, f"{found['batch_turns']:,.0f} turns"),
            Row("user, turns/s", found["user_turns_per_s"], bare, goal, f"{found['user_turns']:,.0f} turns"),
        ],
    )


def report_guard(rounds: int, flows: int | None) -> Report:
    """The order saga with the guard armed, beside the same with no guard."""
    flows = flows or 5000
    found = _rounds("guard", rounds, lambda folder: guard.measure(folder, flows))
    cpu, more_cpu = (found["report_cpu_us_per_flow"], found["off_cpu_us_per_flow"]), 1 + found["cpu_more_percent"] / 100
    wall = (1e6 / found["report_flows_per_s"], 1e6 / found["off_flows_per_s"])
    return Report(
        "guard",
        f"{flows} flows, medians of {rounds} rounds; floor: with no guard",
        [
            Row("processor time for a flow, us", *cpu, ratio_at_most(1.05), ratio=more_cpu),
            Row("time for a flow, us", *wall, ratio_at_most(1.05), ratio=1 + found["wall_more_percent"] / 100),
        ],
    )


def report_scrape(rounds: int, flows: int | None) -> Report:
    """What Prometheus costs, in processor time."""
    scrapes = flows or 50
    found = _rounds("scrape", rounds, lambda folder: scrape.measure(folder, scrapes))
    return Report(
        "scrape",
        f"{found['series']:.0f} series, {scrapes} scrapes, medians of {rounds} rounds, in processor time",
        [
            Row("a scrape, ms", found["scrape_ms"], None, at_most(20)),
            Row("  in the loop", found["in_loop_ms"], None),
            Row("one observation of a histogram, us", found["observe_us"], None, at_most(1)),
        ],
    )


def report_telemetry(rounds: int, flows: int | None) -> Report:
    """The order saga with telemetry on, beside the same with telemetry off."""
    flows = flows or 5000
    found = _rounds("telemetry", rounds, lambda folder: telemetry.measure(folder, flows))
    off, off_cpu = found["off_flows_per_s"], found["off_cpu_us_per_flow"]

    def spans(name: str) -> str:
        return f"{found[f'{name}_spans']:,.0f} spans sent"

    return Report(
        "telemetry",
        f"{flows} flows, medians of {rounds} rounds; floor: with telemetry off",
        [
            Row(
                "metrics, and 1 % of flows traced, flows/s",
                found["traced_flows_per_s"],
                off,
                ratio_at_least(0.8),
                spans("traced"),
                ratio=found["traced_ratio"],
            ),
            Row("  processor time for a flow, us", found["traced_cpu_us_per_flow"], off_cpu),
            Row("metrics, and all flows traced, flows/s", found["all_flows_per_s"], off, None, spans("all")),
            Row("  processor time for a flow, us", found["all_cpu_us_per_flow"], off_cpu),
        ],
    )


def report_portal(rounds: int, flows: int | None) -> Report:
    """A call into an embedded runtime, beside the barest ways between two threads."""
    calls = flows or 5000
    found = _rounds("portal", rounds, lambda folder: portal.measure(folder, calls))
    floor_us, goal = found["thread_us_p50"], at_most(200)
    return Report(
        "portal",
        f"{calls} calls of each kind, medians of {rounds} rounds; floor: a queue and an event between two threads",
        [
            Row("call from a thread p50, us", found["portal_us_p50"], floor_us, goal),
            Row("call awaited on asyncio p50, us", found["awaited_us_p50"], floor_us, goal),
            Row("its p99, us", found["portal_us_p99"]),
            Row("run_coroutine_threadsafe p50, us", found["loop_us_p50"], floor_us),
        ],
    )


def report_project(rounds: int, flows: int | None) -> Report:
    """The loan log from the disk into a projection, beside raw sqlite3. LOAN_LOG may name the real one."""
    log = None if flows else os.environ.get("LOAN_LOG")
    found = _rounds("project", rounds, lambda folder: project.measure(folder, log, flows or 13_087))
    return Report(
        "project",
        f"{found['events']:,.0f} loan events, medians of {rounds} rounds; floor: the same read and statements",
        [
            Row("typed events, events/s", found["typed_per_s"], found["raw_typed_per_s"], at_least(40_000)),
            Row("of the processor, share of raw", found["typed_cpu_ratio"]),
            Row("columns only, events/s", found["columns_per_s"], found["raw_columns_per_s"], at_least(150_000)),
            Row("of the processor, share of raw", found["columns_cpu_ratio"]),
            Row("the loan pipeline, events/s", found["pipeline_per_s"]),
        ],
    )


def report_http(rounds: int, flows: int | None) -> Report:
    """Publishing over HTTP, beside a bare echo. Needs wrk."""
    seconds = 1 if flows else 4
    found = _rounds("http", rounds, lambda folder: http.measure(folder, seconds))
    many, alone = (found["echo_per_s"], None, "each durable before its answer"), (found["alone_echo_per_s"], None)
    return Report(
        "http",
        f"{seconds} s of wrk, {http.CONNECTIONS} connections, then one; medians of {rounds} rounds; floor: a bare"
        " Starlette echo on the same Hypercorn",
        [
            Row("publishes/s", found["product_per_s"], *many, ratio=found["ratio"]),
            Row("  p50, ms", found["product_ms_p50"], found["echo_ms_p50"]),
            Row("  p99, ms", found["product_ms_p99"], found["echo_ms_p99"]),
            Row("  processor time, us", found["product_cpu_us"], found["echo_cpu_us"], ratio=found["cpu_ratio"]),
            Row("publishes/s of one client", found["alone_product_per_s"], *alone, ratio=found["alone_ratio"]),
            Row("  p50, ms", found["alone_product_ms_p50"], found["alone_echo_ms_p50"]),
            Row("  p99, ms", found["alone_product_ms_p99"], found["alone_echo_ms_p99"]),
        ],
    )


def _rounds(name: str, rounds: int, measure: Callable[[Path], Figures]) -> Figures:
    found = []
    for number in range(rounds):
        with tempfile.TemporaryDirectory(prefix="procession-bench-") as folder:
            found.append(measure(Path(folder)))
        print(json.dumps({"bench": name, "round": number, **found[-1]}), flush=True)
    return medians(found)
