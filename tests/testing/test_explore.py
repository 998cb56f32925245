"""What `explore` tries, what it finds, and what it says of what it did not see."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from procession import (
    CancelRequested,
    Command,
    CommandGivenUp,
    Effects,
    Envelope,
    Event,
    Gateway,
    History,
    ProcessManager,
    Refused,
    Wiring,
    after,
    at,
    cancel,
    end,
    ends,
    folds,
    invariant,
    on,
    record,
    starts,
)
from procession.errors import DefinitionError, WiringError
from procession.testing.exploring.explorer import explore
from procession.testing.exploring.report import Exploration
from procession.testing.exploring.steps import short

DAY = timedelta(days=1)


class Begun(Event, name="job.begun"):
    job: str


class Done(Event, name="job.done"):
    job: str
    well: bool


class Checked(Event, name="job.checked"):
    job: str


class Noted(Event, name="job.noted"):
    job: str


class Called(Event, name="job.called"):
    job: str


class Paid(Event, name="job.paid"):
    job: str


class Late(Event, name="job.late"):
    job: str


class Later(Event, name="job.later"):
    job: str


class Work(Command, name="job.work"):
    job: str


class Check(Command, name="job.check"):
    job: str


class Tell(Command, name="job.tell"):
    job: str


class Workers(Gateway, name="job.workers"):
    async def work(self, command: Work) -> Done:
        raise NotImplementedError

    async def check(self, command: Check) -> Checked | None:
        raise NotImplementedError

    async def tell(self, command: Tell) -> None:
        raise NotImplementedError


class OneByOne(Gateway, name="job.one_by_one", ordered=True):
    async def work(self, command: Work) -> Done:
        raise NotImplementedError

    async def check(self, command: Check) -> Checked:
        raise NotImplementedError


def found(report: Exploration) -> list[tuple[str, str]]:
    """Kinds and traces, in the report's order."""
    return [(fault.kind, short(fault.way)) for fault in report.findings]


class Simple(ProcessManager, name="job.simple", key="job"):
    @starts
    def begin(self, begun: Begun) -> Effects:
        yield Work(begun.job)

    @ends
    def finish(self, done: Done) -> None: ...


def test_a_simple_flow_is_clean_and_says_how_much_was_seen() -> None:
    report = explore(Simple, gateways=[Workers])
    report.assert_clean()
    assert report.line == "Simple: explored all 3 states, in 3 turns"
    assert report.complete
    assert "events from outside: each kind at most 2 times (arrivals_max)" in report.unexplored


# Commands and answers.


class Ignorant(ProcessManager, name="job.ignorant", key="job"):
    @starts
    def begin(self, begun: Begun) -> Effects:
        yield Work(begun.job)
        yield after(DAY, Late(begun.job))

    @ends
    def stop(self, late: Late) -> None: ...


def test_an_answer_that_nobody_handles_is_found_at_the_gateway_that_gives_it() -> None:
    (fault,) = explore(Ignorant, gateways=[Workers]).findings
    assert (fault.kind, fault.subject) == ("not handled", "Work → Done")
    assert short(fault.way) == "Begun ; Done"
    assert fault.place.startswith(__file__)


class Seeing(Ignorant, name="job.seeing", key="job", concerns=(Done,)):
    """It says that it only sees the answer."""


def test_an_answer_that_a_process_is_only_concerned_by_is_handled() -> None:
    explore(Seeing, gateways=[Workers]).assert_clean()


class Silent(ProcessManager, name="job.silent", key="job"):
    @starts
    def begin(self, begun: Begun) -> Effects:
        yield Check(begun.job)

    @ends
    def finish(self, checked: Checked) -> None: ...


def test_an_answer_of_none_closes_a_command_and_may_leave_a_flow_stuck() -> None:
    assert found(explore(Silent, gateways=[Workers])) == [("stuck", "Begun ; Check done")]


def test_outcomes_can_be_narrowed() -> None:
    explore(Silent, gateways=[Workers], outcomes={Check: [Checked]}).assert_clean()


