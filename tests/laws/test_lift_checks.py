"""A check knows lifts: what they lead to is handled, what they reach for is pure, what can't work is told."""

from __future__ import annotations

import time

import pytest

from procession import Attempt, Command, Effects, Event, Gateway, ProcessManager, Wiring, allows, ends, lifts, starts
from procession.errors import DefinitionError
from procession.hosting import open_runtime
from procession.journal.memory import MemoryJournal
from procession.laws.wiring_check import check_wiring
from procession.primitives.lifts import AnyLift


class Asked1(Event, name="lift_check.asked"):
    key: str


class Asked(Event, name="lift_check.asked", version=2):
    key: str
    at_s: float


class Answered1(Event, name="lift_check.answered"):
    key: str


class Answered(Event, name="lift_check.answered", version=2):
    key: str


class Answer(Command, name="lift_check.answer"):
    key: str


class Talk(ProcessManager, name="lift_check.talk", key="key"):
    @starts
    def begin(self, asked: Asked) -> Effects:
        yield Answer(asked.key)

    @ends
    def done(self, answered: Answered) -> None: ...


class OldTalk(ProcessManager, name="lift_check.old_talk", key="key"):
    @starts
    def begin(self, asked: Asked1) -> None: ...

    @ends
    def done(self, answered: Answered) -> None: ...


class Voice(Gateway, name="lift_check_voice"):
    async def answer(self, command: Answer, attempt: Attempt) -> Answered1:
        return Answered1(command.key)


@lifts
def asked(old: Asked1) -> Asked:
    return Asked(old.key, 0.0)


@lifts
def asked_again(old: Asked1) -> Asked:
    return Asked(old.key, 1.0)


@lifts
def answered(old: Answered1) -> Answered:
    return Answered(old.key)


def now_s() -> float:
    return time.time()


@lifts
def asked_now(old: Asked1) -> Asked:
    return Asked(old.key, now_s())


@lifts
@allows("LAW03", reason="what is looked at")
def asked_by_leave(old: Asked1) -> Asked:
    return Asked(old.key, now_s())


def told(*given: AnyLift, process: type[ProcessManager] = Talk) -> list[str]:
    wiring = Wiring((process,), (Voice(),), lifts=given)
    return [
        f"{finding.code} {finding.subject} {finding.found}" for finding in check_wiring(wiring) if not finding.allowed
    ]


def test_what_is_lifted_to_what_a_flow_handles_is_no_orphan() -> None:
    assert told(asked, answered) == []
    assert told(asked) == ["DEF02 Answered1 is answered by a gateway (answer), and nobody handles it"]


def test_an_impure_lift_is_found_with_what_it_reaches_for() -> None:
    (found,) = told(asked_now, answered)
    assert found.startswith("LAW03 ")
    assert "time.time" in found


def test_an_impure_lift_may_be_allowed() -> None:
    assert told(asked_by_leave, answered) == []


def test_lifts_that_cannot_work_together_are_found() -> None:
    (found,) = [found for found in told(asked, asked_again, answered) if found.startswith("DEF01")]
    assert "lifts Asked1, as asked " in found


def test_a_handler_of_a_type_that_is_lifted_is_found() -> None:
    (found,) = [found for found in told(asked, answered, process=OldTalk) if found.startswith("DEF01")]
    assert "OldTalk.begin is concerned by Asked1, which asked" in found


async def test_a_runtime_refuses_a_lift_that_reads_the_clock() -> None:
    with pytest.raises(DefinitionError, match=r"time\.time") as refused:
        async with open_runtime(MemoryJournal(), processes=[Talk], gateways=[Voice()], lifts=[asked_now, answered]):
            pass
    assert refused.value.code == "LAW03"
