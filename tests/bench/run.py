"""The measurements: each in interleaved rounds, as JSON lines of every round and a table of medians at the end.

python -m tests.bench.run                      all of them
python -m tests.bench.run saga --flows 2000    one of them, smaller
"""

# A script prints.
# ruff: noqa: T201

from __future__ import annotations

import argparse
import itertools
import json
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import trio

from tests.bench import (
    disk,
    exploring,
    floor,
    guard,
    in_flight,
    isolation,
    memory,
    recovery,
    replay,
    saga,
    scenarios,
    startup,
)
from tests.bench.figures import Figures, medians, percentiles, table

STEPS_PER_FLOW = 4
_GROUP = 256


def run_saga(rounds: int, flows: int | None) -> str:
    """The saga beside the floor: the same rows by raw sqlite3, one commit a step and 256 steps a commit."""
    flows = flows or 5000
    found = _rounds("saga", rounds, lambda folder: _saga_and_floor(folder, flows, min(300, flows)))
    return table(
        f"saga: {flows} flows, medians of {rounds} rounds",
        [
            ("flows/s", found["flows_per_s"], "goal: 2,000 or more"),
            ("raw, 256 steps a commit, flows/s", found["raw_256_flows_per_s"], ""),
            ("raw, one step a commit, flows/s", found["raw_1_flows_per_s"], ""),
            ("ratio to raw at 256", found["flows_per_s"] / found["raw_256_flows_per_s"], ""),
            (
                "idle p50, ms",
                found["idle_ms_p50"],
                f"goal: under {found['idle_goal_ms']:.2f}, four raw commits and 2 ms",
            ),
            ("idle p50 beyond four raw commits, ms", found["idle_beyond_raw_ms"], "goal: under 2, in the same round"),
            ("idle p50, in raw commits of four", found["idle_p50_ratio"], "goal: 3 or less"),
            ("idle p95, ms", found["idle_ms_p95"], ""),
            ("idle p99, ms", found["idle_ms_p99"], ""),
            ("idle p99, in raw p99 of four commits", found["idle_p99_ratio"], "goal: 4 or less"),
            ("raw commit of one step p50, ms", found["raw_commit_ms_p50"], ""),
        ],
    )


def _saga_and_floor(folder: Path, flows: int, idle_flows: int) -> Figures:
    flows_per_s = trio.run(saga.throughput, folder / "load.db", flows)
    steps = floor.read_back(folder / "load.db")
    assert len(steps) == STEPS_PER_FLOW * flows, f"{len(steps)} steps of {flows} flows"
    one_by_one = floor.write(folder / "raw_1.db", folder / "load.db", steps)
    together = floor.write(folder / "raw_256.db", folder / "load.db", floor.grouped(steps, _GROUP))
    return {
        "flows_per_s": flows_per_s,
        "raw_1_flows_per_s": flows / sum(one_by_one),
        "raw_256_flows_per_s": flows / sum(together),
        **_idle_and_floor(folder, idle_flows),
    }


def _idle_and_floor(folder: Path, flows: int) -> Figures:
    """Flow by flow, and every few flows as many raw commits: the disk is as quick for the one as for the other."""
    first = folder / "first.db"
    trio.run(saga.one_after_another, first, flows, _no_pause)
    steps = iter(floor.read_back(first))
    raw_s: list[float] = []
    with closing(floor.Floor(folder / "raw_idle.db", first)) as raw:

        def write_as_many() -> None:
            raw_s.extend(raw.write(list(itertools.islice(steps, saga.PAUSE_EVERY * STEPS_PER_FLOW))))

        idle_ms = trio.run(saga.one_after_another, folder / "idle.db", flows, write_as_many)
        raw.write(list(steps))
    floor.assert_same(folder / "raw_idle.db", first)
    p50, p95, p99 = percentiles(idle_ms)
    raw_ms = 1000 * percentiles(raw_s)[0]
    fours_s = [sum(raw_s[at : at + STEPS_PER_FLOW]) for at in range(0, len(raw_s), STEPS_PER_FLOW)]
    raw_p50, _, raw_p99 = (1000 * value for value in percentiles(fours_s))
    return {
        "idle_p50_ratio": p50 / raw_p50,
        "idle_p99_ratio": p99 / raw_p99,
        "idle_ms_p50": p50,
        "idle_ms_p95": p95,
        "idle_ms_p99": p99,
        "raw_commit_ms_p50": raw_ms,
        "idle_goal_ms": STEPS_PER_FLOW * raw_ms + 2,
        "idle_beyond_raw_ms": p50 - STEPS_PER_FLOW * raw_ms,
    }


