"""The scenario kit: it passes when it should, fails when it should, and says what it found."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest

from procession import (
    CancelRequested,
    Command,
    CommandGivenUp,
    Effects,
    Envelope,
    Event,
    FailureEvent,
    ProcessManager,
    after,
    at,
    cancel,
    end,
    ends,
    folds,
    lifts,
    on,
    record,
    starts,
)
from procession.errors import InvalidPayload, LiftFailed
from procession.testing.scenario import START, given

HOUR = timedelta(hours=1)
NEW_YEAR = datetime(2001, 1, 1, tzinfo=UTC)


class Opened(Event, name="door.opened"):
    door: str


class Knocked(Event, name="door.knocked"):
    door: str


class Rung(Event, name="door.rung"):
    doors: tuple[str, ...]


class Forgotten(Event, name="door.forgotten"):
    door: str


class Reminded(Event, name="door.reminded"):
    door: str


class Counted(Event, name="door.counted"):
    door: str


class Jammed(FailureEvent, name="door.jammed"):
    door: str


class Broken(Event, name="door.broken"):
    door: str


class Bent(Event, name="door.bent"):
    door: str


class Closed(Event, name="door.closed"):
    door: str


class Visited(Event, name="door.visited"):
    door: str


class Painted(Event, name="door.painted"):
    door: str


class Inspected(Event, name="door.inspected"):
    door: str


class Unrelated(Event, name="window.opened"):
    door: str


class Close(Command, name="door.close"):
    door: str


class Oil(Command, name="door.oil"):
    door: str
    drops: int = 1


def no_hinge() -> int:
    raise RuntimeError("no hinge")


class Door(ProcessManager, name="door", key="door", concerns=(Painted,)):
    knocks: int = 0

    @folds
    def counts(self, event: Knocked) -> Door:
        return self.evolve(knocks=self.knocks + 1)

    @starts
    def opened(self, opened: Opened) -> Effects:
        yield Oil(opened.door)
        yield after(HOUR, Forgotten(opened.door))

    @on(missing="wait")
    def knocked(self, knocked: Knocked) -> Effects:
        yield Oil(knocked.door, self.knocks)

    @on(key="doors")
    def rung(self, rung: Rung) -> Effects:
        yield Close("all")

    @on
    def forgotten(self, forgotten: Forgotten) -> Effects:
        yield Close(forgotten.door)
        yield after(HOUR, Reminded(forgotten.door))

    @on
    def reminded(self, reminded: Reminded) -> Effects:
        yield end("abandoned")

    @on
    def jammed(self, jammed: Jammed) -> Effects:
        yield cancel(Forgotten)
        yield record(Counted(jammed.door))

    @on
    def counted(self, counted: Counted) -> Effects:
        yield Oil(counted.door, 7)

    @on
    def broken(self, broken: Broken) -> Effects:
        yield Oil(broken.door, no_hinge())

    @on
    def bent(self, bent: Bent) -> Effects:
        yield Oil(bent.door, "three")  # type: ignore[arg-type]  # refused on purpose

    @on(missing="quarantine", late="ignore")
    def visited(self, visited: Visited, envelope: Envelope) -> Effects:
        yield at(NEW_YEAR, Reminded(visited.door))
        yield Oil(visited.door, envelope.recorded_at.year)

    @on(missing="ignore", late="quarantine")
    def inspected(self, inspected: Inspected) -> None: ...

    @ends(outcome="shut")
    def closed(self, closed: Closed) -> None: ...

    @on
    def oil_given_up(self, given_up: CommandGivenUp[Oil]) -> Effects:
        yield Close(given_up.command.door)


opened = given(Door, Opened("front"))
lost_oil = CommandGivenUp(Oil("front"), "c1", "unknown", 3, "dry")
lost_close = CommandGivenUp(Close("front"), "c2", "refused", 1, "no")


def test_commands_are_compared_in_order() -> None:
    opened.when(Knocked("front"), Knocked("front")).then(Oil("front", 1), Oil("front", 2))


def test_what_was_given_is_folded() -> None:
    given(Door, Opened("front"), Knocked("front")).when(Knocked("front")).then(Oil("front", 2))


def test_only_the_last_step_is_compared() -> None:
    opened.when(Knocked("front")).when(Painted("front")).then_nothing()


def test_one_past_serves_several_futures() -> None:
    opened.when(Closed("front")).then_ends("shut")
    opened.when(Knocked("front")).then(Oil("front", 1))


def test_a_wrong_command_fails_with_both_sides() -> None:
    with pytest.raises(AssertionError) as failure:
        opened.when(Knocked("front")).then(Oil("front", 2))
    assert str(failure.value) == (
        "door/front, when Knocked(door='front')\n"
        "  expected                   | found\n"
        "  ---------------------------+---------------------------\n"
        "! Oil(door='front', drops=2) | Oil(door='front', drops=1)"
    )


def test_rows_that_agree_are_not_marked() -> None:
    with pytest.raises(
        AssertionError, match=r"(?m)^  Oil\(door='front', drops=1\) \| Oil.*\n! Close\(door='front'\) +\|$"
    ):
        opened.when(Knocked("front")).then(Oil("front", 1), Close("front"))


def test_long_rows_are_wrapped() -> None:
    with pytest.raises(AssertionError) as failure:
        opened.when(Painted("front")).then(Oil("a very long name " * 10))
    assert max(map(len, str(failure.value).splitlines())) < 120


def test_a_missing_command_fails() -> None:
    with pytest.raises(AssertionError, match=r"! Oil\(door='front', drops=1\) +\| \(nothing\)"):
        opened.when(Painted("front")).then(Oil("front"))


def test_a_surplus_command_fails_then_nothing() -> None:
    with pytest.raises(AssertionError, match=r"! \(nothing\) +\| Oil\(door='front', drops=1\)"):
        opened.when(Knocked("front")).then_nothing()


def test_an_empty_then_is_refused() -> None:
    with pytest.raises(ValueError, match="then_nothing"):
        opened.when(Painted("front")).then()


def test_an_end_fails_then_nothing() -> None:
    with pytest.raises(AssertionError, match="ends 'shut'"):
        opened.when(Closed("front")).then_nothing()


def test_a_refusal_fails_then_nothing() -> None:
    with pytest.raises(AssertionError, match="refused: already_started"):
        opened.when(Opened("front")).then_nothing()


def test_a_refusal_is_shown_where_a_command_was_expected() -> None:
    with pytest.raises(AssertionError, match="refused: late"):
        opened.when(Closed("front")).when(Knocked("front")).then(Oil("front"))


def test_an_end_with_another_outcome_fails() -> None:
    with pytest.raises(AssertionError, match=r"! ends 'burnt' +\| ends 'shut'"):
        opened.when(Closed("front")).then_ends("burnt")


def test_a_flow_that_ended_does_not_go_on() -> None:
    with pytest.raises(AssertionError, match=r"! goes on +\| ended shut"):
        opened.when(Closed("front")).then_goes_on()


def test_a_flow_that_has_not_started_does_not_go_on() -> None:
    with pytest.raises(AssertionError, match="not started"):
        given(Door).when(Painted("front")).then_goes_on()


def test_an_event_before_the_start_is_missing_its_flow() -> None:
    given(Door).when(Painted("front")).then_refused("missing")


def test_an_event_after_the_end_is_late() -> None:
    opened.when(Closed("front")).when(Knocked("front")).then_refused("late")


def test_an_event_that_may_be_late_is_ignored() -> None:
    opened.when(Closed("front")).when(Visited("front")).then_refused("ignored")


def test_another_refusal_than_expected_fails() -> None:
    with pytest.raises(AssertionError, match=r"! late +\| already_started"):
        opened.when(Opened("front")).then_refused("late")


def test_a_handled_event_is_not_refused() -> None:
    with pytest.raises(AssertionError, match=r"! late +\| \(nothing\)"):
        opened.when(Painted("front")).then_refused("late")


def test_an_event_may_wait_for_its_start() -> None:
    given(Door).when(Knocked("front")).then_refused("waiting")


def test_what_waited_follows_the_start() -> None:
    given(Door, Knocked("front"), Knocked("front")).when(Opened("front")).then(
        Oil("front"), Oil("front", 1), Oil("front", 2)
    )


def test_an_event_that_must_not_be_missing_quarantines_the_flow() -> None:
    given(Door).when(Visited("front")).then_quarantined("Visited: can't be handled by a flow that is unstarted")


def test_an_event_that_must_not_be_late_quarantines_the_flow() -> None:
    opened.when(Closed("front")).when(Inspected("front")).then_quarantined("ended")


def test_a_deadline_fires_when_its_time_has_come() -> None:
    opened.elapse(HOUR).then(Close("front"))


def test_a_deadline_does_not_fire_early() -> None:
    opened.elapse(HOUR - timedelta(microseconds=1)).then_nothing()


def test_deadlines_armed_meanwhile_fire_too() -> None:
    opened.elapse(2 * HOUR).then(Close("front")).then_ends("abandoned")


def test_time_elapses_in_parts() -> None:
    opened.elapse(HOUR / 2).elapse(HOUR / 2).then(Close("front"))


def test_time_does_not_go_back() -> None:
    with pytest.raises(ValueError, match="can't go back"):
        opened.elapse(-HOUR)


def test_an_armed_deadline_can_be_asserted() -> None:
    opened.elapse(HOUR / 4).then_armed(Forgotten("front"), after=HOUR * 3 / 4).then_armed(Forgotten("front"))


def test_an_absolute_deadline_can_be_asserted() -> None:
    opened.when(Visited("front")).then_armed(Reminded("front"), at=NEW_YEAR)


def test_a_deadline_armed_for_another_time_fails() -> None:
    with pytest.raises(AssertionError, match=re.escape("armed Forgotten(door='front'), due after 1:00:00")):
        opened.when(Painted("front")).then_armed(Forgotten("front"), after=2 * HOUR)


def test_a_deadline_that_is_not_armed_fails() -> None:
    with pytest.raises(AssertionError, match=re.escape("! armed Reminded(door='front')")):
        opened.when(Painted("front")).then_armed(Reminded("front"))


def test_an_armed_deadline_fails_then_unarmed() -> None:
    with pytest.raises(AssertionError, match=re.escape("armed Forgotten(door='front'), due after 1:00:00")):
        opened.when(Painted("front")).then_unarmed()


def test_a_cancelled_deadline_is_unarmed() -> None:
    opened.when(Jammed("front")).then_unarmed(Forgotten)


def test_unarmed_looks_at_the_type_named() -> None:
    opened.when(Painted("front")).then_unarmed(Reminded)


def test_the_end_disarms_all_deadlines() -> None:
    opened.when(Closed("front")).then_unarmed()


def test_a_deadline_that_is_given_has_fired() -> None:
    opened.when(Forgotten("front")).elapse(HOUR).then_ends("abandoned")


def test_a_recorded_fact_is_compared() -> None:
    opened.when(Jammed("front")).then_recorded(Counted("front"))


def test_a_recorded_fact_is_handled_next() -> None:
    opened.when(Jammed("front")).then(Oil("front", 7))


def test_another_recorded_fact_fails() -> None:
    with pytest.raises(AssertionError, match="Counted"):
        opened.when(Jammed("front")).then_recorded(Counted("back"))


def test_a_command_given_up_finds_the_handler_of_its_type() -> None:
    opened.when(lost_oil).then(Close("front"))


def test_a_command_given_up_without_a_handler_quarantines_the_flow() -> None:
    opened.when(lost_close).then_quarantined("Close: was given up")


def test_a_command_given_up_may_be_given() -> None:
    given(Door, Opened("front"), lost_oil).when(Painted("front")).then_nothing()


def test_a_cancellation_without_a_handler_is_ignored() -> None:
    opened.when(CancelRequested("ann", "moved")).then_refused("ignored")


def test_a_handler_that_raises_quarantines_the_flow() -> None:
    opened.when(Broken("front")).then_quarantined("RuntimeError: no hinge")


def test_a_quarantined_flow_handles_nothing_more() -> None:
    opened.when(Broken("front")).when(Knocked("front")).then_quarantined("no hinge")


def test_a_handler_that_raises_fails_then_with_its_error() -> None:
    with pytest.raises(AssertionError, match="quarantined: broken: RuntimeError: no hinge") as failure:
        opened.when(Broken("front")).then(Close("front"))
    assert isinstance(failure.value.__cause__, RuntimeError)


def test_a_flow_in_order_is_not_quarantined() -> None:
    with pytest.raises(AssertionError, match=r"! quarantined: no hinge +\|"):
        opened.when(Painted("front")).then_quarantined("no hinge")


def test_a_quarantine_for_another_reason_fails() -> None:
    with pytest.raises(AssertionError, match="no hinge"):
        opened.when(Broken("front")).then_quarantined("rust")


def test_a_command_that_the_journal_could_not_hold_quarantines_the_flow() -> None:
    opened.when(Bent("front")).then_quarantined("drops is str 'three', expected int")


def test_a_turn_that_asks_for_too_much_quarantines_the_flow() -> None:
    given(Door, effects_max=1).when(Opened("front")).then_quarantined("asked for more than 1 effects")


def test_a_broken_history_is_no_past() -> None:
    with pytest.raises(AssertionError, match="the given Broken"):
        given(Door, Opened("front"), Broken("front"))


def test_a_handler_sees_the_virtual_time() -> None:
    opened.when(Visited("front")).then(Oil("front", START.year))


def test_the_virtual_time_can_be_chosen() -> None:
    given(Door, Opened("front"), now=NEW_YEAR).when(Visited("front")).then(Oil("front", 2001))


def test_a_deadline_in_the_past_fires_at_once() -> None:
    given(Door, Opened("front"), now=NEW_YEAR).when(Visited("front")).elapse(timedelta(0)).then_ends("abandoned")


def test_an_event_of_another_flow_is_refused() -> None:
    with pytest.raises(
        ValueError, match=re.escape("Knocked(door='back') belongs to back, this scenario is of door/front")
    ):
        opened.when(Knocked("back"))


def test_an_event_that_does_not_concern_the_process_is_refused() -> None:
    with pytest.raises(ValueError, match="Door is not concerned by Unrelated"):
        opened.when(Unrelated("front"))


def test_an_event_of_several_flows_needs_a_key() -> None:
    with pytest.raises(ValueError, match="concerns 2 flows of Door; say which"):
        given(Door, Rung(("front", "back")))


def test_an_event_of_several_flows_is_routed_by_the_key() -> None:
    given(Door, Opened("back"), key="back").when(Rung(("front", "back"))).then(Close("all"))


def test_an_event_of_no_flow_is_refused() -> None:
    with pytest.raises(ValueError, match="belongs to no flow"):
        opened.when(Rung(()))


class Weighed1(Event, name="test.weighed"):
    parcel: str
    pounds: int


class Weighed(Event, name="test.weighed", version=2):
    parcel: str
    grams: int


@lifts
def in_grams(old: Weighed1) -> Weighed:
    if old.pounds < 0:
        raise ValueError("nothing weighs less than nothing")
    return Weighed(old.parcel, old.pounds * 500)


class Weigh(Command, name="test.weigh"):
    parcel: str
    grams: int


class Scales(ProcessManager, name="scales", key="parcel"):
    grams: int = 0

    @folds
    def weigh(self, weighed: Weighed) -> Scales:
        return self.evolve(grams=self.grams + weighed.grams)

    @on(missing="start")
    def weighed(self, weighed: Weighed) -> Effects:
        yield Weigh(weighed.parcel, self.grams)
        if weighed.grams == 500:
            yield after(timedelta(hours=1), Weighed1(weighed.parcel, 2))
            yield record(Weighed1(weighed.parcel, 4))


def test_old_events_are_lifted_before_a_flow_sees_them() -> None:
    given(Scales, Weighed("a", 1), lifts=[in_grams]).when(Weighed1("a", 2)).then(Weigh("a", 1001))
    given(Scales, Weighed1("a", 2), lifts=[in_grams]).when(Weighed("a", 1)).then(Weigh("a", 1001))


def test_old_deadlines_and_recorded_facts_are_lifted() -> None:
    started = given(Scales, lifts=[in_grams]).when(Weighed1("a", 1))
    started.then(Weigh("a", 500), Weigh("a", 2500)).then_recorded(Weighed1("a", 4))
    started.elapse(timedelta(hours=1)).then(Weigh("a", 3500))
    started.when(Weighed1("a", 2)).then(Weigh("a", 3500)).then_unarmed()


def test_a_lift_that_raises_is_told() -> None:
    with pytest.raises(LiftFailed, match="nothing weighs less than nothing"):
        given(Scales, Weighed1("a", -1), lifts=[in_grams])


def test_an_old_event_that_does_not_fit_its_own_type_is_told() -> None:
    with pytest.raises(InvalidPayload, match="pounds is str"):
        given(Scales, Weighed1("a", "1"), lifts=[in_grams])  # type: ignore[arg-type]  # what is to be refused


def test_a_history_that_breaks_the_flow_fails_with_its_error() -> None:
    with pytest.raises(AssertionError) as failed:
        given(Door, Opened("front"), Broken("front"))
    assert isinstance(failed.value.__cause__, RuntimeError)
