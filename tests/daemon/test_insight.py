"""Flows searched, understood, exported and imported by the command."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.daemon.command import CONFIG, start_event, written
from tests.daemon.inside import json_inside, run_inside

WITH_FLOWS = ("--config", CONFIG, "--journal", "procession.db")


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A journal with one application that waits for an answer to its offer, and one that is decided."""
    folder = tmp_path_factory.mktemp("insight")
    sent = {**start_event(1), "id": "1/1", "type": "bpic2012.O_SENT", "data": {"case_id": "1"}}
    declined = {**start_event(2), "id": "2/1", "type": "bpic2012.A_DECLINED", "data": {"case_id": "2"}}
    file = written(folder / "events.jsonl", [start_event(1), sent, start_event(2), declined])
    json_inside("publish", file, *WITH_FLOWS, cwd=folder)
    return folder


def test_ls_takes_a_search_beside_its_filters(here: Path) -> None:
    for search, keys in (
        (("status:live",), ["1"]),
        (("outcome:dec*", "process:loan_application"), ["2"]),
        (("age>1h",), []),
    ):
        assert [flow["key"] for flow in json_inside("ls", *search, cwd=here)["flows"]] == keys
    negated = run_inside("ls", "--", "-outcome:declined", cwd=here).out
    assert [line.split("\t")[0] for line in negated.splitlines()] == ["loan_application/1"]
    refused = json_inside("ls", "status:asleep", cwd=here, code=2)
    assert (refused["kind"], "at 7 of the search" in refused["error"]) == ("SearchRefused", True)


def test_show_tells_the_state_around_a_step_and_draws_mermaid(here: Path) -> None:
    found = json_inside("show", "loan_application/1", "--at", "2", *WITH_FLOWS, cwd=here)
    assert (found["at"], found["type"], found["failure"]) == (2, "bpic2012.O_SENT", "")
    lines = run_inside("show", "loan_application/1", "--at", "2", *WITH_FLOWS, cwd=here).out.splitlines()
    assert lines[0] == "loan_application/1, event 2 of 2"
    assert run_inside("show", "loan_application/1", "--mermaid", cwd=here).out.startswith("sequenceDiagram\n")
    assert json_inside("show", "loan_application/1", "--at", "9", *WITH_FLOWS, cwd=here, code=3)["kind"] == "NotFound"


def test_a_flow_goes_to_a_file_and_into_a_journal_of_its_own(here: Path, tmp_path: Path) -> None:
    file, target = tmp_path / "flow.jsonl", tmp_path / "flow.db"
    assert json_inside("export", "loan_application/2", file, cwd=here)["steps"] == 2
    assert json_inside("import", file, target, cwd=here)["flow"] == "loan_application/2"
    whole = json_inside("show", "loan_application/2", cwd=here)
    copied = json_inside("show", "loan_application/2", "--journal", target, cwd=here)
    moments = ("age_s", "idle_s")
    assert {name: copied[name] for name in copied if name not in moments} == {
        name: whole[name] for name in whole if name not in moments
    }
    assert run_inside("export", "loan_application/2", file, cwd=here).code == 2
    assert run_inside("import", file, target, cwd=here).code == 2


def test_a_fork_is_rehearsed_apart(here: Path, tmp_path: Path) -> None:
    file, target = tmp_path / "fork.jsonl", tmp_path / "fork.db"
    json_inside("export", "loan_application/2", file, "--at", "1", cwd=here)
    json_inside("import", file, target, cwd=here)
    found = json_inside("rehearse", "--config", CONFIG, "--journal", target, cwd=here)
    assert (found["flows"], found["steps"]) == ({"live": 1, "ended": 0}, 1)


def test_what_is_no_exported_flow_is_refused_and_leaves_no_journal(tmp_path: Path) -> None:
    (tmp_path / "not.jsonl").write_text("{}\n")
    refused = json_inside("import", "not.jsonl", "new.db", cwd=tmp_path, code=2)
    assert (refused["kind"], sorted(path.name for path in tmp_path.iterdir())) == ("ImportRefused", ["not.jsonl"])


@pytest.mark.slow
def test_what_if_tells_what_would_differ(here: Path) -> None:
    found = json_inside("what-if", "loan_application/2", "--drop", "2", *WITH_FLOWS, cwd=here)
    assert (found["outcome_before"], found["outcome_after"], found["same"]) == ("declined", None, False)
    lines = run_inside("what-if", "loan_application/2", "--drop", "2", *WITH_FLOWS, cwd=here).out.splitlines()
    assert "outcome: declined → not ended" in lines


def test_what_if_without_an_edit_is_refused(here: Path) -> None:
    assert json_inside("what-if", "loan_application/2", *WITH_FLOWS, cwd=here, code=2)["kind"] == "UsageRefused"
