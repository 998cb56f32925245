"""What foreign code raises ends no runtime, be it meant to end a process, or not fit to be shown."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio
import trio.testing

from procession import (
    Aggregate,
    Attempt,
    Command,
    Effects,
    Event,
    Gateway,
    History,
    Injector,
    Intake,
    ProcessManager,
    Projector,
    Runtime,
    Settings,
    Store,
    applies,
    decides,
    invariant,
    lifts,
    on,
    open_runtime,
    projects,
    starts,
)
from procession.errors import InvalidPayload, PublishRefused, WiringError
from procession.journal.memory import MemoryJournal
from procession.primitives.codec import Codec
from procession.primitives.resources import ResourceFailed
from procession.projection_errors import ProjectionStopped
from procession.send_errors import DecisionFailed
from procession.settings import SupervisionSettings
from procession.wiring import load_wiring
from tests.engine.tally import Asked, Broken, Desk, Done, Opened, Tally, Work, opened, settings


class ShyError(ValueError):
    def __str__(self) -> str:
        raise SystemExit(1)


ERRORS = [
    SystemExit("out"),
    GeneratorExit(),
    asyncio.CancelledError(),
    ShyError(),
    BaseExceptionGroup("", [SystemExit()]),
]
ONCE = settings(gateways={"attempts_max": 1, "timeout_s": 1.0})


class ShyTally(Tally, name="tally", key="key"):
    @on
    def mended(self, broken: Broken) -> Effects:
        raise ShyError


async def reason_of(process: type[Tally], desk: Desk, event: Event) -> str:
    """Why the flow that met this was set aside, while another went on."""
    async with opened(MemoryJournal(), processes=[process], gateways=[desk], settings=ONCE) as runtime:
        await runtime.publish([Opened("bad"), Opened("well"), event])
        await runtime.drain()
        assert (await runtime.flow(process, "well").summary()).status == "active"
        bad = await runtime.flow(process, "bad").summary()
        assert bad.status == "quarantined"
        return bad.reason or ""


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
async def test_whatever_a_call_raises_is_a_failed_attempt(
    error: BaseException, autojump_clock: trio.testing.MockClock
) -> None:
    async def answer(command: Work, attempt: Attempt) -> Done:
        raise error

    assert type(error).__name__ in await reason_of(Tally, Desk(answer=answer), Asked("bad", (1,)))


async def test_what_a_call_in_a_thread_raises_is_a_failed_attempt() -> None:
    class Clerk(Gateway, name="desk"):
        def work(self, command: Work) -> Done:
            raise SystemExit(3)

    patient = settings(gateways={"attempts_max": 1, "timeout_s": 30.0})  # a thread may take its time
    async with opened(MemoryJournal(), gateways=[Clerk()], settings=patient) as runtime:
        await runtime.publish([Opened("bad"), Asked("bad", (1,))])
        await runtime.drain()
        assert "SystemExit: 3" in ((await runtime.flow(Tally, "bad").summary()).reason or "")


async def test_what_a_call_raises_beside_its_cancellation_is_a_time_out(autojump_clock: trio.testing.MockClock) -> None:
    async def fails_at_its_end() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise ConnectionError("while it was cancelled")

    async def answer(command: Work, attempt: Attempt) -> Done:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(fails_at_its_end)
            nursery.start_soon(trio.sleep_forever)
        return Done(command.key, command.number)

    assert "no answer within 1 s" in await reason_of(Tally, Desk(answer=answer), Asked("bad", (1,)))


async def test_an_error_that_can_not_be_shown_sets_its_flow_aside(autojump_clock: trio.testing.MockClock) -> None:
    assert "ShyError that can't be shown: SystemExit" in await reason_of(ShyTally, Desk(), Broken("bad", 1))


class Bolt(Event, name="bolt.made"):
    bolt: str
    size: int = attrs.field(default=1)

    def __attrs_post_init__(self) -> None:
        if self.size > 9:
            sys.exit("too big")


class OldBolt(Event, name="bolt.forged"):
    bolt: str


class BoltSorted(Event, name="bolt.sorted"):
    bolt: str


class SortBolt(Command, name="bolt.sort"):
    bolt: str


@lifts
def newer(old: OldBolt) -> Bolt:
    sys.exit("no lift")


class Box(Aggregate, name="bolt.box", key="bolt"):
    @applies
    def was_sorted(self, event: BoltSorted) -> Box:
        return self

    @decides
    def sort(self, command: SortBolt) -> BoltSorted:
        sys.exit("no box")


def key_of(event: Event) -> str:
    """Of one bolt it can't be told."""
    bolt: str = getattr(event, "bolt", "")
    if bolt == "keyless":
        sys.exit("no key")
    return bolt


class Sorting(ProcessManager, name="sorting", key=key_of):
    @starts
    def ask(self, made: Bolt) -> Effects:
        yield SortBolt(made.bolt)

    @on
    def done(self, done: BoltSorted) -> None: ...


