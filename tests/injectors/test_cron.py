"""Schedules: each occurrence is published once, whatever clocks and restarts do."""

from __future__ import annotations

import datetime
from datetime import timedelta
from typing import Literal

import attrs
import pytest
import trio

from procession import Cron, Event, ProcessManager, Runtime, Settings, open_runtime, starts
from procession.errors import WiringError
from procession.injectors import schedule
from procession.journal.memory import MemoryJournal
from tests.injectors.door import QUICK, injectors_of

UTC = datetime.UTC


class ReportDue(Event, name="report.due"):
    report: str
    at: datetime.datetime


class Report(ProcessManager, name="report", key="report"):
    @starts
    def write(self, due: ReportDue) -> None: ...


def utc(text: str) -> datetime.datetime:
    return datetime.datetime.fromisoformat(text).replace(tzinfo=UTC)


@attrs.define
class WallClock:
    """A wall clock that goes with trio's, and can be set."""

    start: datetime.datetime
    drifts: bool = True
    _origin: float = attrs.field(factory=trio.current_time)

    def now_us(self) -> int:
        elapsed = timedelta(seconds=trio.current_time() - self._origin)
        return (self.start + elapsed - datetime.datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)

    def set(self, now: datetime.datetime) -> None:
        self.start, self._origin = now, trio.current_time()


def daily(at: datetime.datetime) -> ReportDue:
    return ReportDue("daily", at)


def every_10_minutes(
    missed: Literal["one", "all", "none"] = "one", within: timedelta = timedelta(days=1), missed_max: int = 100
) -> Cron:
    return Cron("*/10 * * * *", daily, missed=missed, missed_within=within, missed_max=missed_max, name="tens")


async def reports(runtime: Runtime) -> list[str]:
    """When reports were due, in the order in which they were accepted."""
    events = [recorded.event for recorded in await runtime.events()]
    return [event.at.astimezone(UTC).strftime("%d. %H:%M") for event in events if isinstance(event, ReportDue)]


async def run_from(journal: MemoryJournal, now: str, *crons: Cron, minutes: float) -> list[str]:
    """Run for so long from this time on the wall."""
    clock = WallClock(utc(now))
    async with open_runtime(journal, processes=[Report], injectors=crons, settings=QUICK, clock=clock) as runtime:
        await trio.sleep(minutes * 60)
        return await reports(runtime)


@pytest.fixture
def journal() -> MemoryJournal:
    return MemoryJournal()


async def test_each_occurrence_is_published_when_it_is_due(
    journal: MemoryJournal, autojump_clock: trio.abc.Clock
) -> None:
    found = await run_from(journal, "2026-03-02 05:55", every_10_minutes(), minutes=20)
    assert found == ["02. 06:00", "02. 06:10"]


async def test_it_gets_its_time_in_its_zone(journal: MemoryJournal, autojump_clock: trio.abc.Clock) -> None:
    given: list[datetime.datetime] = []

    def make(at: datetime.datetime) -> ReportDue:
        given.append(at)
        return daily(at)

    await run_from(journal, "2026-03-02 04:59", Cron("0 6 * * 1-5", make, timezone="Europe/Berlin"), minutes=2)
    assert [at.isoformat() for at in given] == ["2026-03-02T06:00:00+01:00"]


async def test_what_was_due_before_it_was_first_seen_was_not_missed(
    journal: MemoryJournal, autojump_clock: trio.abc.Clock
) -> None:
    assert await run_from(journal, "2026-03-02 06:05", every_10_minutes("all"), minutes=1) == []


@pytest.mark.parametrize(
    ("missed", "made_up"),
    [("one", ["02. 06:40"]), ("all", ["02. 06:10", "02. 06:20", "02. 06:30", "02. 06:40"]), ("none", [])],
)
async def test_what_is_missed_while_nothing_runs_is_made_up_for_as_it_says(
    journal: MemoryJournal, autojump_clock: trio.abc.Clock, missed: Literal["one", "all", "none"], made_up: list[str]
) -> None:
    await run_from(journal, "2026-03-02 05:59", every_10_minutes(missed), minutes=2)
    found = await run_from(journal.reopened(), "2026-03-02 06:45", every_10_minutes(missed), minutes=6)
    assert found == ["02. 06:00", *made_up, "02. 06:50"]


async def test_the_first_occurrence_of_all_can_be_missed_too(
    journal: MemoryJournal, autojump_clock: trio.abc.Clock
) -> None:
    await run_from(journal, "2026-03-02 05:51", every_10_minutes(), minutes=1)
    assert await run_from(journal.reopened(), "2026-03-02 06:05", every_10_minutes(), minutes=1) == ["02. 06:00"]