class Patient(ProcessManager, name="job.patient", key="job"):
    """Given up for good it ends; else it tries again."""

    @starts
    def begin(self, begun: Begun) -> Effects:
        yield Tell(begun.job)
        yield Work(begun.job)

    @on
    def finish(self, done: Done) -> Effects:
        yield end()

    @on
    def lost(self, lost: CommandGivenUp[Work]) -> Effects:
        if lost.reason == "refused":
            yield end("refused")


def test_a_command_may_be_given_up_in_both_ways() -> None:
    assert found(explore(Patient, gateways=[Workers])) == [
        ("stuck", "Begun ; Tell done ; CommandGivenUp[Work] (unknown)"),
    ]


def test_giving_up_can_be_left_out_and_its_handler_is_then_not_missed() -> None:
    explore(Patient, gateways=[Workers], given_up=False).assert_clean()


def test_an_outcome_that_says_refused_is_the_only_way_to_give_up() -> None:
    explore(Patient, gateways=[Workers], outcomes={Work: [Done("1", well=True), Refused]}).assert_clean()


def test_giving_up_without_a_handler_is_noted_and_is_no_finding() -> None:
    report = explore(Patient, gateways=[Workers])
    assert report.notes[0].startswith("Tell: given up, it sets the flow aside for a person")


class Ordered(ProcessManager, name="job.ordered", key="job"):
    worked: bool = False

    @folds
    def work(self, done: Done) -> Ordered:
        return self.evolve(worked=True)

    @starts
    def begin(self, begun: Begun) -> Effects:
        yield Work(begun.job)
        yield Check(begun.job)

    @on
    def worked_on(self, done: Done) -> None: ...

    @on
    def finish(self, checked: Checked) -> Effects:
        if self.worked:
            yield end()


def test_answers_come_in_any_order() -> None:
    assert found(explore(Ordered, gateways=[Workers], outcomes={Check: [Checked]})) == [
        ("stuck", "Begun ; Checked ; Done"),
    ]


def test_answers_of_an_ordered_gateway_come_in_the_order_of_their_commands() -> None:
    explore(Ordered, gateways=[OneByOne]).assert_clean()


# The end.


class Hasty(ProcessManager, name="job.hasty", key="job"):
    @starts
    def begin(self, begun: Begun) -> Effects:
        yield Work(begun.job)
        yield Tell(begun.job)
        yield Check(begun.job)

    @ends
    def finish(self, done: Done) -> Effects:
        yield Work(done.job)

    @on(late="ignore")
    def checked(self, checked: Checked) -> None: ...

    @on
    def lost(self, lost: CommandGivenUp[Tell]) -> None: ...


def test_an_end_before_an_answer_that_matters_is_found_and_what_the_end_asks_for_is_not() -> None:
    (fault,) = explore(Hasty, gateways=[Workers]).findings
    assert (fault.kind, fault.subject) == ("after the end", "finish ends before Tell")
    assert short(fault.way) == "Begun ; Done → Work + ends 'completed'"
    assert "CommandGivenUp[Tell]" in fault.found


def test_what_can_not_be_given_up_has_nothing_to_say_after_the_end() -> None:
    explore(Hasty, gateways=[Workers], given_up=False).assert_clean()


class Recording(ProcessManager, name="job.recording", key="job"):
    @starts
    def begin(self, begun: Begun) -> Effects:
        yield Work(begun.job)

    @on
    def finish(self, done: Done) -> Effects:
        yield record(Noted(done.job))
        if not done.well:
            yield end("badly")

    @ends
    def noted(self, noted: Noted) -> None: ...


def test_a_fact_that_the_ending_turn_records_and_the_flow_would_handle_is_found() -> None:
    (fault,) = explore(Recording, gateways=[Workers]).findings
    assert (fault.kind, short(fault.way)) == ("after the end", "Begun ; Done → ends 'badly'")
    assert "before that records Noted" in fault.found


class Alarmed(ProcessManager, name="job.alarmed", key="job"):
    @starts
    def begin(self, begun: Begun) -> Effects:
        yield Work(begun.job)
        yield after(DAY, Late(begun.job))

    @ends
    def finish(self, done: Done) -> None: ...

    @ends(outcome="late")
    def too_late(self, late: Late) -> Effects:
        yield Tell(late.job)


