"""`procession tasks`: what people are asked, and their answers, from a terminal."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.daemon.inside import json_inside, run_inside
from tests.daemon.serving import serving

ROOT = Path(__file__).parents[2]
PATIENT = ("--wait-s", "50")


@pytest.fixture(scope="module")
def filed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A journal in which a person is asked about an expense, and another one about a second."""
    folder = tmp_path_factory.mktemp("filed")
    (folder / "config").mkdir()
    settings = f'modules = ["flows.expense_approval"]\nimport_paths = ["{ROOT}"]\n'
    (folder / "config" / "procession.toml").write_text(settings)
    expenses: list[dict[str, Any]] = [
        {"expense_id": key, "employee": "ann", "amount_cents": 42_000, "purpose": "a train"} for key in ("7", "8")
    ]
    lines = [
        {"specversion": "1.0", "id": data["expense_id"], "source": "test", "type": "expense.filed", "data": data}
        for data in expenses
    ]
    (folder / "events.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert run_inside("publish", "events.jsonl", cwd=folder).code == 0
    return folder


@pytest.fixture
def project(filed: Path, tmp_path: Path) -> Path:
    """A copy of it, to act on."""
    return shutil.copytree(filed, tmp_path / "project")


def ids(project: Path, *arguments: str) -> list[str]:
    """Of the tasks that are listed, in the order of their expenses: which of them was asked first is chance."""
    tasks = json_inside("tasks", "ls", *arguments, cwd=project)["tasks"]
    return [task["task_id"] for task in sorted(tasks, key=lambda task: task["asked_by"])]


def test_tasks_are_listed_by_whose_they_are(project: Path) -> None:
    first, second = ids(project)
    assert json_inside("tasks", "claim", first, "--by", "bob", cwd=project)["person"] == "bob"
    assert ids(project, "--assignee", "bob") == [first]
    assert ids(project, "--group", "managers") == [second]
    assert ids(project, "--assignee", "bob", "--group", "managers") == [first, second]
    assert len(ids(project, "--limit", "1")) == 1
    listed = {line.split("\t")[0]: line.split("\t") for line in run_inside("tasks", "ls", cwd=project).out.splitlines()}
    assert listed[first][1:3] == ["open", "bob"]
    assert [listed[second][2], *listed[second][-2:]] == ["group managers", "expense/8", "Expense of ann: 420.00"]


def test_a_task_shows_what_is_asked_and_what_the_form_wants(project: Path) -> None:
    task = ids(project)[0]
    shown = json_inside("tasks", "show", task, cwd=project)
    assert shown["shown"]["purpose"] == "a train"
    assert shown["form"]["required"] == ["approved", "comment"]
    assert "approved=\tboolean" in run_inside("tasks", "show", task, cwd=project).out


def test_why_not_says_that_a_flow_waits_for_a_task(project: Path) -> None:
    task = ids(project)[0]
    done = run_inside("why-not", "expense/7", cwd=project)
    assert f"waits for approvals.tasks/{task}, which a gateway keeps for it" in done.out
    assert "no command is open" not in done.out
    json_inside("tasks", "answer", task, "approved=true", "comment=fine", *PATIENT, cwd=project)
    assert json_inside("why-not", "expense/7", cwd=project)["kept"] == []


def test_an_answer_is_read_as_the_form_wants_it_and_the_flow_goes_on(project: Path) -> None:
    task = ids(project)[0]
    answer = ("approved=true", "comment=true", "--by", "bob")
    done = json_inside("tasks", "answer", task, *answer, *PATIENT, cwd=project)
    assert (done["status"], done["settled_by"]) == ("answered", "bob")
    assert done["answer"] == {"approved": True, "comment": "true"}
    (flow,) = json_inside("ls", "--process", "expense", "--outcome", "paid", cwd=project)["flows"]
    assert flow["key"] == "7"
    assert task not in ids(project)
    assert task in ids(project, "--all")


def test_an_answer_may_come_as_one_object(project: Path) -> None:
    task = ids(project)[1]
    data = '{"approved": false, "comment": "no"}'
    assert json_inside("tasks", "answer", task, "--data", data, cwd=project)["answer"]["comment"] == "no"


@pytest.mark.parametrize(
    ("act", "code", "shown"),
    [
        (("answer", "{}", "approved=perhaps", "comment=x"), 2, "expected bool, found str 'perhaps' @ $.approved"),
        (("answer", "{}", "by=eve"), 2, "the form has no field 'by', it asks for approved, comment"),
        (("answer", "{}", "approved"), 2, "write FIELD=VALUE; the form has approved, comment"),
        (("answer", "{}", "--data", "[]"), 2, "--data is no object"),
        (("answer", "{}", "--data", "{"), 2, "--data is no JSON"),
        (("answer", "0", "approved=true"), 3, "there is no task '0'"),
        (("show", "0"), 3, "there is no task '0'"),
        (("reassign", "{}"), 4, "name one of them"),
    ],
)
def test_what_can_not_be_done_says_why(project: Path, act: tuple[str, ...], code: int, shown: str) -> None:
    task = ids(project)[0]
    done = run_inside("tasks", *(word.replace("{}", task) if word == "{}" else word for word in act), cwd=project)
    assert (done.code, shown in done.err) == (code, True), done.err
    assert task in ids(project)


def test_a_second_answer_is_refused_by_state(project: Path) -> None:
    task = ids(project)[0]
    answer = ("tasks", "answer", task, "approved=true", "comment=x", "--by", "bob")
    assert run_inside(*answer, cwd=project).code == 0
    again = run_inside(*answer, cwd=project)
    assert (again.code, "it was answered before, by bob" in again.err) == (4, True)


def test_a_task_is_given_away_and_withdrawn(project: Path) -> None:
    task = ids(project)[0]
    json_inside("tasks", "reassign", task, "--to", "eve", "--reason", "she knows", cwd=project)
    assert ids(project, "--assignee", "eve") == [task]
    json_inside("tasks", "reassign", task, "--to-group", "board", cwd=project)
    assert ids(project, "--group", "board") == [task]
    done = json_inside("tasks", "cancel", task, "--reason", "filed twice", "--by", "eve", *PATIENT, cwd=project)
    assert (done["status"], done["settled_by"]) == ("cancelled", "eve")
    assert json_inside("ls", "--outcome", "unanswered", cwd=project)["flows"] != []


def test_who_answers_without_an_owner_brings_in_nothing_else(project: Path) -> None:
    text = f'modules = ["flows.expense_approval", "tests.fixtures.lamps"]\nimport_paths = ["{ROOT}"]\n'
    (project / "config" / "procession.toml").write_text(text)
    json_inside("tasks", "claim", ids(project)[0], "--by", "bob", "--since", "lamp=now", cwd=project)
    assert json_inside("ls", "--process", "lamp", cwd=project)["flows"] == []


def test_flows_that_ask_nobody_have_no_tasks(project: Path) -> None:
    text = f'modules = ["flows.user_provisioning"]\nimport_paths = ["{ROOT}"]\n'
    (project / "config" / "procession.toml").write_text(text)
    done = run_inside("tasks", "ls", cwd=project)
    assert (done.code, "asks people" in done.err) == (2, True)


def test_a_running_owner_is_asked_and_says_the_same(project: Path) -> None:
    first, second = ids(project)
    with serving(project):
        answer = ("approved=true", "comment=fine", "--by", "bob")
        assert json_inside("tasks", "claim", first, "--by", "bob", cwd=project)["person"] == "bob"
        done = json_inside("tasks", "answer", first, *answer, cwd=project)
        assert (done["status"], done["settled_by"]) == ("answered", "bob")
        again = run_inside("tasks", "answer", first, *answer, cwd=project)
        assert (again.code, "it was answered before, by bob" in again.err) == (4, True)
        wrong = run_inside("tasks", "answer", second, "approved=1", cwd=project)
        assert (wrong.code, "expected bool, found int 1 @ $.approved" in wrong.err) == (2, True)
        assert ids(project) == [second]
