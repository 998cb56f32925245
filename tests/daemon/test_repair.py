"""`retry`, `skip`, `release`, `cancel`, and what `ls` and `show` tell before and after."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.daemon.command import written
from tests.daemon.inside import json_inside, run_inside

MODULE = """
import os

from procession import (
    Attempt, Command, Effects, Event, Gateway, ProcessManager, Refused, Wiring, allows, ends, on, starts
)


class Asked(Event, name="errand.asked"):
    errand: str


class Checked(Event, name="errand.checked"):
    errand: str


class Ran(Event, name="errand.ran"):
    errand: str


class Run(Command, name="errand.run"):
    errand: str


class Errand(ProcessManager, name="errand", key="errand"):
    @starts
    def go(self, asked: Asked) -> Effects:
        yield Run(asked.errand)

    @allows("LAW03", reason="it stands in for a handler that is mended between two runs")
    @on
    def check(self, checked: Checked) -> None:
        if checked.errand == "broken" and "MENDED" not in os.environ:
            raise ValueError("this handler is not ready for it")

    @ends
    def back(self, ran: Ran) -> None: ...


class Legs(Gateway, name="legs"):
    async def run_inside(self, command: Run, attempt: Attempt) -> Ran | None:
        if command.errand == "refused" and "MENDED" not in os.environ:
            raise Refused("the road is closed")
        return Ran(command.errand) if command.errand == "refused" else None


def wire_production(settings: object) -> Wiring:
    return Wiring((Errand,), (Legs(),))


wire_testing = wire_production
"""
MENDED = {"MENDED": "1"}
ACT = ("--reason", "mended the road", "--by", "ann", "--wait-s", "50")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A journal with a flow in quarantine by its handler, one by a command that was given up, and one that waits."""
    (tmp_path / "config").mkdir()
    (tmp_path / "errands.py").write_text(MODULE)
    (tmp_path / "config" / "procession.toml").write_text('modules = ["errands"]\nimport_paths = [".."]\n')
    events = [("Asked", "broken"), ("Checked", "broken"), ("Asked", "refused"), ("Asked", "well/slashed")]
    lines = [
        {
            "specversion": "1.0",
            "id": str(number),
            "source": "test",
            "type": f"errand.{name.lower()}",
            "data": {"errand": key},
        }
        for number, (name, key) in enumerate(events)
    ]
    json_inside("publish", written(tmp_path / "events.jsonl", lines), cwd=tmp_path)
    return tmp_path


def test_ls_finds_flows_by_status_and_key(project: Path) -> None:
    set_aside = json_inside("ls", "--status", "quarantined", cwd=project)["flows"]
    assert sorted(flow["key"] for flow in set_aside) == ["broken", "refused"]
    assert [flow["flow"] for flow in json_inside("ls", "--prefix", "well", cwd=project)["flows"]] == [
        "errand/well/slashed"
    ]
    assert [flow["key"] for flow in json_inside("ls", "--key", "broken", cwd=project)["flows"]] == ["broken"]
    assert json_inside("ls", "--older-than", "1h", cwd=project)["flows"] == []
    assert json_inside("ls", "--process", "none", cwd=project)["flows"] == []
    assert json_inside("ls", "--limit", "1", cwd=project)["more"] is True


def test_ls_in_a_pipe_is_tabs_without_headers(project: Path) -> None:
    lines = run_inside("ls", "--key", "broken", cwd=project).out.splitlines()
    assert [line.split("\t")[:4] for line in lines] == [["errand/broken", "quarantined", "-", "2"]]


def test_show_tells_events_commands_and_causes_in_order(project: Path) -> None:
    text = run_inside("show", "errand/refused", cwd=project).out
    told = re.findall(r"ms +errand\.asked|command errand\.run|attempt 1 failed: the road is closed|no turn: \w+", text)
    assert [one.split()[-1] for one in told] == ["errand.asked", "errand.run", "closed", "quarantined"]
    found = json_inside("show", "errand/refused", cwd=project)
    assert [command["state"] for command in found["commands"]] == ["given_up"]
    given_up = next(entry for entry in found["timeline"] if entry["type"] == "procession.command_given_up")
    assert given_up["cause"] == "answer to errand.run"
    assert given_up["caused_by"] == found["commands"][0]["id"]
    assert given_up["fate"] == "quarantined"


def test_a_key_may_hold_slashes_and_a_flow_that_nobody_knows_is_told(project: Path) -> None:
    assert json_inside("show", "errand/well/slashed", cwd=project)["status"] == "active"
    assert "errand/none" in json_inside("show", "errand/none", cwd=project, code=3)["error"]
    assert json_inside("retry", "errand/none", *ACT, cwd=project, code=3)["kind"] == "NotFound"
    assert json_inside("retry", "none/none", *ACT, cwd=project, code=3)["kind"] == "NotFound"


def test_a_command_is_sent_again_under_its_id(project: Path) -> None:
    command = json_inside("show", "errand/refused", cwd=project)["commands"][0]["id"]
    done = run_inside("retry", "errand/refused", "--command", command, *ACT, cwd=project, environ=MENDED)
    assert done.code == 0
    assert "quarantined → ended (completed)" in done.out
    shown = json_inside("show", "errand/refused", cwd=project)
    assert [(one["id"], one["state"]) for one in shown["commands"]] == [(command, "answered")]
    act = next(entry for entry in shown["timeline"] if entry["type"] == "procession.command_retried")
    assert (act["data"]["by"], act["data"]["why"]) == ("ann", "mended the road")


def test_a_command_id_that_is_none_is_refused(project: Path) -> None:
    assert "no id" in json_inside("retry", "errand/refused", "--command", "7", *ACT, cwd=project, code=2)["error"]


@pytest.mark.parametrize("verb", ["retry", "release"])
def test_a_mended_flow_goes_on(verb: str, project: Path) -> None:
    done = run_inside(verb, "errand/broken", *ACT, cwd=project, environ=MENDED)
    assert done.out == "errand/broken  quarantined → active\n"
    handlers = [entry["step"]["handler"] for entry in json_inside("show", "errand/broken", cwd=project)["timeline"]]
    assert "check" in handlers


def test_a_flow_that_is_not_mended_stays_in_quarantine(project: Path) -> None:
    assert json_inside("retry", "errand/broken", *ACT, cwd=project)["status"] == "quarantined"


def test_an_event_is_skipped(project: Path) -> None:
    found = json_inside("skip", "errand/broken", *ACT, cwd=project)
    assert (found["act"], found["status_before"], found["status"]) == ("skip", "quarantined", "active")
    fates = [entry["fate"] for entry in json_inside("show", "errand/broken", cwd=project)["timeline"]]
    assert "skipped" in fates


def test_a_flow_is_cancelled_once(project: Path) -> None:
    found = json_inside("cancel", "errand/well/slashed", "--force", "--reason", "not needed", cwd=project)
    assert found["status"] == "cancelled"
    assert "@" in found["by"]
    again = json_inside("cancel", "errand/well/slashed", *ACT, cwd=project, code=4)
    assert "it has ended already" in again["error"]


@pytest.mark.parametrize("verb", ["retry", "skip", "release"])
def test_what_is_not_in_quarantine_is_not_repaired(verb: str, project: Path) -> None:
    assert json_inside(verb, "errand/well/slashed", *ACT, cwd=project, code=4)["kind"] == "ActRefused"


def test_an_act_without_a_reason_is_refused(project: Path) -> None:
    assert "--reason is empty" in json_inside("skip", "errand/broken", "--reason", " ", cwd=project, code=2)["error"]