def test_a_deadline_that_the_end_disarms_is_noted_and_on_request_a_finding() -> None:
    report = explore(Alarmed, gateways=[Workers], outcomes={Work: [Done]})
    assert [fault.subject for fault in report.findings] == ["too_late ends before Work"]
    assert "job.late: this deadline is disarmed by the end of the flow" in report.notes
    strict = explore(Alarmed, gateways=[Workers], deadlines_at_end=True)
    assert "deadline job.late" in [fault.subject for fault in strict.findings]


# Deadlines.


class TwoDeadlines(ProcessManager, name="job.two_deadlines", key="job"):
    late: bool = False

    @folds
    def is_late(self, late: Late) -> TwoDeadlines:
        return self.evolve(late=True)

    @starts
    def begin(self, begun: Begun) -> Effects:
        yield after(2 * DAY, Later(begun.job))
        yield after(DAY, Late(begun.job))

    @on
    def wait(self, late: Late) -> None: ...

    @ends
    def stop(self, later: Later) -> Effects:
        if not self.late:
            yield Work(later.job)

    @on
    def never(self, done: Done) -> None: ...


def test_deadlines_fire_in_the_order_of_their_times() -> None:
    assert found(explore(TwoDeadlines, gateways=[Workers])) == [("unreachable", "nothing has happened")]


class ByTheCalendar(ProcessManager, name="job.by_the_calendar", key="job"):
    @starts
    def begin(self, begun: Begun, envelope: Envelope) -> Effects:
        yield at(envelope.recorded_at + 2 * DAY, Later(begun.job))
        yield at(datetime(2001, 1, 1, tzinfo=UTC), Late(begun.job))

    @on
    def late(self, late: Late) -> Effects:
        yield cancel(Later)
        yield end()

    @ends
    def later(self, later: Later) -> None: ...


class Calendar(ByTheCalendar, name="job.calendar", key="job"):
    @starts
    def begin(self, begun: Begun, envelope: Envelope) -> Effects:
        yield at(envelope.recorded_at + 2 * DAY, Later(begun.job))
        yield at(envelope.recorded_at + DAY, Late(begun.job))


def test_times_that_are_computed_from_the_time_of_admission_keep_their_order() -> None:
    assert [fault.subject for fault in explore(Calendar).findings] == ["later"]


class Reckoned(ByTheCalendar, name="job.reckoned", key="job"):
    @starts
    def begin(self, begun: Begun, envelope: Envelope) -> Effects:
        yield at(datetime(2002, 1, 1, tzinfo=UTC), Later(begun.job))
        yield at(datetime(2001, 1, 1, tzinfo=UTC), Late(begun.job))


def test_of_dates_that_a_handler_may_have_reckoned_from_the_time_of_admission_nothing_is_known() -> None:
    explore(Reckoned).assert_clean()


class Dated(TwoDeadlines, name="job.dated", key="job"):
    @starts
    def begin(self, begun: Begun) -> Effects:
        yield at(datetime(2002, 1, 1, tzinfo=UTC), Later(begun.job))
        yield at(datetime(2001, 1, 1, tzinfo=UTC), Late(begun.job))


def test_dates_keep_their_order() -> None:
    assert [fault.subject for fault in explore(Dated, gateways=[Workers]).findings] == ["never"]


def test_two_standings_that_differ_in_their_deadlines_only_are_two() -> None:
    class Arming(ProcessManager, name="job.arming", key="job"):
        @starts
        def begin(self, begun: Begun) -> Effects:
            yield Work(begun.job)

        @on
        def worked(self, done: Done) -> Effects:
            if done.well:
                yield after(DAY, Late(done.job))

        @ends
        def late(self, late: Late) -> None: ...

    report = explore(Arming, gateways=[Workers])
    assert found(report) == [("stuck", "Begun ; Done")]
    assert report.ends == 1


