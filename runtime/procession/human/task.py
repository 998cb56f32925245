"""One task of one person or group: what can happen to it, what may be asked of it, and the aggregate that decides."""

from __future__ import annotations

import datetime
from typing import Annotated, ClassVar, Literal

import attrs

from procession.primitives.aggregate import Aggregate
from procession.primitives.command import Command
from procession.primitives.event import Event
from procession.primitives.handlers import applies, decides
from procession.primitives.refusal import Refusal
from procession.primitives.secrecy import secret

TaskStatus = Literal["", "open", "answered", "lapsed", "cancelled"]


@attrs.frozen
class Escalation:
    """Who gets a task that nobody answered in so long: a person, or a group."""

    after: datetime.timedelta
    """Since it was asked."""
    person: str = ""
    group: str = ""


# What can happen to a task.


class TaskAsked(Event, name="human.task_asked"):
    """A flow asked a person something. `desk` is the gateway by which it asked."""

    __for_another__: ClassVar[bool] = True
    """Its command is answered by it, and yet the flow that asked waits for another event."""

    task_id: str
    """The id of the command."""
    desk: str
    kind: str
    """The stored name of the command."""
    command: Annotated[str, secret]
    """Its data, as JSON: the fields of the command that are secret, too."""
    title: str
    description: str
    shown: str
    """What the person sees, as JSON."""
    form: str
    """What the person is asked for: a JSON Schema."""
    person: str
    group: str
    deadline: datetime.timedelta | None
    escalations: tuple[Escalation, ...]
    asked_by: str
    """The flow, `expense/7`."""


class TaskOpened(Event, name="human.task_opened"):
    """It can be claimed and answered."""

    task_id: str
    desk: str
    person: str
    group: str


class TaskClaimed(Event, name="human.task_claimed"):
    """Someone of its group took it."""

    task_id: str
    desk: str
    by: str


class TaskReassigned(Event, name="human.task_reassigned"):
    """Someone gave it to somebody else."""

    task_id: str
    desk: str
    person: str
    group: str
    by: str
    why: str


class TaskEscalated(Event, name="human.task_escalated"):
    """Nobody answered in time: it is somebody else's now."""

    task_id: str
    desk: str
    person: str
    group: str


class TaskAnswered(Event, name="human.task_answered"):
    """A person answered."""

    task_id: str
    desk: str
    by: str
    answer: Annotated[str, secret]
    """What the form asked for, as JSON; the event that the flow gets shows what of it is none."""


class TaskLapsed(Event, name="human.task_lapsed"):
    """Its deadline passed, and nobody had answered."""

    task_id: str
    desk: str


class TaskCancelled(Event, name="human.task_cancelled"):
    """Someone withdrew it."""

    task_id: str
    desk: str
    by: str
    why: str


# What may be asked of it.


class OpenTask(Command, name="human.open_task"):
    """Let it be claimed and answered."""

    task_id: str
    desk: str
    person: str
    group: str


class ClaimTask(Command, name="human.claim_task"):
    """Take it."""

    task_id: str
    by: str


class ReassignTask(Command, name="human.reassign_task"):
    """Give it to a person or a group."""

    task_id: str
    person: str
    group: str
    by: str
    why: str


class EscalateTask(Command, name="human.escalate_task"):
    """Nobody answered in time: give it to somebody else."""

    task_id: str
    person: str
    group: str


class AnswerTask(Command, name="human.answer_task"):
    """Answer it; the answer was compared with the form."""

    task_id: str
    by: str
    answer: Annotated[str, secret]


class LapseTask(Command, name="human.lapse_task"):
    """Its deadline passed."""

    task_id: str


class CancelTask(Command, name="human.cancel_task"):
    """Withdraw it."""

    task_id: str
    by: str
    why: str


# Why it may say no.


class NoSuchTask(Refusal, name="human.no_such_task"):
    """Nobody asked."""

    task_id: str


class TaskSettled(Refusal, name="human.task_settled"):
    """It was answered, lapsed or was cancelled before."""

    task_id: str
    status: str
    by: str


class TaskTaken(Refusal, name="human.task_taken"):
    """It is somebody's: they answer, or give it away."""

    task_id: str
    by: str


No = NoSuchTask | TaskSettled


class Task(Aggregate, name="human.task", key="task_id"):
    """Guards what must hold of every task: it is settled once, and by nobody but whose it is."""

    desk: str = ""
    status: TaskStatus = ""
    holder: str = ""
    """Whose it is; empty while any of its group may answer."""
    settled_by: str = ""

    @applies
    def opened(self, opened: TaskOpened) -> Task:
        return self.evolve(desk=opened.desk, status="open", holder=opened.person)

    @applies
    def claimed(self, claimed: TaskClaimed) -> Task:
        return self.evolve(holder=claimed.by)

    @applies
    def given(self, given: TaskReassigned | TaskEscalated) -> Task:
        return self.evolve(holder=given.person)

    @applies
    def answered(self, answered: TaskAnswered) -> Task:
        return self.evolve(status="answered", settled_by=answered.by)

    @applies
    def lapsed(self, lapsed: TaskLapsed) -> Task:
        return self.evolve(status="lapsed")

    @applies
    def cancelled(self, cancelled: TaskCancelled) -> Task:
        return self.evolve(status="cancelled", settled_by=cancelled.by)

    @decides
    def open(self, command: OpenTask) -> TaskOpened | None:
        if self.status:
            return None
        return TaskOpened(command.task_id, command.desk, command.person, command.group)

    @decides
    def claim(self, command: ClaimTask) -> TaskClaimed | NoSuchTask | TaskSettled | TaskTaken | None:
        if self._is_anothers(command.by):
            return TaskTaken(command.task_id, self.holder)
        if self.holder == command.by and self.status == "open":
            return None
        return self._no(command.task_id) or TaskClaimed(command.task_id, self.desk, command.by)

    @decides
    def reassign(self, command: ReassignTask) -> TaskReassigned | NoSuchTask | TaskSettled:
        new_one = (command.person, command.group, command.by, command.why)
        return self._no(command.task_id) or TaskReassigned(command.task_id, self.desk, *new_one)

    @decides
    def answer(self, command: AnswerTask) -> TaskAnswered | NoSuchTask | TaskSettled | TaskTaken:
        if self._is_anothers(command.by):
            return TaskTaken(command.task_id, self.holder)
        return self._no(command.task_id) or TaskAnswered(command.task_id, self.desk, command.by, command.answer)

    @decides
    def cancel(self, command: CancelTask) -> TaskCancelled | NoSuchTask | TaskSettled:
        return self._no(command.task_id) or TaskCancelled(command.task_id, self.desk, command.by, command.why)

    @decides
    def escalate(self, command: EscalateTask) -> TaskEscalated | None:
        """Too late once it is settled, and then there is nothing to do."""
        if self.status != "open":
            return None
        return TaskEscalated(command.task_id, self.desk, command.person, command.group)

    @decides
    def lapse(self, command: LapseTask) -> TaskLapsed | None:
        """As with an escalation: who answered a moment before the deadline answered."""
        return TaskLapsed(command.task_id, self.desk) if self.status == "open" else None

    def _no(self, task_id: str) -> No | None:
        if self.status == "open":
            return None
        return TaskSettled(task_id, self.status, self.settled_by) if self.status else NoSuchTask(task_id)

    def _is_anothers(self, by: str) -> bool:
        return self.status == "open" and self.holder not in ("", by)