@invariant(Sorting)
def is_sane(history: History) -> bool:
    """Nobody can say."""
    sys.exit("no rule")


class Bolts(Projector, name="bolts", version=1):
    tables = ("create table bolts (bolt text primary key) strict",)

    @projects
    def made(self, made: Bolt, store: Store) -> None:
        sys.exit("no table")


def sorting(
    folder: Path,
    **more: Any,  # noqa: ANN401 - as `open_runtime` takes it
) -> contextlib.AbstractAsyncContextManager[Runtime]:
    quick = SupervisionSettings(restarts_max=1, backoff_initial_s=0.001, backoff_max_s=0.001)
    return open_runtime(
        folder / "bolts.db", processes=[Sorting], aggregates=[Box], settings=Settings(supervision=quick), **more
    )


async def test_what_a_decision_raises_gives_its_command_up(tmp_path: Path) -> None:
    async with sorting(tmp_path) as runtime:
        await runtime.publish(Bolt("m8"))
        await runtime.drain()
        assert "SystemExit: no box" in ((await runtime.flow(Sorting, "m8").summary()).reason or "")
        with pytest.raises(DecisionFailed, match="SystemExit: no box"):
            await runtime.send(SortBolt("m6"))


async def test_what_a_key_raises_refuses_its_event(tmp_path: Path) -> None:
    async with sorting(tmp_path) as runtime:
        with pytest.raises(PublishRefused, match=r"can't be computed .*no key"):
            await runtime.publish(Bolt("keyless"))


async def test_what_a_lift_or_a_validator_raises_refuses_its_event(tmp_path: Path) -> None:
    async with sorting(tmp_path, lifts=[newer]) as runtime:
        with pytest.raises(PublishRefused, match="SystemExit: no lift"):
            await runtime.publish(OldBolt("m8"))
    codec = Codec()
    codec.register(Bolt)
    with pytest.raises(InvalidPayload, match="it raised SystemExit"):
        codec.decode(Bolt, b'{"bolt": "m8", "size": 10}')


async def test_what_an_invariant_raises_is_reported(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with sorting(tmp_path, invariants=[is_sane]) as runtime:
        await runtime.publish(Bolt("m8"))
        await runtime.drain()
    assert "invariant is_sane of sorting/m8 can't be judged: SystemExit: no rule" in caplog.text


async def test_what_a_projector_raises_stops_it_alone(tmp_path: Path) -> None:
    async with sorting(tmp_path, projectors=[Bolts]) as runtime:
        place = await runtime.publish(Bolt("m8"))
        with pytest.raises(ProjectionStopped, match="SystemExit: no table"):
            await runtime.query(Bolts, "select bolt from bolts", at_least=place, timeout_s=30)
        await runtime.publish(Bolt("m6"))


@pytest.mark.parametrize("error", ERRORS[:3], ids=lambda error: type(error).__name__)
async def test_what_an_injector_raises_stops_it_alone(
    tmp_path: Path, error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    class Feeder(Injector, name="feeder"):
        async def run(self, publish: Intake) -> None:
            raise error

    async with sorting(tmp_path, injectors=[Feeder()]) as runtime:
        with trio.fail_after(30):
            while "feeder failed after 1 restarts" not in caplog.text:
                await trio.lowlevel.checkpoint()
        await runtime.publish(Bolt("m6"))
    assert type(error).__name__ in caplog.text


@contextlib.asynccontextmanager
async def never_opens() -> AsyncIterator[int]:
    if sys.argv:
        sys.exit("shut")
    yield 1


@contextlib.asynccontextmanager
async def never_closes() -> AsyncIterator[int]:
    yield 1
    sys.exit("stuck")


class Wrench(Gateway, name="wrench"):
    size: int

    def __attrs_post_init__(self) -> None:
        if self.size > 9:
            sys.exit("no such wrench")

    async def turn(self, command: Work) -> None: ...


@pytest.mark.parametrize(
    ("size", "refusal"),
    [
        (never_opens, "resource 'size' could not be opened: SystemExit: shut"),
        (never_closes, "resource 'size' could not be closed: SystemExit: stuck"),
        (12, "gateway Wrench .* can't be made: SystemExit: no such wrench"),
    ],
)
async def test_what_a_resource_or_its_taker_raises_is_said_by_name(tmp_path: Path, size: object, refusal: str) -> None:
    with pytest.raises((ResourceFailed, WiringError), match=refusal):
        async with sorting(tmp_path, gateways=[Wrench], resources={"size": size}):
            pass
    async with sorting(tmp_path) as runtime:  # and the journal is well
        await runtime.publish(Bolt("m8"))


def test_a_module_that_would_end_the_process_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ending_module.py").write_text("import sys\nsys.exit(0)\n")
    with pytest.raises(WiringError, match=r"'ending_module' can't be imported .SystemExit: 0"):
        load_wiring(Settings(modules=("ending_module",), import_paths=(str(tmp_path),)))
