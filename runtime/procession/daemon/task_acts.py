"""What an act on a task does and tells, whoever owns the journal: the verb itself, or a running daemon."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import attrs
import trio

from procession.daemon.acting import refuse_wait
from procession.daemon.exit_codes import UsageRefused
from procession.daemon.questions import read
from procession.facade import Runtime
from procession.human.desk import Tasks
from procession.human.gateway import HumanTasks
from procession.human.listing import TaskView

ACTS = ("answer", "claim", "reassign", "cancel")


@attrs.frozen
class TaskAct:
    """One act: what is done, to which task, by whom."""

    act: str
    task: str
    by: str
    why: str = ""
    person: str = ""
    group: str = ""
    """Of `reassign`: to whom."""
    fields: Mapping[str, object] = attrs.field(factory=dict)
    """Of `answer`: what the form asks for, as plain data."""
    wait_s: float = 5.0
    """How long to wait for what follows."""

    def __attrs_post_init__(self) -> None:
        """Refuse what can't be done, whatever the task.

        Raises:
            UsageRefused: says what is wrong.
        """
        if self.act not in ACTS:
            raise UsageRefused(f"{self.act!r} is no act on a task", f"use one of {', '.join(ACTS)}")
        if self.act == "cancel" and not self.why.strip():
            raise UsageRefused("--reason is empty", "say why, it stays in the journal")
        if not isinstance(self.fields, Mapping):
            raise UsageRefused("the answer is no object", "write '{\"approved\": true}'")
        refuse_wait(self.wait_s)

    def asked(self) -> dict[str, Any]:
        """As it goes to a running owner."""
        return attrs.asdict(self)

    @classmethod
    def of(cls, asked: Mapping[str, Any]) -> TaskAct:
        """As it came to the owner; raises as the constructor."""
        return read(cls, asked)


async def act_on_task(
    runtime: Runtime,
    desks: Sequence[type[HumanTasks]],
    act: TaskAct,
    race: Callable[[Callable[[], Awaitable[object]]], Awaitable[None]] | None = None,
) -> dict[str, Any]:
    """Do it, wait a little for what follows, and say how the task stands then.

    Args:
        runtime: owns the journal.
        desks: the gateways that may have asked.
        act: what is to be done.
        race: waits with, so that somebody may end the waiting.

    Raises:
        NotFound, InvalidPayload, ActRefused: as `Tasks` raises them.
    """
    tasks = Tasks(runtime, *desks)
    if act.act == "answer":
        await tasks.fill_in(act.task, act.fields, by=act.by)
    elif act.act == "claim":
        await tasks.claim(act.task, by=act.by)
    elif act.act == "reassign":
        await tasks.reassign(act.task, by=act.by, person=act.person, group=act.group, why=act.why)
    else:
        await tasks.cancel(act.task, by=act.by, why=act.why)
    with trio.move_on_after(act.wait_s):
        await (race(runtime.drain) if race else runtime.drain())
    return task_json(await tasks.show(act.task))


def task_json(task: TaskView) -> dict[str, Any]:
    """A task as JSON."""

    def plain(_: object, __: object, value: Any) -> Any:  # noqa: ANN401 - as attrs hands it over
        return value.isoformat() if hasattr(value, "isoformat") else value

    return attrs.asdict(task, filter=lambda field, _: field.name != "command", value_serializer=plain)
