"""What there is to do for people, read from the journal: beside a running owner, or with none."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Sequence
from typing import Any, Literal

import attrs

from procession.human.task import TaskStatus
from procession.human.watch import watch_name
from procession.journal.journal import JournalReader
from procession.journal.rows import FlowQuery, FlowStatus
from procession.mask import MASK
from procession.primitives.codec import from_json

_PAGE = 200
_STEPS_PAGE = 1_000
_OPEN: tuple[FlowStatus, ...] = ("active", "quarantined")
_US = datetime.timedelta(microseconds=1)
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


@attrs.frozen(kw_only=True)
class TaskView:
    """One task, as people see it."""

    task_id: str
    desk: str
    kind: str
    title: str
    description: str
    shown: dict[str, Any]
    form: dict[str, Any]
    """A JSON Schema of what is asked for."""
    status: TaskStatus
    person: str
    """Whose it is: who claimed it, or to whom it is assigned; empty while any of its group may answer."""
    group: str
    asked_by: str
    asked_at: datetime.datetime
    deadline_at: datetime.datetime | None
    escalated: int = 0
    """How often it was given to somebody else because nobody had answered."""
    settled_by: str = ""
    settled_at: datetime.datetime | None = None
    answer: dict[str, Any] | None = None
    """What is secret of it is masked; the flow gets it as it was given."""
    command: str = attrs.field(repr=False)
    """The data of the command, as JSON."""

    def is_for(self, assignee: str | None, groups: Sequence[str]) -> bool:
        """Whether it is a person's, or still anyone's of one of these groups; everybody's where neither is named."""
        if assignee is None and not groups:
            return True
        return self.person == assignee if self.person else self.group in groups


async def read_task(reader: JournalReader, desks: Iterable[str], task_id: str) -> TaskView | None:
    """One task of these gateways, in whatever state; None where there is none of this id."""
    for desk in desks:
        name = (watch_name(desk), task_id)
        row = (await reader.look_up((), (name,))).flows.get(name)
        if row is not None:
            return next(iter(await _views(reader, [row.id])), None)
    return None


async def read_tasks(
    reader: JournalReader,
    desks: Iterable[str],
    *,
    assignee: str | None = None,
    groups: Sequence[str] = (),
    state: Literal["open", "all"] = "open",
    limit: int = 1000,
) -> list[TaskView]:
    """Tasks of these gateways, the oldest first of each, at most `limit`."""
    found: list[TaskView] = []
    for desk in desks:
        query = FlowQuery(process=watch_name(desk), status=_OPEN if state == "open" else ())
        page = await reader.flows(query, 0, _PAGE)
        while page and len(found) < limit:
            views = await _views(reader, [row.id for row in page])
            found += [view for view in views if view.is_for(assignee, groups)]
            page = await reader.flows(query, page[-1].id, _PAGE)
    return found[:limit]


async def _views(reader: JournalReader, flows: list[int]) -> list[TaskView]:
    """The tasks of these flows, in their order, each as its history made it."""
    views: dict[int, TaskView] = {}
    version = 0
    while flows:
        page = await reader.steps_of(flows, version, _STEPS_PAGE)
        for stepped in page:
            flow, kind, data = stepped.step.flow, stepped.event.type, from_json(stepped.event.payload)
            at = _EPOCH + stepped.event.recorded_us * _US
            if kind == "human.task_asked":
                views[flow] = _asked(data, at)
            elif flow in views:
                views[flow] = _followed(views[flow], kind, data, at)
        if len(page) < _STEPS_PAGE:
            break
        flows, version = flows[flows.index(page[-1].step.flow) :], page[-1].step.version
    return list(views.values())


def _asked(data: dict[str, Any], at: datetime.datetime) -> TaskView:
    lasts_us = data["deadline"]
    return TaskView(
        task_id=data["task_id"],
        desk=data["desk"],
        kind=data["kind"],
        title=data["title"],
        description=data["description"],
        shown=from_json(data["shown"]),
        form=from_json(data["form"]),
        status="open",
        person=data["person"],
        group=data["group"],
        asked_by=data["asked_by"],
        asked_at=at,
        deadline_at=None if lasts_us is None else at + lasts_us * _US,
        command=data["command"],
    )


def _followed(view: TaskView, kind: str, data: dict[str, Any], at: datetime.datetime) -> TaskView:
    if kind in _SETTLED:
        answer = _without_secrets(from_json(data["answer"]), view.form) if "answer" in data else None
        by = data.get("by", "")
        return attrs.evolve(view, status=_SETTLED[kind], settled_by=by, settled_at=at, answer=answer)
    if kind == "human.task_claimed":
        return attrs.evolve(view, person=data["by"])
    if kind in ("human.task_reassigned", "human.task_escalated"):
        escalated = view.escalated + (kind == "human.task_escalated")
        return attrs.evolve(view, person=data["person"], group=data["group"], escalated=escalated)
    return view


def _without_secrets(answer: dict[str, Any], form: dict[str, Any]) -> dict[str, Any]:
    """An answer as it is shown: a field that holds a secret somewhere is masked as a whole."""
    hidden = {name for name, kind in form["properties"].items() if _is_hidden(kind, form)}
    return {name: MASK if name in hidden and value is not None else value for name, value in answer.items()}


def _is_hidden(kind: object, form: dict[str, Any], seen: frozenset[str] = frozenset()) -> bool:
    if not isinstance(kind, dict):
        return False
    if kind.get("writeOnly"):
        return True
    name = str(kind.get("$ref", "")).removeprefix("#/$defs/")
    if name and name not in seen and _is_hidden(form.get("$defs", {}).get(name), form, seen | {name}):
        return True
    inner = (*kind.get("properties", {}).values(), *kind.get("anyOf", ()), *kind.get("prefixItems", ()))
    return any(_is_hidden(part, form, seen) for part in (*inner, kind.get("items")))


_SETTLED: dict[str, TaskStatus] = {
    "human.task_answered": "answered",
    "human.task_lapsed": "lapsed",
    "human.task_cancelled": "cancelled",
}
