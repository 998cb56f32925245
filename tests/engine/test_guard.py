"""The guard: armed while a turn runs and for nothing else; what it finds can't be hidden, and fails the turn."""

from __future__ import annotations

import copy
import gc
import logging
import os
import subprocess
import sys
import threading
import zoneinfo
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import attrs
import pytest
import trio.testing

from procession import (
    Command,
    Effects,
    Event,
    Gateway,
    ProcessManager,
    Settings,
    allows,
    folds,
    on,
    open_runtime,
    starts,
)
from procession.engine.guard import Guard, make_guard
from procession.engine.turn import Turn, TurnFailed, run_turn
from procession.errors import ImpureTurn
from procession.journal.memory import MemoryJournal
from procession.primitives.definition import compile_definition
from procession.primitives.envelope import Envelope
from procession.settings import PuritySettings
from procession.testing import pure_turns

SOMEWHERE = Path(__file__)


class Opened(Event, name="guarded.opened"):
    key: str


class Told(Event, name="guarded.told"):
    key: str


@attrs.frozen(eq=False)
class Odd:
    """A value that does work when it is compared, as the codec compares it."""

    text: str

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Odd) and SOMEWHERE.read_bytes() != b"" and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)


class Tell(Command, name="guarded.tell"):
    key: str
    odd: Odd = Odd("")


class Teller(Gateway, name="teller"):
    async def tell(self, command: Tell) -> None: ...


def process_of(act: Callable[[], object]) -> type[ProcessManager]:
    acts = [act]  # out of a list: a runtime would not open with what the scan finds

    class Acting(ProcessManager, name="acting", key="key"):
        @starts
        def opened(self, opened: Opened) -> Effects:
            for each in acts:
                each()
            yield Tell(opened.key)

    return Acting


def turn_of(act: Callable[[], object], guard: Guard) -> Turn:
    definition = compile_definition(process_of(act))
    return run_turn(definition, definition.cls(), Opened("a"), "unstarted", no_envelope, 10, guard)


def no_envelope() -> Envelope:
    raise AssertionError("nobody asks for it")


def opens_a_file() -> None:
    SOMEWHERE.read_bytes()


def opens_a_file_and_hides_it() -> None:
    try:
        opens_a_file()
    except Exception:  # noqa: BLE001 - what users write
        return


def opens_a_file_and_says_something_else() -> None:
    try:
        opens_a_file()
    except Exception:  # noqa: BLE001 - what users write
        raise ValueError("no such order") from None


# What is found.


@pytest.mark.parametrize("act", [opens_a_file, opens_a_file_and_hides_it, opens_a_file_and_says_something_else])
def test_a_turn_that_works_fails_whatever_its_handler_makes_of_it(act: Callable[[], object]) -> None:
    with pytest.raises(TurnFailed) as caught:
        turn_of(act, make_guard("raise"))
    impure = caught.value.__cause__
    assert isinstance(impure, ImpureTurn)
    assert impure.handler == "Acting.opened"
    assert impure.call.startswith("open(")
    assert impure.where.startswith("test_guard.py:")
    assert caught.value.handler == "opened"


def test_the_work_is_not_done(tmp_path: Path) -> None:
    with pytest.raises(TurnFailed):
        turn_of((tmp_path / "order.txt").touch, make_guard("raise"))
    assert list(tmp_path.iterdir()) == []


def test_a_report_counts_turns_and_tells_each_call_once(caplog: pytest.LogCaptureFixture) -> None:
    impure: list[int] = []
    guard = make_guard("report", lambda: impure.append(1))
    for _ in range(3):
        turn_of(opens_a_file, guard)
    assert len(impure) == 3
    assert len(caplog.messages) == 1
    assert "Acting.opened called open(" in caplog.messages[0]


def test_a_guard_that_is_off_lets_all_pass(caplog: pytest.LogCaptureFixture) -> None:
    turn_of(opens_a_file, make_guard("off"))
    assert caplog.messages == []


def test_a_turn_after_an_impure_one_is_judged_by_itself() -> None:
    guard = make_guard("raise")
    with pytest.raises(TurnFailed):
        turn_of(opens_a_file_and_hides_it, guard)
    assert turn_of(lambda: None, guard).name == "opened"


def test_an_address_is_found_where_the_user_asks_for_it() -> None:
    with pytest.raises(TurnFailed, match=r"called id\(\)"):
        turn_of(lambda: id(guarded_state), make_guard("raise"))


guarded_state = object()


# What is not.


class Remembered:
    """Does work when it is thrown away; only the collector does that, for it holds itself."""

    def __init__(self) -> None:
        self.me = self

    def __del__(self) -> None:
        SOMEWHERE.read_bytes()


def test_what_the_collector_throws_away_is_not_the_turns_doing() -> None:
    Remembered()
    turn_of(gc.collect, make_guard("raise"))


def test_the_library_may_ask_for_addresses() -> None:
    turn_of(lambda: (copy.deepcopy([1, [2]]), repr(Opened("a"))), make_guard("raise"))