async def test_what_is_missed_is_bounded_by_age_and_by_number(
    journal: MemoryJournal, autojump_clock: trio.abc.Clock
) -> None:
    await run_from(journal, "2026-03-02 05:51", every_10_minutes(), minutes=1)
    by_age = every_10_minutes("all", within=timedelta(minutes=30))
    found = await run_from(journal.reopened(), "2026-03-03 06:05", by_age, minutes=1)
    assert found == ["03. 05:40", "03. 05:50", "03. 06:00"]
    by_number = every_10_minutes("all", missed_max=2)
    found = await run_from(journal.reopened().reopened(), "2026-03-04 06:05", by_number, minutes=1)
    assert found[3:] == ["04. 05:50", "04. 06:00"]


async def test_another_expression_under_the_same_name_begins_anew(
    journal: MemoryJournal, autojump_clock: trio.abc.Clock
) -> None:
    await run_from(journal, "2026-03-02 05:51", every_10_minutes("all"), minutes=1)
    other = Cron("*/5 * * * *", daily, missed="all", name="tens")
    assert await run_from(journal.reopened(), "2026-03-02 07:01", other, minutes=5) == ["02. 07:05"]


async def test_a_restart_right_after_an_occurrence_publishes_it_once(
    journal: MemoryJournal, autojump_clock: trio.abc.Clock
) -> None:
    await run_from(journal, "2026-03-02 05:59", every_10_minutes("all"), minutes=1.1)
    found = await run_from(journal.reopened(), "2026-03-02 06:00", every_10_minutes("all"), minutes=1)
    assert found == ["02. 06:00"]


async def test_a_clock_that_is_set_back_publishes_nothing_twice(
    journal: MemoryJournal, autojump_clock: trio.abc.Clock
) -> None:
    clock = WallClock(utc("2026-03-02 05:59"))
    async with open_runtime(
        journal, processes=[Report], injectors=[every_10_minutes("all")], settings=QUICK, clock=clock
    ) as runtime:
        await trio.sleep(12 * 60)
        clock.set(utc("2026-03-02 05:55"))
        await trio.sleep(26 * 60)
        assert await reports(runtime) == ["02. 06:00", "02. 06:10", "02. 06:20"]


async def test_a_clock_that_was_a_year_ahead_and_is_set_right_publishes_from_then_on(
    journal: MemoryJournal, autojump_clock: trio.abc.Clock
) -> None:
    clock = WallClock(utc("2027-03-02 05:59"))
    async with open_runtime(
        journal, processes=[Report], injectors=[every_10_minutes()], settings=QUICK, clock=clock
    ) as runtime:
        await trio.sleep(60 * 0.5)
        clock.set(utc("2026-03-01 05:59"))
        await trio.sleep(60 * 2)
        assert await reports(runtime) == ["01. 06:00"]


@pytest.mark.parametrize(
    ("missed", "made_up"), [("one", ["02. 07:00"]), ("all", ["02. 06:40", "02. 06:50", "02. 07:00"]), ("none", [])]
)
async def test_what_a_clock_jumps_over_is_missed(
    journal: MemoryJournal, autojump_clock: trio.abc.Clock, missed: Literal["one", "all", "none"], made_up: list[str]
) -> None:
    clock = WallClock(utc("2026-03-02 06:29"))
    async with open_runtime(
        journal, processes=[Report], injectors=[every_10_minutes(missed)], settings=QUICK, clock=clock
    ) as runtime:
        await trio.sleep(2 * 60)
        clock.set(utc("2026-03-02 07:05"))
        await trio.sleep(6 * 60)
        assert await reports(runtime) == ["02. 06:30", *made_up, "02. 07:10"]


async def test_two_firings_of_one_occurrence_count_once_also_where_they_differ(
    journal: MemoryJournal, autojump_clock: trio.abc.Clock
) -> None:
    said = iter(["first", "second", "third"])
    cron = Cron("*/10 * * * *", lambda at: ReportDue(next(said), at), name="tens")
    await run_from(journal, "2026-03-02 05:59", cron, minutes=2)
    clock = WallClock(utc("2026-03-02 05:59"))
    async with open_runtime(
        journal.reopened(), processes=[Report], injectors=[cron], settings=QUICK, clock=clock
    ) as runtime:
        await trio.sleep(2 * 60)
        assert await reports(runtime) == ["02. 06:00"]
        assert injectors_of(runtime)["tens"].restarts == 0


