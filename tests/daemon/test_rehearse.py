"""`procession rehearse`: a log of loan applications, and copies of their flow in which somebody changed something."""

from __future__ import annotations

import contextlib
import re
import shutil
import sqlite3
from pathlib import Path

import pytest

from procession.journal.sqlite_schema import SCHEMA
from tests.daemon.command import CONFIG, ROOT, written
from tests.daemon.inside import json_inside, run_inside
from tests.flows.loan_log import LoanLog, loan_log

LOG = loan_log(40)
SOURCE = (ROOT / "flows" / "loan_application.py").read_text("utf-8")


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A journal of forty applications, made by the flow as it is."""
    folder = tmp_path_factory.mktemp("loans")
    file = written(folder / "log.jsonl", LOG.events)
    arguments = ("--no-wait", "--config", CONFIG, "--journal", folder / "loans.db")
    grace = {"PROCESSION_SHUTDOWN__GRACE_S": "50"}  # in it every flow takes its turns
    json_inside("publish", file, *arguments, cwd=folder, environ=grace)
    return folder / "loans.db"


@pytest.fixture
def here(journal: Path, tmp_path: Path) -> Path:
    """A folder with a copy of the journal, and a configuration for flows of its own."""
    shutil.copy(journal, tmp_path / "loans.db")
    (tmp_path / "changed.toml").write_text('modules = ["changed"]\nimport_paths = ["."]\n')
    return tmp_path


def change(folder: Path, old: str, new: str) -> None:
    assert SOURCE.count(old) == 1
    (folder / "changed.py").write_text(SOURCE.replace(old, new), "utf-8")


REHEARSE = ("rehearse", "--journal", "loans.db", "--config", "changed.toml")


def test_unchanged_flows_do_not_differ(here: Path) -> None:
    found = json_inside("rehearse", "--journal", "loans.db", "--config", CONFIG, cwd=here)
    assert found["same"] is True
    assert found["flows"] == {"live": LOG.still_open, "ended": LOG.flows - LOG.still_open}
    assert (found["differences"], found["differing"]) == ([], {"live": 0, "ended": 0})
    assert found["steps_per_s"] > 0
    done = run_inside("rehearse", "--journal", "loans.db", "--config", CONFIG, cwd=here)
    assert done.code == 0
    assert "all ask for the same so far" in done.out


def test_a_changed_command_is_found_in_exactly_the_flows_that_it_concerns(here: Path) -> None:
    old = '    def approved(self, event: AApproved) -> None:\n        """Decided."""'
    change(
        here, old, "    def approved(self, event: AApproved) -> Effects:\n        yield AskAboutOffer(event.case_id)"
    )
    found = json_inside(*REHEARSE, "--sample", "99", cwd=here, code=1)
    (difference,) = found["differences"]
    assert (difference["handler"], difference["event"]) == ("approved", "bpic2012.A_APPROVED")
    assert difference["what"] == "sends command loan.ask_about_offer, which it did not"
    assert difference["flows"] == {"live": 0, "ended": LOG.outcomes["approved"]}
    assert {one["flow"] for one in difference["sample"]} == {
        f"loan_application/{case_id}" for case_id in cases_with(LOG, "bpic2012.A_APPROVED")
    }
    command = difference["sample"][0]["now"][0]
    assert command["data"] == {"case_id": difference["sample"][0]["flow"].partition("/")[2]}


def test_a_changed_delay_is_found_by_people_too(here: Path) -> None:
    change(here, "timedelta(days=14)", "timedelta(days=13)")
    done = run_inside(*REHEARSE, cwd=here)
    assert done.code == 1
    (told,) = re.findall(r"falls due at another time: (\d+) live and (\d+) ended flows", done.out, re.MULTILINE)
    sent = before_decision(LOG, "bpic2012.O_SENT")
    assert int(told[0]) + int(told[1]) == len(sent)


def test_a_journal_of_today_keeps_the_delay_itself(here: Path) -> None:
    with contextlib.closing(sqlite3.connect(here / "loans.db", isolation_level=None)) as connection:
        texts = [row[0] for row in connection.execute("select effects from step where effects like '%\"timer\"%'")]
    assert texts
    assert all('"after_us":1209600000000' in text for text in texts)


def cases_with(log: LoanLog, kind: str) -> set[str]:
    return {str(event["subject"]) for event in log.events if event["type"] == kind}


def before_decision(log: LoanLog, kind: str) -> set[str]:
    """The cases that have such an event before they are decided."""
    decided: set[str] = set()
    found: set[str] = set()
    for event in log.events:
        case = str(event["subject"])
        if event["type"] == kind and case not in decided:
            found.add(case)
        if event["type"] in ("bpic2012.A_APPROVED", "bpic2012.A_DECLINED", "bpic2012.A_CANCELLED"):
            decided.add(case)
    return found


def test_the_selection_is_heeded(here: Path) -> None:
    live = json_inside(
        "rehearse", "--journal", "loans.db", "--config", CONFIG, "--status", "active", "--limit", "1", cwd=here
    )
    assert live["flows"] == {"live": 1, "ended": 0}
    assert live["next"] == [] or live["next"][0]["process"] == "loan_application"


def test_the_journal_is_not_touched(here: Path) -> None:
    before = (here / "loans.db").read_bytes()
    json_inside("rehearse", "--journal", "loans.db", "--config", CONFIG, cwd=here)
    assert (here / "loans.db").read_bytes() == before


@pytest.mark.parametrize(
    ("module", "found"),
    [
        ("import nothing_of_this_name", "can't be imported"),
        ("def wire_testing(:", "can't be imported"),
        ("1 / 0", "ZeroDivisionError"),
        ("x = 1", "has no wire_testing"),
        ("def wire_testing(settings):\n    return 7", "returned int"),
    ],
)
def test_a_module_that_can_not_be_used_is_told_in_one_sentence(module: str, found: str, here: Path) -> None:
    (here / "changed.py").write_text(module)
    done = run_inside(*REHEARSE, cwd=here)
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert found in done.err


@pytest.mark.parametrize(
    ("arguments", "code", "found"),
    [
        (("--process", "nothing"), 3, "no process 'nothing'"),
        (("--limit", "-1"), 2, "less than 0"),
        (("--sample", "0"), 2, "less than 1"),
        (("--journal", "none.db"), 3, "there is no file none.db"),
        (("--config", "none.toml"), 3, "none.toml"),
    ],
)
def test_what_is_not_there_is_told_in_one_sentence(
    arguments: tuple[str, ...], code: int, found: str, here: Path
) -> None:
    done = run_inside("rehearse", "--journal", "loans.db", "--config", CONFIG, *arguments, cwd=here)
    assert (done.code, done.out, done.err.count("\n")) == (code, "", 1)
    assert found in done.err


def test_without_modules_there_is_nothing_to_rehearse_with(here: Path) -> None:
    done = run_inside("rehearse", "--journal", "loans.db", cwd=here)
    assert done.code == 2
    assert "name no modules" in done.err


@pytest.mark.parametrize("verb", [("rehearse",), ("why", "loan_application/1", "x"), ("why-not", "loan_application/1")])
def test_a_journal_of_a_newer_version_is_refused(verb: tuple[str, ...], here: Path) -> None:
    with contextlib.closing(sqlite3.connect(here / "loans.db", isolation_level=None)) as connection:
        connection.execute(f"pragma user_version = {SCHEMA + 1}")
    found = json_inside(*verb, "--journal", "loans.db", "--config", CONFIG, cwd=here, code=9)
    assert found["kind"] == "JournalTooNew"
