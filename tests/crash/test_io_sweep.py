"""Each call of a short life fails in turn until a life has no more of them; and the sweep can tell."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from pathlib import Path

import pytest

from tests.crash.io_one import Fault, Kind, Outcome, Prepared
from tests.crash.io_sweep import KINDS, Progress, Sweep, begun, chosen, run, sweep_of

NEEDS = pytest.mark.needs("strace", "install strace, on Debian: apt-get install strace")


def prepared_without_lives(limits: int = 2) -> Prepared:
    return Prepared(Path("nowhere"), {}, {life: [*range(limits)] for life in ("new", "left")})


def tried(sweep: Sweep, calls: int) -> list[Fault]:
    """All that the sweep tries, where each life has so many calls of each kind."""
    found = []
    while (fault := sweep.next()) is not None:
        found.append(fault)
        sweep.add(fault, Outcome(fault.number <= calls, 0, "", []))
    return found


def numbers(faults: Sequence[Fault]) -> list[int]:
    return [fault.number for fault in faults]


def test_there_is_a_kind_for_each_life_call_error_and_whether_it_lasts() -> None:
    assert len(KINDS) == len(set(map(str, KINDS))) == 48
    assert Kind("left", "pwrite64", "short", lasting=True) in KINDS


def test_each_call_is_tried_until_three_runs_have_no_such_call_any_more() -> None:
    sweep = sweep_of(chosen(["new", "fdatasync", "EIO", "lasts"]), prepared_without_lives())
    assert numbers(tried(sweep, calls=4)) == [1, 2, 3, 4, 5, 6, 7]
    assert sweep.over
    assert sweep.counts.figures["of them met the fault"] == 4
    assert sweep.counts.figures["of them tried to the end of the life"] == 1


def test_one_run_without_the_call_is_no_end_where_a_later_one_has_it() -> None:
    kind = KINDS[0]
    progress = Progress(kind, first=1, step=1, last=None)
    for number, met in enumerate((True, False, True, False, False), start=1):
        progress.add(number, Outcome(met, 0, "", []))
    assert not progress.over, "two after the last that was met"
    assert progress.next() == 6


def test_a_limit_is_tried_for_each_size_that_a_calm_life_came_to() -> None:
    sweep = sweep_of(chosen(["new", "size", "passes"]), prepared_without_lives(limits=3))
    assert numbers(tried(sweep, calls=3)) == [1, 2, 3]
    assert sweep.over


def test_a_step_tries_each_so_manieth_call_and_another_seed_others() -> None:
    kinds, prepared = chosen(["new", "pwrite64", "EIO", "passes"]), prepared_without_lives()
    assert numbers(tried(sweep_of(kinds, prepared, step=4), calls=9)) == [1, 5, 9, 13]
    assert numbers(tried(sweep_of(kinds, prepared, step=4, seed=6), calls=9)) == [3, 7, 11]


def test_a_sweep_that_was_broken_off_goes_on_where_it_stopped(tmp_path: Path) -> None:
    kinds = chosen(["new", "fdatasync", "EIO"])
    first = sweep_of(kinds, prepared_without_lives())
    fault = first.next()
    assert fault is not None
    first.add(fault, Outcome(met=True, ended=0, said="", breaches=["something"]))
    first.save(tmp_path / "state.json")
    second = sweep_of(kinds, prepared_without_lives())
    second.load(tmp_path / "state.json")
    assert numbers(tried(second, calls=2)) == [2, 3, 4, 5, 1, 2, 3, 4, 5]
    assert second.counts.breaches == [f"{fault}: something"]
    assert second.counts.figures["runs"] == 10


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return begun(tmp_path_factory.mktemp("prepared"))


@pytest.mark.searches
@NEEDS
@pytest.mark.slow
def test_a_disk_that_fails_at_any_moment_takes_nothing_back(prepared: Prepared) -> None:
    sweep = sweep_of(chosen(["new", "EIO", "passes"]), prepared, step=90)
    faults = [*run(sweep, prepared, workers=2, until=inf)]
    assert len(faults) == sweep.counts.figures["runs"]
    assert sweep.counts.breaches == []
    assert sweep.over
    assert sweep.counts.figures["of these survived it without a restart"] > 0


@NEEDS
@pytest.mark.slow
@pytest.mark.parametrize(
    ("planted", "words", "step", "found"),
    [
        pytest.param(
            "believing", ["new", "fdatasync", "EIO", "passes"], 1, "had not opened the journal anew", id="sync"
        ),
        pytest.param("deaf", ["new", "pwrite64", "EIO", "lasts"], 30, "which the journal does not know", id="commit"),
    ],
)
def test_the_sweep_finds_a_sync_that_is_tried_again_and_believed_and_a_commit_that_nobody_heard_fail(
    prepared: Prepared, planted: str, words: list[str], step: int, found: str
) -> None:
    sweep = sweep_of(chosen(words), prepared, step)
    faults = run(sweep, prepared, workers=2, until=inf, options=[planted])
    assert any(found in breach for _ in faults for breach in sweep.counts.breaches), sweep.counts