def test_envelopes_are_made_and_it_is_said_that_time_stands_still_in_them() -> None:
    report = explore(ByTheCalendar, gateways=[Workers])
    report.assert_clean()
    assert "envelopes: one time of admission, and one id for equal events" in report.unexplored


# Events from outside.


class Outside(ProcessManager, name="job.outside", key="job"):
    called: bool = False

    @folds
    def was_called(self, called: Called) -> Outside:
        return self.evolve(called=True)

    @starts
    def begin(self, begun: Begun) -> None: ...

    @on(missing="wait")
    def call(self, called: Called) -> None: ...

    @on
    def pay(self, paid: Paid) -> Effects:
        if self.called:
            yield end("paid")


def test_an_event_from_outside_that_comes_too_early_leaves_a_flow_stuck() -> None:
    assert found(explore(Outside)) == [("stuck", "Begun ; Paid ; Called")]


def test_who_waits_for_a_kind_that_comes_again_is_not_stuck() -> None:
    explore(Outside, repeated=[Paid]).assert_clean()


class Impatient(ProcessManager, name="job.impatient", key="job"):
    @starts
    def begin(self, begun: Begun) -> None: ...

    @ends
    def call(self, called: Called) -> None: ...


class Waiting(Impatient, name="job.waiting", key="job"):
    @ends(missing="wait")
    def call(self, called: Called) -> None: ...


class Counting(ProcessManager, name="job.counting", key="job"):
    calls: int = 0

    @folds
    def was_called(self, called: Called) -> Counting:
        return self.evolve(calls=self.calls + 1)

    @starts
    def begin(self, begun: Begun) -> None: ...

    @on
    def call(self, called: Called) -> Effects:
        if self.calls == 3:
            yield end()


def test_a_duplicate_is_no_hope_but_a_kind_that_comes_again_is() -> None:
    assert found(explore(Counting)) == [("stuck", "Begun ; Called")]
    explore(Counting, repeated=[Called]).assert_clean()


def test_events_that_wait_for_the_start_are_explored() -> None:
    lost, waited = explore(Impatient), explore(Waiting)
    assert (lost.states, lost.ends) == (3, 1)
    assert (waited.states, waited.ends) == (5, 3)  # one or two wait before the start, and the first of them ends it


class Twice(ProcessManager, name="job.twice", key="job"):
    calls: int = 0

    @folds
    def was_called(self, called: Called) -> Twice:
        return self.evolve(calls=self.calls + 1)

    @starts
    def begin(self, begun: Begun) -> None: ...

    @on
    def call(self, called: Called) -> Effects:
        yield Tell(called.job)

    @ends
    def pay(self, paid: Paid) -> None: ...


class Detour(ProcessManager, name="job.detour", key="job"):
    """Three steps are one too many. The quick way to the second one takes both calls, the long way one."""

    steps: int = 0

    @folds
    def took_a_step(self, event: Called | Later) -> Detour:
        return self.evolve(steps=self.steps + 1)

    @starts
    def begin(self, begun: Begun) -> Effects:
        yield after(DAY, Late(begun.job))

    @on
    def wait(self, late: Late) -> Effects:
        yield after(DAY, Later(late.job))

    @on
    def step(self, event: Called | Later) -> Effects:
        yield cancel(Late)
        yield cancel(Later)
        if self.steps == 3:
            raise ValueError(self.steps)


def test_a_longer_way_to_a_standing_that_leaves_more_to_come_is_followed_too() -> None:
    report = explore(Detour)
    assert ("fails", "Begun ; Late ; Later ; Called ; Called") in found(report)


@invariant(Twice)
def told_once(history: History) -> bool:
    return len(history.sent(Tell)) < 2


def test_an_event_that_is_published_again_under_another_id_is_explored() -> None:
    report = explore(Twice, gateways=[Workers], invariants=[told_once])
    assert found(report) == [("invariant", "Begun ; Called ; Called → Tell")]
    assert report.findings[0].way[-1].how == "arrives again"
    explore(Twice, gateways=[Workers], invariants=[told_once], arrivals_max=1).assert_clean()


