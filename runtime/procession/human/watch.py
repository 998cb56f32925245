"""The process that watches over one task: its escalations, its deadline, and the answer for the flow that asked."""

from __future__ import annotations

import datetime
import types
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from procession.human.question import Asked
from procession.human.task import (
    CancelTask,
    EscalateTask,
    Escalation,
    LapseTask,
    NoSuchTask,
    OpenTask,
    TaskAnswered,
    TaskAsked,
    TaskCancelled,
    TaskClaimed,
    TaskEscalated,
    TaskLapsed,
    TaskOpened,
    TaskReassigned,
)
from procession.primitives.effects import Effects, after, end, record
from procession.primitives.envelope import Envelope
from procession.primitives.event import CancelRequested, CommandRefused, Event
from procession.primitives.handlers import folds, on, starts
from procession.primitives.process import ProcessManager


class EscalationFellDue(Event, name="human.escalation_fell_due"):
    """Nobody answered so far: the next one is to be asked."""

    task_id: str
    desk: str
    step: int


class TaskFellDue(Event, name="human.task_fell_due"):
    """The deadline of a task passed."""

    task_id: str
    desk: str


class TaskWatch(ProcessManager, name="human.tasks", key="task_id"):
    """One task. Each gateway that asks people has a process of its own, made of this one."""

    __asked__: ClassVar[Mapping[str, Asked]] = {}
    """By kind."""

    task_id: str = ""
    kind: str = ""
    command: str = ""
    escalations: tuple[Escalation, ...] = ()
    deadline: datetime.timedelta | None = None

    @folds
    def was_asked(self, asked: TaskAsked) -> TaskWatch:
        return self.evolve(
            task_id=asked.task_id,
            kind=asked.kind,
            command=asked.command,
            escalations=asked.escalations,
            deadline=asked.deadline,
        )

    @starts
    def have_it_opened(self, asked: TaskAsked) -> Effects:
        yield OpenTask(asked.task_id, asked.desk, asked.person, asked.group)

    @on(late="ignore")
    def look_again(self, opened: TaskOpened) -> Effects:
        """Only now: what falls due before it is open, after a crash for instance, would find nothing and be lost."""
        for step, escalation in enumerate(self.escalations):
            name = f"human.escalation_{step}"
            yield after(escalation.after, EscalationFellDue(opened.task_id, opened.desk, step), name=name)
        if self.deadline is not None:
            yield after(self.deadline, TaskFellDue(opened.task_id, opened.desk))

    @on(late="ignore")
    def follow(self, event: TaskClaimed | TaskReassigned | TaskEscalated) -> None:
        """Part of its history."""

    @on
    def escalate(self, due: EscalationFellDue) -> Effects:
        step = self.escalations[due.step]
        yield EscalateTask(due.task_id, step.person, step.group)

    @on
    def lapse(self, due: TaskFellDue) -> Effects:
        yield LapseTask(due.task_id)

    @on
    def hand_in(self, answered: TaskAnswered, envelope: Envelope) -> Effects:
        """The answer becomes the event that the flow waits for, in this very commit."""
        asked = self.__asked__[self.kind]
        yield record(asked.answered(self.command, answered.answer, answered.by, envelope.recorded_at))
        yield end("answered")

    @on(late="ignore")
    def tell_lapsed(self, lapsed: TaskLapsed) -> Effects:
        """Once it is settled otherwise there is no such event: the aggregate decides."""
        yield from self._tell("the deadline passed")
        yield end("lapsed")

    @on(late="ignore")
    def tell_cancelled(self, cancelled: TaskCancelled) -> Effects:
        yield from self._tell(f"cancelled by {cancelled.by}: {cancelled.why}")
        yield end("cancelled")

    @on
    def withdraw(self, requested: CancelRequested) -> Effects:
        """Who cancels this flow means the task: it is withdrawn, and then the flow that asked is told."""
        yield CancelTask(self.task_id, requested.by, requested.why)

    @on(late="ignore")
    def withdraw_again(self, refused: CommandRefused[CancelTask]) -> Effects:
        """It was not open yet. Where it was settled before, that comes by itself."""
        if isinstance(refused.refusal, NoSuchTask):
            yield refused.command

    def _tell(self, why: str) -> Effects:
        event = self.__asked__[self.kind].given_up(self.command, why)
        if event is not None:
            yield record(event)


def watch_name(desk: str) -> str:
    """The stored name of the process that watches over the tasks of a gateway."""
    return f"{desk}.tasks"


def watch_of(desk: str, asked: Mapping[str, Asked]) -> type[TaskWatch]:
    """The process that watches over the tasks of one gateway; tasks of others do not concern it."""
    made: Any = types.new_class(
        "TaskWatch",
        (TaskWatch,),
        {"name": watch_name(desk), "key": _tasks_of(desk)},
        lambda body: body.update(__asked__=asked),
    )
    made.__module__ = __name__
    watch: type[TaskWatch] = made
    return watch


def _tasks_of(desk: str) -> Callable[[Any], tuple[str, ...]]:
    return lambda event: (event.task_id,) if event.desk == desk else ()
