"""No power loss takes back what was acknowledged, or leaves half of something; and the harness can tell."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.crash.disk import Disk
from tests.crash.power_loss import Failing, differing, run
from tests.crash.recording import (
    Cut,
    FolderSynced,
    Made,
    Operation,
    Removed,
    StrangeCallError,
    Synced,
    SyncFailed,
    Told,
    Wrote,
    operations,
)

STRACE = pytest.mark.needs("strace", "install strace, on Debian: apt-get install strace")
CHANCE = random.Random(1)
BURSTS_MIN = 8
"""A machine that is busy writes little in the time."""


def disk_after(*operations: Operation) -> Disk:
    disk = Disk()
    for operation in (Made("a"), FolderSynced(), *operations):
        disk.follow(operation)
    return disk


def test_what_was_synced_stays_and_what_was_not_may_go() -> None:
    disk = disk_after(Wrote("a", 0, b"old"), Synced("a"), Wrote("a", 1, b"new"))
    assert disk.after_power_loss("lost", CHANCE) == {"a": b"old"}
    assert disk.after_power_loss("kept", CHANCE) == {"a": b"onew"}


def test_a_torn_write_ends_where_a_sector_does() -> None:
    disk = disk_after(Wrote("a", 0, bytes(2048)), Synced("a"), Wrote("a", 256, b"x" * 1024))
    seen = {disk.after_power_loss("torn", random.Random(seed))["a"] for seed in range(64)}
    pieces = ((256, 512), (512, 1024), (1024, 1280))
    kept = {tuple(content[start:end] == b"x" * (end - start) for start, end in pieces) for content in seen}
    assert len(kept) == 8, "each sector stays or goes for itself"


def test_a_reordered_disk_has_later_writes_without_earlier_ones() -> None:
    disk = disk_after(Wrote("a", 0, b"1"), Wrote("a", 1, b"2"))
    seen = {disk.after_power_loss("reordered", random.Random(seed))["a"] for seed in range(32)}
    assert seen == {b"", b"1", b"\x002", b"12"}


def test_names_are_on_the_disk_once_their_folder_was_synced() -> None:
    disk = disk_after(Wrote("a", 0, b"old"), Synced("a"), Made("b"), Removed("a"))
    assert disk.after_power_loss("lost", CHANCE) == {"a": b"old"}
    assert disk.after_power_loss("kept", CHANCE) == {"b": b""}


def test_a_file_that_was_cut_may_be_whole_and_what_left_stays_away() -> None:
    disk = disk_after(Wrote("a", 0, b"old"), Synced("a"), Cut("a", 1), Told("log", b"said\n"))
    assert disk.after_power_loss("lost", CHANCE) == {"a": b"old"}
    assert disk.after_power_loss("kept", CHANCE) == {"a": b"o"}
    assert disk.told == {"log": b"said\n"}


def test_what_a_failed_sync_was_to_write_may_be_missing_until_it_is_written_again() -> None:
    failed = disk_after(Wrote("a", 0, b"12"), Synced("a"), Wrote("a", 2, b"34"), SyncFailed("a"), Wrote("a", 4, b"56"))
    failed.follow(Synced("a"))
    assert failed.after_power_loss("lost", CHANCE) == {"a": b"12\x00\x0056"}
    assert failed.after_power_loss("kept", CHANCE) == {"a": b"123456"}
    failed.follow(Wrote("a", 2, b"34"))
    failed.follow(Synced("a"))
    assert failed.after_power_loss("lost", CHANCE) == {"a": b"123456"}


def test_of_moments_that_leave_one_disk_the_last_one_counts_when_the_most_was_told() -> None:
    lost, others = differing(
        [Made("a"), Wrote("a", 0, b"1"), Wrote("a", 1, b"2"), Synced("a"), Told("log", b"1"), Told("log", b"2")]
    )
    assert lost == [(3, "lost"), (6, "lost")]
    assert [at for at, fate in others if fate == "torn"] == [1, 2, 3, 6]


STRANGE = (
    '1 write(5<{db}>, "\\x61", 1) = 1',
    '1 pwrite64(5<{db}>, "\\x61"..., 2, 0) = 2',
    '1 rename("{db}", "{other}") = 0',
    "1 copy_file_range(4<{other}>, NULL, 5<{db}>, NULL, 1, 0) = 1",
    '1 writev(5<{db}>, [{{iov_base="\\x61", iov_len=1}}], 1) = 1',
)


@pytest.mark.parametrize("call", STRANGE)
def test_a_call_that_is_not_followed_ends_the_recording(tmp_path: Path, call: str) -> None:
    def in_hex(name: str) -> str:
        return "".join(f"\\x{byte:02x}" for byte in str(tmp_path / name).encode())

    (tmp_path / "calls").write_text(call.format(db=in_hex("a.db"), other=in_hex("b.db")) + "\n")
    with pytest.raises(StrangeCallError):
        list(operations(tmp_path / "calls", tmp_path, ("told",)))


@pytest.mark.searches
@STRACE
@pytest.mark.slow
@pytest.mark.timeout(120)
def test_no_power_loss_takes_back_what_was_acknowledged(tmp_path: Path) -> None:
    report = run(tmp_path, seed=1, seconds=0.6, bursts_min=BURSTS_MIN, images_max=150, lives_max=2)
    assert report.breaches == [], report
    assert report.with_something_to_lose >= 75, report


@STRACE
@pytest.mark.slow
@pytest.mark.timeout(120)
def test_the_harness_finds_a_journal_that_does_not_wait_for_the_disk(tmp_path: Path) -> None:
    report = run(tmp_path, seed=1, seconds=0.6, bursts_min=BURSTS_MIN, images_max=40, lives_max=0, options=("normal",))
    assert any("was acknowledged at position" in breach for breach in report.breaches), report


@STRACE
@pytest.mark.slow
@pytest.mark.timeout(120)
def test_the_harness_finds_a_head_file_that_is_ahead_of_its_journal(tmp_path: Path) -> None:
    report = run(tmp_path, seed=1, seconds=0.6, bursts_min=BURSTS_MIN, images_max=150, lives_max=0, options=("early",))
    assert any("it was refused: it is at event" in breach for breach in report.breaches), report


@pytest.mark.searches
@STRACE
@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.parametrize("failing", ["survived", "fatal"])
def test_what_is_accepted_behind_a_sync_that_failed_stays(tmp_path: Path, failing: Failing) -> None:
    report = run(tmp_path, seed=1, seconds=0.6, bursts_min=BURSTS_MIN, images_max=80, lives_max=1, failing=failing)
    assert report.breaches == [], report
    assert report.with_something_to_lose >= 40, report


@STRACE
@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.parametrize("failing", ["survived", "fatal"])
def test_the_harness_finds_a_log_that_is_trusted_after_a_sync_that_failed(tmp_path: Path, failing: Failing) -> None:
    report = run(
        tmp_path,
        seed=1,
        seconds=0.6,
        bursts_min=BURSTS_MIN,
        images_max=40,
        lives_max=0,
        failing=failing,
        options=("trusting",),
    )
    assert any("it was refused: it is at event" in breach for breach in report.breaches), report
