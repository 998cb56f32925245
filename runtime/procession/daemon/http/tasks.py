"""Tasks for people over HTTP: listed, shown, claimed, answered, given to others, withdrawn."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, Literal

import attrs

from procession.daemon.http.bounds import Said
from procession.daemon.http.paging import LIMIT, Limit
from procession.daemon.http.routes import Call, Route
from procession.daemon.task_acts import TaskAct, act_on_task
from procession.errors import NotFound
from procession.human.gateway import HumanTasks, desks_among
from procession.human.listing import TaskView, read_task, read_tasks
from procession.human.task import TaskStatus


@attrs.frozen(kw_only=True)
class TasksAsked:
    """Which tasks; what is left out does not filter."""

    assignee: str | None = None
    """This person's, and those that anyone of these groups may take."""
    group: tuple[str, ...] = ()
    state: Literal["open", "all"] = "open"
    limit: Limit = LIMIT


@attrs.frozen
class ShownTask:
    """One task: what is asked, of whom, until when, and what became of it."""

    task_id: str
    desk: str
    kind: str
    title: str
    description: str
    shown: Mapping[str, Any]
    form: Mapping[str, Any]
    """A JSON Schema of what is asked for."""
    status: TaskStatus
    person: str
    group: str
    asked_by: str
    asked_at: datetime.datetime
    deadline_at: datetime.datetime | None
    escalated: int
    settled_by: str
    settled_at: datetime.datetime | None
    answer: Mapping[str, Any] | None


@attrs.frozen
class TaskList:
    """Some tasks, the oldest first of each gateway."""

    tasks: tuple[ShownTask, ...]
    more: bool
    """There are more of them than were asked for."""


@attrs.frozen(kw_only=True)
class AnswerAsked:
    """An answer, with the fields of the task's form."""

    by: Said
    answer: Mapping[str, Any]


@attrs.frozen(kw_only=True)
class ClaimAsked:
    """Who takes it."""

    by: Said


@attrs.frozen(kw_only=True)
class ReassignAsked:
    """To whom it goes: a person, or a group of which anyone may answer."""

    by: Said
    why: Said
    person: str = ""
    group: str = ""


@attrs.frozen(kw_only=True)
class WithdrawAsked:
    """Nobody can answer it any more."""

    by: Said
    why: Said


async def list_tasks(call: Call) -> TaskList:
    """The tasks that match."""
    asked = call.queried(TasksAsked)
    found = await read_tasks(
        call.source.journal,
        _names(call),
        assignee=asked.assignee,
        groups=asked.group,
        state=asked.state,
        limit=asked.limit + 1,
    )
    return TaskList(tuple(map(_shown, found[: asked.limit])), len(found) > asked.limit)


async def show_task(call: Call) -> ShownTask:
    """One task, in whatever state.

    Raises:
        NotFound: no gateway asked anything under this id.
    """
    task = call.parts["task"]
    found = await read_task(call.source.journal, _names(call), task)
    if found is None:
        raise NotFound("task", task, "GET /v1/tasks lists what there is")
    return _shown(found)


async def answer_task(call: Call) -> ShownTask:
    """Answer it, once; durable with the response. Raises as `Tasks.answer`."""
    asked = call.sent(AnswerAsked)
    return await _act(call, TaskAct("answer", call.parts["task"], asked.by, fields=asked.answer, wait_s=0))


async def claim_task(call: Call) -> ShownTask:
    """Take it. Raises as `Tasks.claim`."""
    return await _act(call, TaskAct("claim", call.parts["task"], call.sent(ClaimAsked).by, wait_s=0))


async def reassign_task(call: Call) -> ShownTask:
    """Give it to somebody else. Raises as `Tasks.reassign`."""
    asked, task = call.sent(ReassignAsked), call.parts["task"]
    act = TaskAct("reassign", task, asked.by, asked.why, person=asked.person, group=asked.group, wait_s=0)
    return await _act(call, act)


async def withdraw_task(call: Call) -> ShownTask:
    """Withdraw it. Raises as `Tasks.cancel`."""
    asked = call.sent(WithdrawAsked)
    return await _act(call, TaskAct("cancel", call.parts["task"], asked.by, asked.why, wait_s=0))


async def _act(call: Call, act: TaskAct) -> ShownTask:
    await act_on_task(call.runtime, _desks(call), act)
    return await show_task(call)


def _desks(call: Call) -> tuple[type[HumanTasks], ...]:
    return desks_among(call.source.registry.gateways.values())


def _names(call: Call) -> list[str]:
    return [desk.__gateway__.name for desk in _desks(call)]


def _shown(view: TaskView) -> ShownTask:
    return ShownTask(**{field.name: getattr(view, field.name) for field in attrs.fields(ShownTask)})


_ONE = "/v1/tasks/{task}"
ROUTES = (
    Route("GET", "/v1/tasks", "reader", "Tasks for people that match.", TaskList, list_tasks, query=TasksAsked),
    Route("GET", _ONE, "reader", "One task, in whatever state.", ShownTask, show_task),
    Route("POST", f"{_ONE}/answer", "operator", "Answer a task, once.", ShownTask, answer_task, asks=AnswerAsked),
    Route("POST", f"{_ONE}/claim", "operator", "Take a task of a group.", ShownTask, claim_task, asks=ClaimAsked),
    Route(
        "POST",
        f"{_ONE}/reassign",
        "operator",
        "Give a task to a person, or to a group.",
        ShownTask,
        reassign_task,
        asks=ReassignAsked,
    ),
    Route("POST", f"{_ONE}/cancel", "operator", "Withdraw a task.", ShownTask, withdraw_task, asks=WithdrawAsked),
)