async def test_two_schedules_with_names_of_their_own_publish_each_their_own(
    journal: MemoryJournal, autojump_clock: trio.abc.Clock
) -> None:
    found = await run_from(
        journal,
        "2026-03-02 05:59",
        every_10_minutes(),
        Cron("0 6 * * *", lambda at: ReportDue("other", at), name="six"),
        minutes=2,
    )
    assert found == ["02. 06:00", "02. 06:00"]


# Where clocks change: Berlin goes from 2 to 3 on 29 March 2026, and from 3 to 2 on 25 October 2026.


@pytest.mark.parametrize(
    ("expression", "day", "due"),
    [
        ("30 2 * * *", "2026-03-29", ["03:00+02:00"]),  # skipped: at the first moment after the gap
        ("0,30 2 * * *", "2026-03-29", ["03:00+02:00"]),
        ("30 */1 * * *", "2026-03-29", ["00:30+01:00", "01:30+01:00", "03:30+02:00"]),
        ("30 2 * * *", "2026-10-25", ["02:30+02:00"]),  # there twice: the first
        ("15,45 2 * * *", "2026-10-25", ["02:15+02:00", "02:45+02:00"]),
        ("30 */1 * * *", "2026-10-25", ["00:30+02:00", "01:30+02:00", "02:30+02:00", "02:30+01:00", "03:30+01:00"]),
        ("0 4 * * *", "2026-10-25", []),
    ],
)
def test_gaps_and_folds(expression: str, day: str, due: list[str]) -> None:
    berlin = schedule.Schedule(expression, "Europe/Berlin")
    start = datetime.datetime.fromisoformat(f"{day}T00:00").replace(tzinfo=berlin.zone)
    end = datetime.datetime.fromisoformat(f"{day}T03:59").replace(tzinfo=berlin.zone)
    backwards = berlin.between(start, end, 100)
    assert [at.isoformat()[11:16] + at.isoformat()[19:] for at in backwards] == due
    forwards, at = [], berlin.after(start)
    while at is not None and at.astimezone(UTC) <= end.astimezone(UTC):
        forwards.append(at)
        at = berlin.after(at)
    assert [at.astimezone(UTC) for at in forwards] == [at.astimezone(UTC) for at in backwards]


def test_in_a_fold_what_comes_next_is_later() -> None:
    berlin = schedule.Schedule("45 2 * * *", "Europe/Berlin")
    within = utc("2026-10-25 01:20")  # 02:20 for the second time
    assert berlin.after(within) == datetime.datetime(2026, 10, 26, 2, 45, tzinfo=berlin.zone)


def test_an_expression_that_is_never_due_has_no_next() -> None:
    assert schedule.Schedule("0 0 29 2 1#5", "UTC").after(utc("2100-01-01 00:00")) is not None
    with pytest.raises(WiringError, match="Bad day-of-month"):
        schedule.Schedule("0 0 30 2 *", "UTC")


@pytest.mark.parametrize(
    ("expression", "timezone", "sentence"),
    [
        (
            "61 * * * *",
            "UTC",
            r"the schedule '61 \* \* \* \*' is none \(Bad minute\); write minute, hour, day of month",
        ),
        ("daily", "UTC", "the schedule 'daily' is none"),
        ("0 * * * * *", "UTC", "has seconds; write minute"),
        ("0 6 * * *", "Mars/Olympus", "the time zone 'Mars/Olympus' is not known; name one such as Europe/Berlin"),
        ("0 6 * * *", "", "the time zone '' is not known"),
    ],
)
def test_what_is_no_schedule_is_refused_where_it_is_written(expression: str, timezone: str, sentence: str) -> None:
    with pytest.raises(WiringError, match=sentence):
        Cron(expression, daily, timezone=timezone)


async def test_a_schedule_whose_event_can_not_be_made_is_given_up_alone(
    journal: MemoryJournal, autojump_clock: trio.abc.Clock
) -> None:
    def broken(at: datetime.datetime) -> ReportDue:
        raise ZeroDivisionError

    clock = WallClock(utc("2026-03-02 05:59"))
    crons = [Cron("*/10 * * * *", broken, name="broken"), every_10_minutes()]
    async with open_runtime(
        journal, processes=[Report], injectors=crons, settings=Settings(supervision=QUICK.supervision), clock=clock
    ) as runtime:
        await trio.sleep(12 * 60)
        assert await reports(runtime) == ["02. 06:00", "02. 06:10"]
        assert injectors_of(runtime)["broken"].state == "failed"
