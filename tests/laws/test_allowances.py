"""Allowances: a breach with a reason is reported as allowed; one that allows nothing is a finding."""

from __future__ import annotations

import functools
import os
import time

import pytest

from procession import Command, Effects, Event, ProcessManager, Wiring, allows, end, invariant, open_runtime, starts
from procession.errors import DefinitionError
from procession.journal.memory import MemoryJournal
from procession.laws.finding import Finding
from procession.laws.wiring_check import check_wiring
from procession.primitives.history import History


class Opened(Event, name="allow.opened"):
    key: str


class Say(Command, name="allow.say"):
    key: str
    text: str


@allows("LAW03", reason="the clock is the subject")
class OnTheClass(ProcessManager, name="allow.on_the_class", key="key"):
    @starts
    def begin(self, opened: Opened) -> Effects:
        yield end(str(time.time()))


class OnTheHandler(ProcessManager, name="allow.on_the_handler", key="key"):
    @allows("LAW03", reason="the clock is the subject")
    @starts
    def begin(self, opened: Opened) -> Effects:
        yield end(str(time.time()))


@allows("LAW03", reason="the clock is the subject")
def stamp() -> str:
    return str(time.time())


@allows("LAW03", reason="the home folder never changes")
@functools.cache
def home() -> str:
    return os.environ.get("HOME", "")


class OnTheHelper(ProcessManager, name="allow.on_the_helper", key="key"):
    @starts
    def begin(self, opened: Opened) -> Effects:
        yield end(stamp())


class OnTheCachedHelper(ProcessManager, name="allow.on_the_cached_helper", key="key"):
    @starts
    def begin(self, opened: Opened) -> Effects:
        yield end(home())


class OneOfTwo(ProcessManager, name="allow.one_of_two", key="key"):
    @allows("LAW03", reason="the clock is the subject")
    @starts
    def begin(self, opened: Opened) -> Effects:
        yield end(now())


class TheOther(ProcessManager, name="allow.the_other", key="key"):
    @starts
    def begin(self, opened: Opened) -> Effects:
        yield end(now())


def now() -> str:
    return str(time.time())


class WrongCode(ProcessManager, name="allow.wrong_code", key="key"):
    @allows("LAW04", reason="the clock is the subject")
    @starts
    def begin(self, opened: Opened) -> Effects:
        yield end(str(time.time()))


@allows("LAW03", reason="it was impure once")
class Pure(ProcessManager, name="allow.pure", key="key"):
    @starts
    def begin(self, opened: Opened) -> Effects:
        yield end()


@allows("LAW01", reason="the partner's name for it, since 2011")
class Chargeback(Event, name="allow.chargeback"):
    key: str


@invariant(Pure)
@allows("LAW03", reason="it is watched in tests only")
def is_quick(history: History) -> bool:
    return len(history.turns) < time.time()


def findings_in(*processes: type[ProcessManager], **more: object) -> list[Finding]:
    return check_wiring(Wiring(processes, (), **more), whole=False)  # type: ignore[arg-type]  # fields of a Wiring


ALLOWED = [OnTheClass, OnTheHandler, OnTheHelper, OnTheCachedHelper]


@pytest.mark.parametrize("process", ALLOWED, ids=lambda process: process.__name__)
def test_what_is_allowed_is_reported_with_its_reason(process: type[ProcessManager]) -> None:
    (finding,) = findings_in(process)
    assert finding.code == "LAW03"
    assert finding.allowed in ("the clock is the subject", "the home folder never changes")


@pytest.mark.parametrize("process", ALLOWED, ids=lambda process: process.__name__)
async def test_a_runtime_opens_with_what_is_allowed(process: type[ProcessManager]) -> None:
    async with open_runtime(MemoryJournal(), processes=[process]) as runtime:
        await runtime.publish(Opened("a"))
        assert await runtime.flow(process, "a").wait_ended() != ""


def test_an_event_may_keep_its_name_with_a_reason() -> None:
    (finding,) = [each for each in findings_in(events=(Chargeback,)) if each.subject == "Chargeback"]
    assert (finding.code, finding.allowed) == ("LAW01", "the partner's name for it, since 2011")


def test_an_invariant_may_be_allowed_too() -> None:
    (finding, _useless) = findings_in(Pure, invariants=(is_quick,))
    assert (finding.code, finding.allowed) == ("DEF07", "")
    assert (_useless.code, _useless.allowed) == ("LAW03", "it is watched in tests only")


def test_one_place_is_well_only_where_it_is_allowed_for_all_who_reach_it() -> None:
    assert [(each.code, each.allowed) for each in findings_in(OneOfTwo, TheOther)] == [("LAW03", "")]


def test_an_allowance_of_another_law_allows_nothing() -> None:
    assert sorted((each.code, each.allowed) for each in findings_in(WrongCode)) == [("DEF07", ""), ("LAW03", "")]


async def test_a_runtime_does_not_open_with_an_allowance_of_another_law() -> None:
    with pytest.raises(DefinitionError, match=r"LAW03 WrongCode.begin reads the clock: time.time; .*@allows"):
        async with open_runtime(MemoryJournal(), processes=[WrongCode]):
            pass


def test_an_allowance_that_allows_nothing_is_found_where_it_stands() -> None:
    (finding,) = findings_in(Pure)
    assert (finding.code, finding.subject, finding.cure) == ("DEF07", "Pure", "remove the allowance")
    assert finding.path == __file__


@pytest.mark.parametrize("reason", ["", "  \n"])
def test_an_empty_reason_is_refused(reason: str) -> None:
    with pytest.raises(DefinitionError, match="has no reason"):
        allows("LAW03", reason=reason)


@pytest.mark.parametrize("code", ["LAW00", "LAW11", "LAW3", "law03", "DEF1", "DEF00", ""])
def test_a_code_that_is_none_is_refused(code: str) -> None:
    with pytest.raises(DefinitionError, match="names the code"):
        allows(code, reason="why")


def test_an_allowance_is_not_inherited() -> None:
    class Child(OnTheClass, name="allow.child", key="key"):
        pass

    assert [each.allowed for each in findings_in(Child)] == [""]