def test_an_import_is_reported_and_not_raised(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delitem(sys.modules, "_strptime", raising=False)
    turn_of(lambda: datetime.strptime("2026", "%Y").replace(tzinfo=UTC), make_guard("raise"))
    assert any("import('_strptime')" in message for message in caplog.messages)


def test_a_time_zone_may_be_looked_up(caplog: pytest.LogCaptureFixture) -> None:
    zoneinfo.ZoneInfo.clear_cache()
    turn_of(lambda: zoneinfo.ZoneInfo("Europe/Berlin"), make_guard("raise"))
    assert all("looks up a time zone" in message for message in caplog.messages)


def test_nothing_is_guarded_outside_of_turns() -> None:
    turn_of(lambda: None, make_guard("raise"))
    opens_a_file()


def test_other_threads_work_while_a_turn_runs() -> None:
    begun, done = threading.Event(), threading.Event()

    def work() -> None:
        begun.wait()
        opens_a_file()
        done.set()

    worker = threading.Thread(target=work)
    worker.start()

    def wait_for_it() -> None:
        begun.set()
        done.wait(5)

    turn_of(wait_for_it, make_guard("raise"))
    worker.join()
    assert done.is_set()


def test_a_log_line_is_let_pass() -> None:
    turn_of(lambda: logging.getLogger("orders").error("placed"), make_guard("raise"))


# What its author allowed.


@allows("LAW04", reason="the file never changes")
def opens_a_file_with_leave() -> None:
    opens_a_file()


def test_a_function_that_is_allowed_to_work_works() -> None:
    turn_of(opens_a_file_with_leave, make_guard("raise"))


def test_a_handler_that_is_allowed_to_work_works() -> None:
    class Acting(ProcessManager, name="acting", key="key"):
        @allows("LAW04", reason="the file never changes")
        @starts
        def opened(self, opened: Opened) -> None:
            opens_a_file()

    run_turn(compile_definition(Acting), Acting(), Opened("a"), "unstarted", no_envelope, 10, make_guard("raise"))


def test_a_process_that_is_allowed_to_work_works() -> None:
    @allows("LAW04", reason="the file never changes")
    class Acting(ProcessManager, name="acting", key="key"):
        @starts
        def opened(self, opened: Opened) -> None:
            opens_a_file()

    run_turn(compile_definition(Acting), Acting(), Opened("a"), "unstarted", no_envelope, 10, make_guard("raise"))


# One hook for the process.


def in_a_new_process(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    return (done.stdout + done.stderr).strip()


def test_the_hook_is_installed_once_and_only_when_it_is_needed() -> None:
    program = """
import sys
added = []
sys.addaudithook(lambda event, arguments: added.append(event) if event == "sys.addaudithook" else None)
from procession.engine.guard import make_guard
make_guard("off")
before = len(added)
make_guard("report"), make_guard("raise"), make_guard("report")
print(before, len(added))
"""
    assert in_a_new_process(program) == "0 1"


def test_a_hook_that_is_refused_is_told() -> None:
    program = """
import sys
def refuse(event, arguments):
    if event == "sys.addaudithook":
        raise RuntimeError
sys.addaudithook(refuse)
from procession.engine.guard import make_guard
make_guard("raise")
"""
    assert "turns are not guarded" in in_a_new_process(program)


# In a runtime.


def settings_of(guard: str) -> Settings:
    return Settings(purity=PuritySettings(guard="raise" if guard == "raise" else "report"))


async def test_an_impure_turn_leads_to_quarantine_without_a_second_try(
    autojump_clock: trio.testing.MockClock,
) -> None:
    tries: list[int] = []

    def tries_to_open_a_file() -> None:
        tries.append(1)
        opens_a_file_and_hides_it()

    process = process_of(tries_to_open_a_file)
    async with open_runtime(
        MemoryJournal(), processes=[process], gateways=[Teller()], settings=settings_of("raise")
    ) as runtime:
        await runtime.publish(Opened("a"))
        await runtime.drain()
        (flow,) = await runtime.flows(process)
        assert flow.status == "quarantined"
        assert "Acting.opened called open(" in (flow.reason or "")
        assert runtime.counters()["procession_turns_impure"] == len(tries) == 1


async def test_a_runtime_reports_by_default(autojump_clock: trio.testing.MockClock) -> None:
    process = process_of(opens_a_file)
    async with open_runtime(MemoryJournal(), processes=[process], gateways=[Teller()]) as runtime:
        await runtime.publish(Opened("a"))
        await runtime.drain()
        (flow,) = await runtime.flows(process)
        assert flow.status == "active"
        assert runtime.counters()["procession_turns_impure"] == 1


async def test_encoding_is_not_guarded(autojump_clock: trio.testing.MockClock) -> None:
    process = process_of(lambda: None)
    async with open_runtime(
        MemoryJournal(), processes=[process], gateways=[Teller()], settings=settings_of("raise")
    ) as runtime:
        await runtime.publish(Opened("a"))
        await runtime.drain()
        assert runtime.counters()["procession_commands_answered"] == 1


async def test_a_fold_of_the_past_is_guarded(autojump_clock: trio.testing.MockClock) -> None:
    acts: list[Callable[[], object]] = []

    class Folding(ProcessManager, name="folding", key="key"):
        @folds
        def was_opened(self, opened: Opened) -> Folding:
            for act in acts:
                act()
            return self

        @starts
        def opened(self, opened: Opened) -> None: ...

        @on
        def told(self, told: Told) -> None: ...

    journal = MemoryJournal()
    async with open_runtime(journal, processes=[Folding], settings=settings_of("raise")) as runtime:
        await runtime.publish(Opened("a"))
    acts.append(opens_a_file)
    async with open_runtime(journal.reopened(), processes=[Folding], settings=settings_of("raise")) as runtime:
        await runtime.publish(Told("a"))
        await runtime.drain()
        (flow,) = await runtime.flows(Folding)
        assert "Folding.was_opened called open(" in (flow.reason or "")


async def test_pure_turns_raise_whatever_the_settings_say(autojump_clock: trio.testing.MockClock) -> None:
    process = process_of(lambda: os.environ.get("SHOP"))
    with pure_turns():
        async with open_runtime(MemoryJournal(), processes=[process], gateways=[Teller()]) as runtime:
            await runtime.publish(Opened("a"))
            await runtime.drain()
            (flow,) = await runtime.flows(process)
            assert "called os.environ in a turn" in (flow.reason or "")
