"""`procession salvage`: what it says, and what it refuses."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.daemon.command import environment
from tests.daemon.inside import json_inside, run_inside
from tests.daemon.test_archive import HOLDER, JOURNALS

HIT = b'"weight_kg":"1.50"'


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A journal of six flows, and an archive of three of them."""
    shutil.copy(JOURNALS / "parcel_v2.db", tmp_path / "a.db")
    shutil.copytree(JOURNALS / "parcel_v2.db.archive", tmp_path / "a.db.archive")
    return tmp_path


def hit(path: Path) -> None:
    """Change one bit of one event."""
    content = bytearray(path.read_bytes())
    content[content.rindex(HIT) + len(HIT) - 2] ^= 1
    path.write_bytes(content)


def test_a_whole_journal_is_carried_over_whole(project: Path) -> None:
    found = json_inside("salvage", "a.db", "b.db", cwd=project)
    assert (found["whole"], found["flows"], found["archives"]) == (True, 6, 1)
    assert found["flows_left_out"] == found["events_lost"] == found["faults"] == []
    doctor = json_inside("doctor", "--journal", "b.db", cwd=project)
    assert {check["name"]: check["grade"] for check in doctor["checks"]}["integrity"] == "ok"


def test_what_is_lost_is_listed_and_the_damaged_file_stays_as_it_was(project: Path) -> None:
    hit(project / "a.db")
    before = (project / "a.db").read_bytes()
    found = json_inside("salvage", "a.db", "b.db", cwd=project, code=1)
    assert [flow["reason"].startswith("event ") for flow in found["flows_left_out"]] == [True]
    assert len(found["events_lost"]) == 1
    assert found["flows"] == 5
    assert (project / "a.db").read_bytes() == before
    assert sorted(path.name for path in project.iterdir()) == ["a.db", "a.db.archive", "b.db", "b.db.archive"]
    assert run_inside("doctor", "--journal", "b.db", cwd=project).code == 0


def test_it_tells_in_words_what_is_lost(project: Path) -> None:
    hit(project / "a.db")
    done = run_inside("salvage", "a.db", "b.db", cwd=project)
    assert done.code == 1
    assert "left out\tparcel/" in done.out
    assert "1 flows are left out" in done.err


def test_doctor_names_the_range_and_the_flows(project: Path) -> None:
    hit(project / "a.db")
    doctor = json_inside("doctor", "--journal", "a.db", cwd=project, code=1)
    assert "they concern parcel/" in str(doctor["checks"])


def test_a_missing_archive_file_is_listed(project: Path) -> None:
    (project / "a.db.archive" / "000001.jsonl.gz").unlink()
    found = json_inside("salvage", "a.db", "b.db", cwd=project, code=1)
    assert found["archives_lost"] == ["000001.jsonl.gz"]
    assert [fault["code"] for fault in found["faults"]] == ["archive_file"]


def test_an_archive_file_that_can_not_be_read_is_listed(project: Path) -> None:
    file = project / "a.db.archive" / "000001.jsonl.gz"
    file.unlink()
    file.mkdir()  # nobody reads a folder, root neither
    found = json_inside("salvage", "a.db", "b.db", cwd=project, code=1)
    assert found["archives_lost"] == ["000001.jsonl.gz"]
    assert found["flows"] == 6


def test_a_target_that_exists_is_not_touched(project: Path) -> None:
    (project / "b.db").write_bytes(b"mine")
    assert "overwrites nothing" in json_inside("salvage", "a.db", "b.db", cwd=project, code=2)["error"]
    assert (project / "b.db").read_bytes() == b"mine"


def test_a_source_that_is_missing_is_told(project: Path) -> None:
    assert json_inside("salvage", "c.db", "b.db", cwd=project, code=3)["kind"] == "NoSuchFile"


def test_a_file_that_is_no_journal_is_refused_and_leaves_nothing(project: Path) -> None:
    (project / "c.db").write_bytes(b"something else" * 1000)
    found = json_inside("salvage", "c.db", "b.db", cwd=project, code=1)
    assert found["kind"] == "JournalDamaged"
    assert not (project / "b.db").exists()


def test_it_is_refused_while_a_process_owns_the_journal(project: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, "a.db"], cwd=project, stdout=subprocess.PIPE, text=True, env=environment()
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "owned\n"
        refused = json_inside("salvage", "a.db", "b.db", cwd=project, code=8)
        holder.kill()
    assert str(holder.pid) in refused["error"]