def _no_pause() -> None:
    pass


def run_memory(rounds: int, flows: int | None) -> str:
    """Flows that wait, each with a timer."""
    found = _rounds("memory", min(rounds, 1), lambda folder: memory.measure(folder, flows=flows or 100_000))
    return table(
        f"memory: {found['flows']:,.0f} flows that wait, each with a timer",
        [
            ("empty runtime, MB", found["empty_mb"], ""),
            ("more after publishing them, MB", found["after_publishing_mb"], "goal: under 20"),
            ("more after opening their journal, MB", found["after_reopening_mb"], "goal: under 20"),
        ],
    )


def run_isolation(rounds: int, flows: int | None) -> str:
    """The latency of harmless flows beside poisonous ones."""
    flows = flows or 10_000
    found = _rounds(
        "isolation", rounds, lambda folder: isolation.measure(folder, flows=flows, poisonous=max(1, flows // 100))
    )
    return table(
        f"isolation: {flows} flows, one of 100 poisonous, medians of {rounds} pairs",
        [
            ("p50 without poison, ms", found["calm_ms_p50"], ""),
            ("p50 with poison, ms", found["poisoned_ms_p50"], ""),
            ("p99 without poison, ms", found["calm_ms_p99"], ""),
            ("p99 with poison, ms", found["poisoned_ms_p99"], ""),
            ("ratio of the p99", found["p99_ratio"], "goal: 1.05 or less"),
        ],
    )


def run_in_flight(rounds: int, flows: int | None) -> str:
    """Throughput by the number of flows in flight."""
    found = _rounds("in_flight", rounds, lambda folder: in_flight.measure(folder, flows=flows or 4000))
    return table(
        f"in_flight: medians of {rounds} rounds",
        [(f"{width} in flight, flows/s", found[f"flows_per_s_{width}"], "") for width in in_flight.WIDTHS],
    )


def run_recovery(rounds: int, flows: int | None) -> str:
    """A start after a crash, with many flows in flight."""
    found = _rounds("recovery", min(rounds, 1), lambda folder: recovery.measure(folder, flows=flows or 100_000))
    return table(
        f"recovery: {found['flows']:,.0f} flows in flight when the process was killed",
        [
            ("ready after, s", found["ready_s"], "goal: 1 or less"),
            ("commands sent again and flows ended, in a second", found["sent_again_per_s"], "goal: 5,000 or more"),
        ],
    )


def run_replay(rounds: int, flows: int | None) -> str:
    """Reading a journal again, beside a bare cursor; and folding flows from their steps."""
    found = _rounds("replay", rounds, lambda folder: replay.measure(folder, flows=flows or 10_000))
    return table(
        f"replay: medians of {rounds} rounds",
        [
            ("bare cursor over four columns, events/s", found["floor_per_s"], ""),
            ("typed events, events/s", found["typed_per_s"], ""),
            ("ratio to the cursor", found["typed_ratio"], "goal: 0.10 or more"),
            ("four columns through the journal, events/s", found["columns_per_s"], ""),
            ("ratio to the cursor", found["columns_ratio"], "goal: 0.6 or more"),
            ("flows folded again, events/s", found["rehydrated_per_s"], "goal: 50,000 or more"),
        ],
    )


def run_startup(rounds: int, flows: int | None) -> str:
    """From nothing to something that runs."""
    found = _rounds("startup", min(rounds, 1), startup.measure)
    return table(
        "startup: new processes, medians",
        [
            ("a Python that does nothing, s", found["python_s"], ""),
            ("the libraries alone, s", found["libraries_s"], ""),
            ("import, s", found["import_s"], "goal: 0.25 or less"),
            ("--help, s", found["help_s"], "goal: 0.15 or less"),
            ("start to first durable flow, new file, s", found["first_flow_s"], "goal: 0.5 or less"),
        ],
    )


def run_disk(rounds: int, flows: int | None) -> str:
    """Bytes on the disk."""
    found = _rounds("disk", min(rounds, 1), lambda folder: disk.measure(folder, flows=flows or 5000))
    return table(
        "disk: bytes of pages in use",
        [
            ("for an event of the saga", found["bytes_per_event"], "goal: 800 or less"),
            ("the same rows by raw sqlite3", found["raw_bytes_per_event"], ""),
            ("ratio to raw", found["bytes_per_event"] / found["raw_bytes_per_event"], "goal: 1.15 or less"),
            ("for a flow that waits, beyond its event", found["waiting_bytes_beyond_event"], "goal: 600 or less"),
        ],
    )


def run_invariants(rounds: int, flows: int | None) -> str:
    """The saga with two invariants that are watched, and without."""
    flows = flows or 5000
    found = _rounds("invariants", rounds, lambda folder: _watched_and_not(folder, flows))
    return table(
        f"invariants: {flows} flows, medians of {rounds} rounds",
        [
            ("flows/s without", found["plain_flows_per_s"], ""),
            ("flows/s with two", found["watched_flows_per_s"], "until the last history is judged"),
            ("ratio, in the same round", found["ratio"], ""),
        ],
    )


def _watched_and_not(folder: Path, flows: int) -> Figures:
    plain = trio.run(saga.throughput, folder / "plain.db", flows)
    rules = (saga.never_ships_unpaid, saga.never_charges_twice)
    watched = trio.run(saga.throughput, folder / "watched.db", flows, rules)
    return {"plain_flows_per_s": plain, "watched_flows_per_s": watched, "ratio": watched / plain}


def run_scenarios(rounds: int, flows: int | None) -> str:
    """Given/when/then tests, beside tests that do nothing."""
    tests = flows or 1000
    found = _rounds("scenarios", rounds, lambda folder: scenarios.measure(folder, tests))
    return table(
        f"scenarios: {tests} tests in a pytest process, medians of {rounds} rounds",
        [
            ("scenario tests, s", found["scenarios_s"], "goal: about 2 for 1,000"),
            ("their processor time, s", found["scenarios_cpu_s"], ""),
            ("empty tests, s", found["empty_s"], "the floor: pytest itself, and its start"),
            ("their processor time, s", found["empty_cpu_s"], ""),
            ("a scenario beyond an empty test, ms", found["scenario_beyond_empty_ms"], "of the processor"),
        ],
    )


def run_explore(rounds: int, flows: int | None) -> str:
    """Turns that `explore` runs, keeping account of all it has seen."""
    items = 9 if flows is None else 4
    found = _rounds("explore", rounds, lambda _: exploring.measure(items))
    return table(
        f"explore: a batch of {items} items and a user in {items - 2} systems, medians of {rounds} rounds",
        [
            ("turns/s, batch", found["batch_turns_per_s"], f"goal: 50,000 or more; {found['batch_turns']:,.0f} turns"),
            ("turns/s, user", found["user_turns_per_s"], f"goal: 50,000 or more; {found['user_turns']:,.0f} turns"),
            ("bare turns/s", found["bare_turns_per_s"], "the floor: the engine's turns in a loop"),
            ("ratio to the floor, batch", found["batch_turns_per_s"] / found["bare_turns_per_s"], ""),
        ],
    )


def run_guard(rounds: int, flows: int | None) -> str:
    """The order saga with the guard armed, beside the same with no guard."""
    flows = flows or 5000
    found = _rounds("guard", rounds, lambda folder: guard.measure(folder, flows))
    return table(
        f"guard: {flows} flows, medians of {rounds} rounds",
        [
            ("CPU a flow with no guard, us", found["off_cpu_us_per_flow"], ""),
            ("CPU a flow with the guard armed, us", found["report_cpu_us_per_flow"], ""),
            ("more CPU, percent", found["cpu_more_percent"], "goal: under 5"),
            ("flows/s with no guard", found["off_flows_per_s"], ""),
            ("flows/s with the guard armed", found["report_flows_per_s"], ""),
            ("more time, percent", found["wall_more_percent"], "goal: under 5"),
        ],
    )


MEASUREMENTS: dict[str, Callable[[int, int | None], str]] = {
    "saga": run_saga,
    "in_flight": run_in_flight,
    "memory": run_memory,
    "disk": run_disk,
    "recovery": run_recovery,
    "replay": run_replay,
    "startup": run_startup,
    "isolation": run_isolation,
    "invariants": run_invariants,
    "scenarios": run_scenarios,
    "explore": run_explore,
    "guard": run_guard,
}


def _rounds(name: str, rounds: int, measure: Callable[[Path], Figures]) -> Figures:
    found = []
    for number in range(rounds):
        with tempfile.TemporaryDirectory(prefix="procession-bench-") as folder:
            found.append(measure(Path(folder)))
        print(json.dumps({"bench": name, "round": number, **found[-1]}), flush=True)
    return medians(found)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Measure, and print JSON lines and tables.")
    parser.add_argument("names", nargs="*", choices=[*MEASUREMENTS, []], help="which; all if none is named")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--flows", type=int, help="how many; as the goals are stated if left out")
    given = parser.parse_args(arguments)
    tables = [MEASUREMENTS[name](given.rounds, given.flows) for name in given.names or MEASUREMENTS]
    print("\n" + "\n\n".join(tables))


if __name__ == "__main__":
    main()
