"""`procession doctor` and `procession backup`."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from pathlib import Path
from typing import Any

from tests.daemon.command import CONFIG
from tests.daemon.inside import json_inside, run_inside


def grades(found: dict[str, Any]) -> dict[str, str]:
    return {check["name"]: check["grade"] for check in found["checks"]}


def made(tmp_path: Path) -> None:
    json_inside("demo", "--flows", "20", "--fast", "--config", CONFIG, "--journal", "a.db", cwd=tmp_path)


def test_a_journal_that_is_well_is_said_to_be(tmp_path: Path) -> None:
    made(tmp_path)
    found = json_inside("doctor", "--config", CONFIG, "--journal", "a.db", cwd=tmp_path)
    assert found["well"] is True
    assert "fail" not in grades(found).values()
    assert {"python", "sqlite", "flows", "disk", "fsync", "journal", "schema", "owner", "integrity"} <= set(
        grades(found)
    )
    assert found["settings"]["journal.path"] == {"value": "a.db", "default": "procession.db", "origin": "--journal"}
    assert found["settings"]["modules"]["origin"] == str(CONFIG)


def test_what_was_changed_from_outside_is_found(tmp_path: Path) -> None:
    made(tmp_path)
    with contextlib.closing(sqlite3.connect(tmp_path / "a.db", isolation_level=None)) as journal:
        for (trigger,) in journal.execute("select name from sqlite_schema where type = 'trigger'").fetchall():
            journal.execute(f'drop trigger "{trigger}"')
        journal.execute("update event set payload = replace(payload, 'order-', 'ordre-') where position = 1")
        journal.execute("update event set keys = '{}' where position = 2")
    journal.close()
    found = json_inside("doctor", "--config", CONFIG, "--journal", "a.db", cwd=tmp_path, code=1)
    assert found["well"] is False
    failed = [check for check in found["checks"] if check["grade"] == "fail"]
    assert [check["name"] for check in failed] == ["integrity"] * len(failed)
    assert all(check["cure"] for check in failed)


def test_no_journal_yet_is_no_failure(tmp_path: Path) -> None:
    found = json_inside("doctor", cwd=tmp_path)
    assert grades(found)["journal"] == "warn"
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_journal_fails_with_its_cure(tmp_path: Path) -> None:
    (tmp_path / "a.db").write_text("something else")
    done = run_inside("doctor", "--journal", "a.db", cwd=tmp_path)
    assert done.code == 1
    assert "journal\tfail\t" in done.out


def test_modules_that_can_not_be_imported_fail_with_their_cure(tmp_path: Path) -> None:
    (tmp_path / "p.toml").write_text('modules = ["nowhere.to_be_found"]\n')
    found = json_inside("doctor", "--config", "p.toml", cwd=tmp_path, code=1)
    assert grades(found)["flows"] == "fail"


def test_a_backup_is_a_journal_and_overwrites_nothing(tmp_path: Path) -> None:
    made(tmp_path)
    found = json_inside("backup", "copy.db", "--journal", "a.db", cwd=tmp_path)
    assert found["bytes"] == (tmp_path / "copy.db").stat().st_size
    flows = [
        json_inside("ls", "--journal", name, "--limit", "0", cwd=tmp_path)["flows"] for name in ("a.db", "copy.db")
    ]
    assert [flow["flow"] for flow in flows[0]] == [flow["flow"] for flow in flows[1]]
    assert "overwrites nothing" in json_inside("backup", "copy.db", "--journal", "a.db", cwd=tmp_path, code=2)["error"]


def test_a_flow_whose_turn_did_not_return_is_named(tmp_path: Path) -> None:
    made(tmp_path)
    suspect = {"process": "order", "key": "421", "position": 7, "place": "take_payment (shop.py:88)"}
    (tmp_path / "a.db.suspect").write_text(json.dumps([suspect]))
    found = json_inside("doctor", "--journal", "a.db", cwd=tmp_path)
    assert grades(found)["suspect"] == "warn"
    assert "order/421, at the event at position 7, in take_payment (shop.py:88)" in str(found["checks"])