class Operated(ProcessManager, name="job.operated", key="job"):
    @starts
    def begin(self, begun: Begun) -> None: ...

    @ends(outcome="stopped")
    def stop(self, asked: CancelRequested) -> None: ...


def test_who_waits_for_an_operator_only_is_stuck_and_the_operator_is_tried() -> None:
    report = explore(Operated)
    assert found(report) == [("stuck", "Begun")]
    assert report.ends == 1


class Naming(ProcessManager, name="job.naming", key="job"):
    """A handler names events that come from outside, as it would name a deadline."""

    @starts
    def begin(self, begun: Begun) -> None: ...

    @on
    def call(self, event: Called | Paid) -> Effects:
        if isinstance(event, Paid):
            yield end("paid")


def test_an_event_that_a_handler_names_and_does_not_bring_about_comes_from_outside() -> None:
    report = explore(Naming)
    report.assert_clean()
    assert report.ends == 2


class Forgetful(ProcessManager, name="job.forgetful", key="job"):
    @starts
    def begin(self, begun: Begun) -> Effects:
        yield Work(begun.job)

    @ends
    def finish(self, done: Done) -> Effects:
        yield cancel(Late)

    @on
    def too_late(self, late: Late) -> None: ...


def test_a_deadline_that_is_never_armed_makes_its_handler_unreachable() -> None:
    (fault,) = explore(Forgetful, gateways=[Workers]).findings
    assert (fault.kind, fault.subject, fault.way) == ("unreachable", "too_late", ())


class Numbered(Event, name="job.numbered"):
    number: int


class Shared(Event, name="job.shared"):
    numbers: tuple[int, ...]


class Elsewhere(Event, name="job.elsewhere"):
    numbers: tuple[str, ...]


class ByNumber(ProcessManager, name="job.by_number", key="number"):
    @starts
    def begin(self, numbered: Numbered) -> None: ...

    @on(key=lambda shared: shared.numbers)
    def share(self, shared: Shared) -> Effects:
        yield end("shared")

    @on(key=lambda elsewhere: elsewhere.numbers)
    def never(self, elsewhere: Elsewhere) -> None: ...


def test_examples_name_the_flow_and_what_can_not_is_told() -> None:
    report = explore(ByNumber)
    assert found(report) == [("unreachable", "nothing has happened")]
    assert "Elsewhere: it never comes, no example of it names flow 1" in report.unexplored
    explore(ByNumber, outside=[Shared, Elsewhere(("1",))]).assert_clean()


# Turns that fail, and policies.


class Failing(ProcessManager, name="job.failing", key="job"):
    @starts
    def begin(self, begun: Begun) -> Effects:
        yield Work(begun.job)

    @on(late="quarantine")
    def finish(self, done: Done) -> Effects:
        yield end(f"{1 // done.well}")

    @on(missing="quarantine")
    def call(self, called: Called) -> None: ...


def test_a_turn_that_fails_is_found_and_what_the_class_says_itself_is_noted() -> None:
    report = explore(Failing, gateways=[Workers])
    assert found(report) == [("fails", "Begun ; Done")]
    assert "ZeroDivisionError" in report.findings[0].found
    assert "Called before the start: it sets the flow aside, as the class says" in report.notes


# Invariants.


@invariant(Simple)
def cannot_judge(history: History) -> bool:
    raise KeyError(history.key)


@invariant(Simple)
def sees_everything(history: History) -> bool:
    """Turns are one, two, and no more."""
    return len(history.turns) <= 2 and (history.outcome is None or bool(history.handled(Done)))


def test_an_invariant_that_raises_is_a_finding() -> None:
    report = explore(Simple, gateways=[Workers], invariants=[cannot_judge])
    assert found(report) == [("invariant", "Begun → Work")]
    assert "raised KeyError" in report.findings[0].found


def test_an_invariant_may_look_at_whole_turns_and_the_report_says_what_that_costs() -> None:
    report = explore(Simple, gateways=[Workers], invariants=[sees_everything])
    report.assert_clean()
    assert "an invariant looks at whole turns" in report.notes[-1]


