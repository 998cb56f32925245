"""The one command runs every harness, whatever becomes of the one before, and tells of each; the page is made of it."""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import time
from pathlib import Path

import attrs
import pytest

from tests.crash.counts import Counts, hand_out, read_counts
from tests.crash.harnesses import HARNESSES, Harness
from tests.crash.night import Night, group
from tests.crash.page import made_part, put_in, table
from tests.crash.report import begun, read_report
from tests.daemon.command import ROOT, environment

PAGE, KEPT = ROOT / "docs" / "crash_lab.md", ROOT / "docs" / "crash_lab.json"
STAND_IN = "tests.crash.stand_in"


def stand_in(how: str, *arguments: str) -> Harness:
    return Harness(how, ("R1",), 1, STAND_IN, lambda _: [how, *arguments])


def night_of(folder: Path, *harnesses: Harness, patience_s: float = 30) -> Night:
    return Night(harnesses, 4, 7, folder, begun(4, 7), lambda _: None, lambda _: patience_s)


def test_one_that_counts_nothing_has_kept_nothing(tmp_path: Path) -> None:
    night = night_of(tmp_path, stand_in("well", "--counts", "0"))
    night.run()
    assert night.report.breaches == ["well: it counted nothing: what was not tried is not kept"]


def test_one_that_did_not_try_all_that_it_must_says_so_itself(tmp_path: Path) -> None:
    figures, must = {"kills": 3, "of them at work": 0, "refused": 0}, ("kills", "of them at work")
    counts = Counts(figures, (), must)
    given = argparse.Namespace(json=tmp_path / "counts.json")
    assert hand_out(given, counts) == 1
    assert read_counts(given.json).breaches == ["0 of them at work: what was not tried is not kept"]
    assert hand_out(given, attrs.evolve(counts, breaches=["it broke"])) == 1
    assert read_counts(given.json).breaches == ["it broke"]
    assert hand_out(given, attrs.evolve(counts, tried=("kills",))) == 0


def is_running(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):  # it may go while it is read
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def test_one_that_breaks_or_dies_is_named_and_the_next_one_runs(tmp_path: Path) -> None:
    night = night_of(tmp_path, stand_in("broken"), stand_in("dies"), stand_in("well"))
    night.run()
    assert [one.figures for one in night.report.outcomes] == [{"seeds": 7}, {}, {"seeds": 7}]
    broken, died = night.report.breaches
    assert broken == "broken: what was promised is not so"
    assert died.startswith("dies: it ended with 1: ")
    assert died.endswith("RuntimeError: it is told to")
    assert str(read_report(tmp_path / "report.json")) == str(night.report)


def test_one_that_hangs_is_ended_and_says_so(tmp_path: Path) -> None:
    night = night_of(tmp_path, stand_in("hangs"), patience_s=0.5)
    night.run()
    (breach,) = night.report.breaches
    assert breach.startswith("hangs: it did not end within ")


def test_one_that_is_broken_off_leaves_no_process(tmp_path: Path) -> None:
    def broken_off(started: Path) -> None:
        command = [STAND_IN, "hangs", "--started", str(started)]
        with (tmp_path / "log").open("wb") as log, group(command, log.fileno()):
            while not (started.exists() and started.read_text()):
                time.sleep(0.01)
            assert is_running(int(started.read_text()))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        broken_off(tmp_path / "started")
    while is_running(int((tmp_path / "started").read_text())):  # it was killed, and goes in a moment
        time.sleep(0.01)
    assert "KeyboardInterrupt" in (tmp_path / "log").read_text()


def test_each_has_its_share_of_the_minutes_that_are_left(tmp_path: Path) -> None:
    minutes: list[float] = []

    def noted(given: float) -> list[str]:
        minutes.append(given)
        return ["well"]

    harnesses = [Harness("a", ("R1",), 1, STAND_IN, noted), Harness("b", ("R1",), 3, STAND_IN, noted)]
    night_of(tmp_path, *harnesses).run()
    assert minutes == [pytest.approx(1, abs=0.2), pytest.approx(4, abs=0.3)]  # less what a busy machine took


def test_the_page_has_what_was_counted() -> None:
    assert made_part(PAGE.read_text("utf-8")) == table(read_report(KEPT))


def test_the_page_keeps_all_around_what_is_made() -> None:
    page = PAGE.read_text("utf-8")
    other = put_in(page, "another table")
    assert made_part(other) == "another table"
    assert put_in(other, made_part(page)) == page


def test_every_promise_of_the_page_has_its_harness_and_every_harness_its_promises() -> None:
    listed = PAGE.read_text("utf-8").partition("## How often it ran")[0]
    told = {
        number for row in re.findall(r"^\| (R[^|]*)\|", listed, re.MULTILINE) for number in re.findall(r"R\d+", row)
    }
    assert told == {number for harness in HARNESSES for number in harness.promises}


@pytest.mark.slow
def test_a_fault_that_is_planted_makes_the_whole_fail_and_is_named(tmp_path: Path) -> None:
    planted = ["--races", "0", "--fences", "1", "--fault", "commits_whoever_owns"]
    night = night_of(
        tmp_path, Harness("owning", ("R12",), 1, "tests.crash.owning", lambda _: planted), stand_in("well")
    )
    night.run()
    assert night.report.breaches == ["owning: an owner that was overtaken accepted an event"]
    assert night.report.outcomes[1].figures == {"seeds": 7}


@pytest.mark.slow
def test_the_command_runs_real_harnesses_and_reports(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.crash.night", "--minutes", "0.2", "--only", "swarm", "following"]
    files = ["--folder", str(tmp_path), "--report", str(tmp_path / "kept.json")]
    done = subprocess.run([*command, *files], cwd=ROOT, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    report = read_report(tmp_path / "kept.json")
    assert [(one.name, one.breaches) for one in report.outcomes] == [("following", []), ("swarm", [])]
    assert all(one.figures for one in report.outcomes)
    assert "| swarm | R3, R4, R5, R18 | " in table(report)
