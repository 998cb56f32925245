"""`procession archive`, and what the other verbs tell afterwards."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.daemon.command import ROOT, environment
from tests.daemon.inside import json_inside, run_inside

WHERE = ("--journal", "a.db")
JOURNALS = ROOT / "tests" / "fixtures" / "journals"
HOLDER = """
import sys, trio
from procession.journal.sqlite import open_sqlite
async def main():
    await open_sqlite(sys.argv[1], clock_us=lambda: 0)
    print("owned", flush=True)
    await trio.sleep_forever()
trio.run(main)
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A journal of six flows, of which two have ended and one was cancelled."""
    shutil.copy(JOURNALS / "parcel_v1.db", tmp_path / "a.db")
    return tmp_path


def listed(cwd: Path) -> dict[str, dict[str, Any]]:
    flows = json_inside("ls", "--limit", "0", *WHERE, cwd=cwd)["flows"]
    return {flow["flow"]: timeless(flow) for flow in flows}


def timeless(found: dict[str, Any]) -> dict[str, Any]:
    """Without what depends on when it was asked."""
    return {
        name: [timeless(row) for row in value] if name == "timers" else value
        for name, value in found.items()
        if name not in ("age_s", "idle_s", "due_in_s")
    }


def test_ls_and_show_tell_the_same_after_archiving(project: Path) -> None:
    flows = listed(project)
    shown = {name: timeless(json_inside("show", name, *WHERE, cwd=project)) for name in ("parcel/home-3",)}
    done = json_inside("archive", "--older-than", "0s", *WHERE, cwd=project)
    assert done["flows"] == 3
    assert done["events"] > 0
    assert listed(project) == flows
    assert {name: timeless(json_inside("show", name, *WHERE, cwd=project)) for name in shown} == shown
    doctor = json_inside("doctor", *WHERE, cwd=project)
    assert {check["name"]: check["grade"] for check in doctor["checks"]}["integrity"] == "ok"
    assert "3 flows in 1 files" in str(doctor["checks"])


def test_a_dry_run_counts_and_changes_nothing(project: Path) -> None:
    found = json_inside("archive", "--older-than", "0s", "--dry-run", *WHERE, cwd=project)
    assert found["dry_run"] is True
    assert found["flows"] > 0
    assert not (project / "a.db.archive").exists()
    who = ("--by", "ann", "--reason", "spring")
    done = json_inside("archive", "--older-than", "0s", "--compact", *who, *WHERE, cwd=project)
    assert (done["flows"], done["files"]) == (found["flows"], 1)
    assert done["bytes_after"] <= done["bytes_before"]
    with closing(sqlite3.connect(project / "a.db")) as journal:
        acts = journal.execute("select payload from event where type = 'procession.journal_archived'").fetchall()
    assert [json.loads(act)["by"] + json.loads(act)["why"] for (act,) in acts] == ["annspring"]


def test_it_says_what_it_did_in_words(project: Path) -> None:
    done = run_inside("archive", "--older-than", "0s", "--limit", "2", "--compact", *WHERE, cwd=project)
    assert done.code == 0, done.err
    assert done.out.startswith("2 flows and ")
    assert "compacting: " in done.err


def test_nothing_asked_for_is_refused(project: Path) -> None:
    assert "--older-than 90d" in run_inside("archive", *WHERE, cwd=project).err


def test_it_is_refused_while_another_process_owns_the_journal(project: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, "a.db"], cwd=project, stdout=subprocess.PIPE, text=True, env=environment()
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "owned\n"
        refused = json_inside("archive", "--older-than", "0s", *WHERE, cwd=project, code=8)
        holder.kill()
    assert str(holder.pid) in refused["error"]


def test_a_missing_archive_file_is_told_and_how_to_mend_it(project: Path) -> None:
    json_inside("archive", "--older-than", "0s", *WHERE, cwd=project)
    (project / "a.db.archive" / "000001.jsonl.gz").rename(project / "away")
    refused = json_inside("show", "parcel/home-3", *WHERE, cwd=project, code=5)
    assert refused["kind"] == "ArchiveUnreadable"
    assert "put it back" in refused["error"]
    assert json_inside("doctor", *WHERE, cwd=project, code=1)["well"] is False