def test_two_ways_to_one_state_are_two_where_an_invariant_can_tell_them_apart() -> None:
    class Forks(ProcessManager, name="job.forks", key="job"):
        @starts
        def begin(self, begun: Begun) -> Effects:
            yield Work(begun.job)

        @on
        def worked(self, done: Done) -> Effects:
            if done.well:
                yield record(Noted(done.job))
            yield Check(done.job)

        @ends
        def finish(self, checked: Checked) -> None: ...

    @invariant(Forks)
    def ends_unnoted(history: History) -> bool:
        return not history.outcome or not history.recorded(Noted)

    report = explore(Forks, gateways=[OneByOne], invariants=[ends_unnoted])
    assert found(report) == [("invariant", "Begun ; Done ; Checked → ends 'completed'")]
    assert "well=True" in str(report.findings[0].way[1])


def test_invariants_and_gateways_come_with_a_wiring() -> None:
    wiring = Wiring((Twice,), (Workers(),), invariants=(told_once, sees_everything))
    assert found(explore(Twice, wiring=wiring)) == [("invariant", "Begun ; Called ; Called → Tell")]


# Bounds.


class Endless(ProcessManager, name="job.endless", key="job"):
    rounds: int = 0

    @folds
    def again(self, late: Late) -> Endless:
        return self.evolve(rounds=self.rounds + 1)

    @starts
    def begin(self, begun: Begun) -> Effects:
        yield after(DAY, Late(begun.job))

    @on
    def go_on(self, late: Late) -> Effects:
        yield after(DAY, Late(late.job))


@pytest.mark.parametrize(
    ("bound", "found"),
    [
        ({"states_max": 50}, "stopped at states_max = 50"),
        ({"turns_max": 50}, "stopped at turns_max = 50"),
        ({"depth_max": 50}, "stopped at depth_max = 50"),
    ],
)
def test_a_bound_that_is_met_is_loud_and_no_proof(bound: dict[str, int], found: str) -> None:
    report = explore(Endless, **bound)  # type: ignore[arg-type]  # one bound a time
    assert not report.complete
    assert found in report.line
    assert "of at least" in report.line
    with pytest.raises(AssertionError, match="only a part"):
        report.assert_clean()


def test_what_was_not_reached_within_a_bound_is_not_said_to_be_unreachable() -> None:
    assert explore(TwoDeadlines, gateways=[Workers], depth_max=1).findings == ()


def test_progress_is_told() -> None:
    told: list[int] = []
    explore(Endless, states_max=2_000, depth_max=2_000, progress=lambda tally: told.append(tally.states))
    assert told == sorted(told)
    assert len(told) >= 4


# Reports and refusals.


def test_a_report_is_json_for_programs() -> None:
    data = json.loads(json.dumps(explore(Silent, gateways=[Workers]).json()))
    (fault,) = data["findings"]
    assert (data["clean"], data["complete"], data["process"]) == (False, True, "Silent")
    assert fault["trace"] == "Begun ; Check done"
    assert [step["how"] for step in fault["steps"]] == ["arrives", "answers"]


@pytest.mark.parametrize(
    ("kwargs", "found"),
    [
        ({}, "Simple.begin sends Work, which no gateway takes; give explore the gateway"),
        ({"gateways": [Workers, OneByOne]}, "a command has one receiver"),
        ({"gateways": [Workers], "start": [Begun("1"), Begun("2")]}, "belongs to flow 2, and flow 1 is explored"),
        ({"gateways": [Workers], "outside": [Paid]}, "not concerned by Paid"),
        ({"gateways": [Workers], "invariants": [told_once]}, "told_once .* is of Twice, not of Simple"),
    ],
)
def test_what_does_not_fit_together_is_refused(kwargs: dict[str, list[object]], found: str) -> None:
    with pytest.raises(WiringError, match=found):
        explore(Simple, **kwargs)  # type: ignore[arg-type]  # that is the point


def test_what_is_no_process_manager_is_refused() -> None:
    with pytest.raises(DefinitionError, match=r"explore is asked for .*Workers.*, which is no process manager"):
        explore(Workers)  # type: ignore[arg-type]  # that is the point
