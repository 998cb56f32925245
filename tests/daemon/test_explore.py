"""`procession explore`: the reference flows are clean; what can't be explored gets one clear sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.daemon.command import CONFIG
from tests.daemon.inside import json_inside, run_inside

RACE = """
from procession import Command, Effects, Event, Gateway, History, ProcessManager, Wiring, ends, folds, invariant, on
from procession import after, starts
from datetime import timedelta

class Asked(Event, name="a.asked"):
    key: str

class Told(Event, name="a.told"):
    key: str
    well: bool

class Passed(Event, name="a.passed"):
    key: str

class Tell(Command, name="a.tell"):
    key: str

class Desk(Gateway, name="a.desk"):
    async def tell(self, command: Tell) -> Told:
        raise SystemExit("no gateway is called")

class Stuck(ProcessManager, name="stuck", key="key"):
    @starts
    def ask(self, asked: Asked) -> Effects:
        yield Tell(asked.key)

    @on
    def told(self, told: Told) -> None: ...

class Endless(ProcessManager, name="endless", key="key"):
    rounds: int = 0

    @folds
    def count(self, passed: Passed) -> "Endless":
        return self.evolve(rounds=self.rounds + 1)

    @starts
    def ask(self, asked: Asked) -> Effects:
        yield after(timedelta(1), Passed(asked.key))

    @on
    def again(self, passed: Passed) -> Effects:
        yield after(timedelta(1), Passed(passed.key))

def wire_testing(settings):
    return Wiring((Stuck, Endless), (Desk(),))
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "race.py").write_text(RACE)
    (tmp_path / "broken.py").write_text("import race\n1 / 0\n")
    (tmp_path / "p.toml").write_text('modules = ["race"]\nimport_paths = ["."]\n')
    return tmp_path


def test_the_reference_flows_are_clean(tmp_path: Path) -> None:
    found = json_inside("explore", "--config", CONFIG, cwd=tmp_path)
    assert found["clean"] is True
    assert [one["process"] for one in found["explorations"]] == ["Order", "Provisioning", "Batch", "LoanApplication"]
    assert all(one["complete"] for one in found["explorations"])
    assert list(tmp_path.iterdir()) == []


def test_a_finding_is_printed_with_its_trace_and_ends_with_one(project: Path) -> None:
    done = run_inside("explore", "stuck", "--config", "p.toml", cwd=project)
    assert done.code == 1
    assert "Asked ; Told" in done.out
    assert "Stuck: explored all 3 states, in 3 turns" in done.out
    assert done.err == "procession: not clean: Stuck\n"


def test_findings_are_json_for_programs(project: Path) -> None:
    found = json_inside("explore", "Stuck", "--config", "p.toml", cwd=project, code=1)
    (fault,) = found["explorations"][0]["findings"]
    assert (fault["kind"], fault["trace"]) == ("stuck", "Asked ; Told")
    assert fault["place"].startswith(str(project / "race.py"))


def test_an_unbounded_flow_is_said_to_be_seen_in_part_only(project: Path) -> None:
    done = run_inside("explore", "endless", "--states-max", "70", "--config", "p.toml", cwd=project)
    assert done.code == 1
    first = done.out.splitlines()[0]
    assert first.startswith("Endless: explored ")
    assert first.endswith("stopped at states_max = 70, so this is only a part")


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("broken:Stuck", "module 'broken' can't be imported (ZeroDivisionError"),
        ("race:Asked", "race:Asked is no process manager; name a process of race: Stuck, Endless"),
        ("order", "'order' is no process of the configured modules; name one of stuck, endless, or MODULE:CLASS"),
    ],
)
def test_what_can_not_be_explored_gets_one_sentence(name: str, sentence: str, project: Path) -> None:
    done = run_inside("explore", name, "--config", "p.toml", cwd=project)
    assert done.code == 2
    assert sentence in done.err
    assert done.err.count("\n") == 1
    assert done.out == ""
