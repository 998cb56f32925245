"""A gateway that asks people: a command becomes a task, and the person's answer the event that the flow waits for."""

from __future__ import annotations

import functools
import inspect
import operator
from collections.abc import Callable, Iterable
from typing import Any, ClassVar, TypeVar, dataclass_transform

import attrs

from procession.errors import DefinitionError
from procession.human.question import Asked, Question, asked_of
from procession.human.task import Task, TaskAsked
from procession.human.watch import TaskWatch, watch_of
from procession.primitives.codec import to_json
from procession.primitives.command import Command
from procession.primitives.converters import plain_values
from procession.primitives.event import Event
from procession.primitives.gateway import Attempt, Gateway, command_methods
from procession.primitives.secrecy import masked_data, plan_of
from procession.primitives.site import function_site
from procession.primitives.stored import stored_of

SelfT = TypeVar("SelfT", bound="HumanTasks")
CommandT = TypeVar("CommandT", bound=Command)


def asks(
    answer: type[Event], *, unanswered: type[Event] | None = None
) -> Callable[[Callable[[SelfT, CommandT], Question]], Callable[[SelfT, CommandT, Attempt], Any]]:
    """Mark a method of `HumanTasks` that takes a command and returns the question that it is to a person.

    The command's fields are copied into the events by name; the other fields of `answer` are the form.

    Args:
        answer: the event that an answer becomes. Its field `by: str` is who answered, `at: datetime` when.
        unanswered: the event that tells that the deadline passed, or that someone cancelled; `why: str` says which.
    """

    def mark(method: Callable[[SelfT, CommandT], Question]) -> Callable[[SelfT, CommandT, Attempt], Any]:
        @functools.wraps(method)
        async def ask(self: SelfT, command: CommandT, attempt: Attempt) -> TaskAsked:
            return _task(self, command, attempt, method(self, command))

        first, second = list(inspect.signature(method).parameters.values())[:2]
        third = inspect.Parameter("attempt", inspect.Parameter.POSITIONAL_OR_KEYWORD)
        ask.__signature__ = inspect.Signature([first, second, third])  # type: ignore[attr-defined]  # as inspect reads it
        # What the flow waits for stands in the contract as well: whoever explores the flow answers with it.
        events = [event for event in (answer, unanswered, TaskAsked) if event is not None]
        ask.__annotations__ = {
            second.name: method.__annotations__.get(second.name),
            "attempt": Attempt,
            "return": functools.reduce(operator.or_, events),
        }
        ask.__asks__ = (answer, unanswered)  # type: ignore[attr-defined]  # read back when the class is defined
        return ask

    return mark


@dataclass_transform(field_specifiers=(attrs.field,))
class HumanTasks(Gateway, abstract=True):
    """A gateway whose work is done by people. Each method says what a person is asked.

        class Approvals(HumanTasks, name="approvals"):
            @asks(ExpenseDecided, unanswered=ExpenseLeftOpen)
            def approve(self, command: ApproveExpense) -> Question:
                return Question(title=f"Expense of {command.employee}", group="managers", deadline=timedelta(days=3))

        Wiring(processes=(Expense,), gateways=(Approvals(),))

    `Tasks(runtime, Approvals)` lists, claims and answers them.

    Raises:
        DefinitionError: an event can't be made of a command and an answer.
    """

    watch: ClassVar[type[TaskWatch]]
    """The process that watches over its tasks. A runtime that is given the gateway has it, and the aggregate `Task`."""
    __asked__: ClassVar[dict[str, Asked]]

    def __init_subclass__(cls, **options: Any) -> None:  # noqa: ANN401 - Gateway's
        super().__init_subclass__(**options)
        asked: list[Asked] = []
        for taken in command_methods(cls):
            marked: tuple[type[Event], type[Event] | None] | None = getattr(getattr(cls, taken.name), "__asks__", None)
            where = (function_site(inspect.unwrap(getattr(cls, taken.name))), f"{cls.__name__}.{taken.name}")
            if marked is None:
                raise DefinitionError(
                    *where, "is not marked @asks(...)", "mark it; work of another kind is another gateway's"
                )
            asked.append(asked_of(taken.command, marked[0], marked[1], where))
        cls.__asked__ = {one.kind: one for one in asked}
        cls.watch = watch_of(cls.__gateway__.name, cls.__asked__)
        # Maps, findings and the second process of a shadow replay look for it where it stands.
        cls.watch.__module__, cls.watch.__qualname__ = cls.__module__, f"{cls.__qualname__}.watch"
        cls.watch.__process__ = attrs.evolve(cls.watch.__process__, site=cls.__gateway__.site)
        cls.__brings__ = (cls.watch, Task)


def _task(desk: HumanTasks, command: Command, attempt: Attempt, question: Question) -> TaskAsked:
    if not isinstance(question, Question):
        raise TypeError(f"{type(question).__name__} is no question; return Question(title=…, person=… or group=…)")
    data = plain_values()(command, type(command))
    asked = type(desk).__asked__[stored_of(type(command)).name]
    return TaskAsked(
        task_id=attempt.command_id,
        desk=type(desk).__gateway__.name,
        kind=asked.kind,
        command=to_json(data).decode(),
        title=question.title,
        description=question.description,
        shown=to_json(masked_data(data, plan_of(type(command))) if question.shown is None else question.shown).decode(),
        form=asked.form,
        person=question.person,
        group=question.group,
        deadline=question.deadline,
        escalations=question.escalations,
        asked_by=f"{attempt.process}/{attempt.key}",
    )


def desks_among(gateways: Iterable[Gateway | type[Gateway]]) -> tuple[type[HumanTasks], ...]:
    """The classes of those of these gateways that ask people."""
    classes = (gateway if isinstance(gateway, type) else type(gateway) for gateway in gateways)
    return tuple(cls for cls in classes if issubclass(cls, HumanTasks))
