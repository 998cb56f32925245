"""`procession why`, `why-not` and `map`, as people and programs read them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.daemon.command import CONFIG, start_event, written
from tests.daemon.inside import json_inside, run_inside


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A journal with one application that is open and waits for an answer to its offer, and one that is decided."""
    folder = tmp_path_factory.mktemp("why")
    sent = {**start_event(1), "id": "1/1", "type": "bpic2012.O_SENT", "data": {"case_id": "1"}}
    declined = {**start_event(2), "id": "2/1", "type": "bpic2012.A_DECLINED", "data": {"case_id": "2"}}
    file = written(folder / "events.jsonl", [start_event(1), sent, start_event(2), declined])
    json_inside("publish", file, "--config", CONFIG, "--journal", "procession.db", cwd=folder)
    return folder


WITH_FLOWS = ("--config", CONFIG, "--journal", "procession.db")


@pytest.mark.parametrize("what", ["loan.answer_window_closed", "AnswerWindowClosed"])
def test_why_takes_stored_names_and_classes(what: str, here: Path) -> None:
    lines = run_inside("why", "loan_application/1", what, *WITH_FLOWS, cwd=here).out.splitlines()
    assert lines[0] == "why loan.answer_window_closed of loan_application/1:"
    assert lines[1].endswith("bpic2012.O_SENT at 2, from outside: test 1/1")
    assert lines[2].endswith("→ loan_application/1 expect_answer, step 2")
    assert "→ deadline loan.answer_window_closed, due" in lines[3]


def test_why_needs_no_flows_for_what_the_journal_knows(here: Path) -> None:
    found = json_inside("why", "loan_application/1", "2", cwd=here)
    assert found["complete"] is True
    (cause,) = found["causes"]
    assert (cause["kind"], cause["name"], cause["position"]) == ("event", "bpic2012.O_SENT", 2)
    assert cause["at"].endswith("Z")
    assert cause["data"]["case_id"] == "1"


def test_why_not_tells_what_an_open_flow_waits_for(here: Path) -> None:
    found = json_inside("why-not", "loan_application/1", *WITH_FLOWS, cwd=here)
    assert (found["status"], found["running"], found["ended"]) == ("active", False, None)
    assert [deadline["name"] for deadline in found["deadlines"]] == ["loan.answer_window_closed"]
    assert "bpic2012.A_APPROVED" in found["handles"]
    assert "loan.offer_followed_up" not in found["handles"]
    assert json_inside("why-not", "loan_application/1", cwd=here)["handles"] is None


def test_why_not_tells_how_a_flow_ended(here: Path) -> None:
    lines = run_inside("why-not", "loan_application/2", cwd=here).out.splitlines()
    assert lines[0] == "loan_application/2 is ended"
    assert lines[1].startswith("    ended as declined at ")
    assert lines[2] == "    by declined, step 2, on bpic2012.A_DECLINED at 4"
    assert len(lines) == 3


@pytest.mark.parametrize(
    ("arguments", "code", "found"),
    [
        (("why", "loan_application/9", "x"), 3, "no flow 'loan_application/9'"),
        (("why", "loan_application/1", "NoSuch"), 3, "'NoSuch'; `procession show loan_application/1`"),
        (("why", "loan_application/1", "AskAboutOffer"), 3, "'loan.ask_about_offer'"),
        (("why", "loan", "x"), 2, "names no flow"),
        (("why-not", "loan_application/9"), 3, "no flow 'loan_application/9'"),
        (("why-not", "loan_application/1", "--journal", "none.db"), 3, "no file none.db"),
        (("why-not", "loan_application"), 2, "names no flow"),
        (("map", "--process", "nothing"), 3, "no process 'nothing'"),
        (("map", "no.such.module"), 2, "'no.such.module' can't be imported"),
    ],
)
def test_what_is_not_there_is_told_in_one_sentence(
    arguments: tuple[str, ...], code: int, found: str, here: Path
) -> None:
    done = run_inside(*arguments[:1], *WITH_FLOWS, *arguments[1:], cwd=here)
    assert (done.code, done.out, done.err.count("\n")) == (code, "", 1)
    assert found in done.err


def test_the_map_is_text_or_json(here: Path) -> None:
    text = run_inside("map", "--config", CONFIG, "flows.loan_application", cwd=here).out
    assert text.startswith("flowchart LR\n")
    assert '    event_bpic2012_O_SENT -->|"expect_answer"| process_loan_application\n' in text
    found = json_inside("map", "--config", CONFIG, "--process", "order", cwd=here)
    assert [node["name"] for node in found["nodes"] if node["kind"] == "process"] == ["order"]
    armed = next(edge for edge in found["edges"] if edge["does"] == "arms")
    assert (armed["target"]["name"], armed["by"], armed["derived"]) == ("payment.window_closed", "charge", True)
    assert {node["name"]: node["origins"] for node in found["nodes"]}["payment.window_closed"] == ["deadline"]
