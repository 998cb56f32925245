"""Tasks: what a service holds to show people their tasks, and to take their answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from procession.errors import ActRefused, NotFound
from procession.facade import Runtime
from procession.human.gateway import HumanTasks
from procession.human.listing import TaskView, read_task, read_tasks
from procession.human.task import AnswerTask, CancelTask, ClaimTask, ReassignTask, TaskSettled, TaskTaken
from procession.primitives.refusal import Refusal


class Tasks:
    """The tasks of some gateways of a runtime.

        tasks = Tasks(runtime, Approvals)
        for task in await tasks.open(assignee="ann", groups=("managers",)):
            await tasks.answer(task.task_id, by="ann", approved=True, comment="fine")

    Who `by` is was found out by whoever calls: names are taken as they are given.
    """

    def __init__(self, runtime: Runtime, *desks: type[HumanTasks]) -> None:
        self._runtime = runtime
        self._desks = {desk.__gateway__.name: desk for desk in desks}

    async def open(
        self, *, assignee: str | None = None, groups: Sequence[str] = (), limit: int = 1000
    ) -> list[TaskView]:
        """Open tasks, the oldest first, at most `limit`: a person's, and those that anyone of these groups may take."""
        return await read_tasks(self._runtime.journal, self._desks, assignee=assignee, groups=groups, limit=limit)

    async def show(self, task_id: str) -> TaskView:
        """One task, in whatever state.

        Raises:
            NotFound: these gateways asked nothing under this id.
        """
        view = await read_task(self._runtime.journal, self._desks, task_id)
        if view is None:
            raise NotFound("task", task_id, "`procession tasks ls` shows what there is")
        return view

    async def claim(self, task_id: str, *, by: str) -> None:
        """Take a task: nobody else can answer it from now on, unless it is given away. Claiming it again does nothing.

        Raises:
            NotFound: as `show`.
            ActRefused: it is somebody else's, or settled.
        """
        await self._act("claim", ClaimTask(await self._id(task_id), by))

    async def answer(self, task_id: str, /, *, by: str, **fields: object) -> None:
        """Answer a task, once; durable on return. The flow that asked gets its event, with who answered and when.

        Args:
            task_id: of the task.
            by: who answers.
            fields: what the form asks for.

        Raises:
            NotFound: as `show`.
            InvalidPayload: a field does not fit the form; names its path.
            ActRefused: it is somebody else's, or was answered, lapsed or cancelled before.
        """
        await self.fill_in(task_id, fields, by=by)

    async def fill_in(self, task_id: str, fields: Mapping[str, object], *, by: str) -> None:
        """Answer a task with a form that was filled in elsewhere, as plain data; raises as `answer`."""
        view = await self.show(task_id)
        asked = self._desks[view.desk].__asked__[view.kind]
        await self._act("answer", AnswerTask(task_id, by, asked.checked(view.command, fields, by)))

    async def reassign(self, task_id: str, *, by: str, person: str = "", group: str = "", why: str = "") -> None:
        """Give a task to a person, or to a group of which anyone may answer.

        Raises:
            NotFound: as `show`.
            ActRefused: it is settled, or neither or both are named.
        """
        if bool(person) == bool(group):
            raise ActRefused("reassign", task_id, f"person is {person!r} and group is {group!r}; name one of them")
        await self._act("reassign", ReassignTask(await self._id(task_id), person, group, by, why))

    async def cancel(self, task_id: str, *, by: str, why: str) -> None:
        """Withdraw a task: nobody can answer it any more, and the flow is told if it wants to be.

        Raises:
            NotFound: as `show`.
            ActRefused: it is settled.
        """
        await self._act("cancel", CancelTask(await self._id(task_id), by, why))

    async def _id(self, task_id: str) -> str:
        return (await self.show(task_id)).task_id

    async def _act(self, act: str, command: AnswerTask | CancelTask | ClaimTask | ReassignTask) -> None:
        if not command.by.strip():
            raise ActRefused(act, command.task_id, f"by is {command.by!r}; say who acts")
        reply = await self._runtime.send(command)
        if reply.refusal is not None:
            raise ActRefused(act, command.task_id, _because(reply.refusal))


def _because(refusal: Refusal) -> str:
    if isinstance(refusal, TaskTaken):
        return f"it is {refusal.by}'s; let them answer, or reassign it"
    if isinstance(refusal, TaskSettled):
        return f"it was {refusal.status} before" + (f", by {refusal.by}" if refusal.by else "")
    return "it is not open yet; try again in a moment"
