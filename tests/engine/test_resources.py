"""What gateways need: opened in order before anything runs, closed in the reverse order after all; refused by name."""

from __future__ import annotations

import contextlib
import functools
import logging
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path

import attrs
import pytest
import trio

from procession import (
    Command,
    Effects,
    Event,
    Gateway,
    Injector,
    Intake,
    ProcessManager,
    Runtime,
    Settings,
    ends,
    open_runtime,
    starts,
)
from procession.errors import WiringError
from procession.journal.sqlite import open_sqlite
from procession.journal.sqlite_reader import read_sqlite
from procession.journal_errors import JournalOwned
from procession.primitives.resources import ResourceFailed, is_factory
from procession.settings import ResourcesSettings


class ParcelBooked(Event, name="resources.parcel_booked"):
    parcel_id: str


class ParcelWeighed(Event, name="resources.parcel_weighed"):
    parcel_id: str
    by: str


class WeighParcel(Command, name="resources.weigh_parcel"):
    parcel_id: str


class LabelPrinted(Event, name="resources.label_printed"):
    parcel_id: str
    by: str


class PrintLabel(Command, name="resources.print_label"):
    parcel_id: str


class Parcel(ProcessManager, name="resources.parcel", key="parcel_id"):
    @starts
    def weigh(self, booked: ParcelBooked) -> Effects:
        yield WeighParcel(booked.parcel_id)

    @ends
    def weighed(self, weighed: ParcelWeighed) -> None: ...


class LabelledParcel(ProcessManager, name="resources.labelled_parcel", key="parcel_id"):
    @starts
    def weigh(self, booked: ParcelBooked) -> Effects:
        yield PrintLabel(booked.parcel_id)

    @ends
    def printed(self, printed: LabelPrinted) -> None: ...


@attrs.define(eq=False)
class Scale:
    """What a gateway talks to."""

    said: list[str]
    name: str = "scale"

    def weigh(self, parcel_id: str) -> str:
        self.said.append(f"{self.name} weighs {parcel_id}")
        return f"{self.name} {id(self)}"


class Weighing(Gateway, name="resources.weighing", attempts_max=1):
    scale: Scale

    async def weigh(self, command: WeighParcel) -> ParcelWeighed:
        return ParcelWeighed(command.parcel_id, self.scale.weigh(command.parcel_id))


class Printing(Gateway, name="resources.printing"):
    scale: Scale
    copies: int = 1

    async def print_label(self, command: PrintLabel) -> LabelPrinted:
        return LabelPrinted(command.parcel_id, self.scale.weigh(command.parcel_id))


class Telling:
    """Resources that say when they are opened and closed."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def of(
        self, name: str, closing: Exception | None = None
    ) -> Callable[[], contextlib.AbstractAsyncContextManager[Scale]]:
        """A factory of a scale."""

        @contextlib.asynccontextmanager
        async def opening() -> AsyncIterator[Scale]:
            self.said.append(f"open {name}")
            await trio.lowlevel.checkpoint()
            try:
                yield Scale(self.said, name)
            finally:
                await trio.lowlevel.checkpoint()
                self.said.append(f"close {name}")
                if closing is not None:
                    raise closing

        return opening


@pytest.fixture
def telling() -> Telling:
    return Telling()


def wired(
    path: Path, resources: Mapping[str, object], settings: Settings | None = None
) -> contextlib.AbstractAsyncContextManager[Runtime]:
    return open_runtime(path / "j.db", processes=[Parcel], gateways=[Weighing], resources=resources, settings=settings)


async def book(runtime: Runtime, parcel_id: str, process: type[ProcessManager] = Parcel) -> None:
    await runtime.publish(ParcelBooked(parcel_id), id=parcel_id)
    await runtime.flow(process, parcel_id).wait_ended()


async def test_a_gateway_class_gets_its_field_from_an_opened_resource(tmp_path: Path, telling: Telling) -> None:
    async with wired(tmp_path, {"scale": telling.of("scale")}) as runtime:
        await book(runtime, "a")
    assert telling.said == ["open scale", "scale weighs a", "close scale"]


async def test_a_plain_value_is_passed_as_it_is(tmp_path: Path) -> None:
    scale = Scale([])
    async with wired(tmp_path, {"scale": scale}) as runtime:
        await book(runtime, "a")
    assert scale.said == ["scale weighs a"]


async def test_resources_open_after_what_they_need_and_close_in_the_reverse_order(
    tmp_path: Path, telling: Telling
) -> None:
    @contextlib.asynccontextmanager
    async def open_scale(bench: Scale, dsn: str) -> AsyncIterator[Scale]:
        async with telling.of(f"scale on {bench.name} at {dsn}")() as scale:
            yield scale

    resources = {"scale": open_scale, "dsn": "tcp", "bench": telling.of("bench")}
    async with wired(tmp_path, resources):
        pass
    assert telling.said == ["open bench", "open scale on bench at tcp", "close scale on bench at tcp", "close bench"]


async def test_a_resource_is_closed_after_the_last_call_and_the_last_commit(tmp_path: Path, telling: Telling) -> None:
    path = tmp_path / "j.db"

    @contextlib.asynccontextmanager
    async def open_scale() -> AsyncIterator[Scale]:
        yield Scale(telling.said)
        # The journal is closed, and owned until what the owner opened is closed as well.
        reader = await read_sqlite(path)
        flow = ("resources.parcel", "a")
        found = (await reader.look_up((), (flow,))).flows[flow]
        await reader.close()
        telling.said.append(f"closed when {found.status}")
        with pytest.raises(JournalOwned):
            await open_sqlite(path, clock_us=lambda: 0)

    async with wired(tmp_path, {"scale": open_scale}) as runtime:
        await runtime.publish(ParcelBooked("a"), id="a")
    assert telling.said == ["scale weighs a", "closed when ended"]


async def test_a_sync_context_manager_and_a_class_and_a_partial_make_resources_too(
    tmp_path: Path, telling: Telling
) -> None:
    class Bench:
        def __init__(self, said: list[str]) -> None:
            self.said = said

        def __enter__(self) -> Scale:
            self.said.append("open")
            return Scale(self.said, "bench")

        def __exit__(self, *error: object) -> None:
            self.said.append("close")

    async with wired(tmp_path, {"scale": Bench, "said": telling.said}) as runtime:
        await book(runtime, "a")
    async with wired(tmp_path, {"scale": functools.partial(Bench, telling.said)}) as runtime:
        await book(runtime, "b")
    assert telling.said == ["open", "bench weighs a", "close", "open", "bench weighs b", "close"]


async def test_two_gateways_of_one_runtime_share_a_resource_and_two_runtimes_share_none(
    tmp_path: Path, telling: Telling
) -> None:
    async def weighed_by(name: str) -> set[str]:
        async with open_runtime(
            tmp_path / name,
            processes=[Parcel, LabelledParcel],
            gateways=[Weighing, Printing],
            resources={"scale": telling.of(name)},
        ) as runtime:
            await runtime.publish(ParcelBooked("a"), id="a")
            await runtime.drain()
            events = [found.event for found in await runtime.events()]
            await trio.sleep(0.01)  # both runtimes are open at one time
            return {event.by for event in events if isinstance(event, ParcelWeighed | LabelPrinted)}

    found: list[set[str]] = []

    async def run(name: str) -> None:
        found.append(await weighed_by(name))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(run, "one")
        nursery.start_soon(run, "two")
    first, second = found
    assert len(first) == len(second) == 1
    assert first != second


async def test_a_field_with_a_default_is_filled_where_there_is_a_resource(tmp_path: Path) -> None:
    made: list[int] = []

    class Copying(Printing, name="resources.copying"):
        def __attrs_post_init__(self) -> None:
            made.append(self.copies)

    for resources in ({"scale": Scale([])}, {"scale": Scale([]), "copies": 3}):
        async with open_runtime(
            tmp_path / f"{len(made)}.db", processes=[LabelledParcel], gateways=[Copying], resources=resources
        ):
            pass
    assert made == [1, 3]


async def test_an_injector_class_gets_its_fields_too(tmp_path: Path, telling: Telling) -> None:
    class Booking(Injector, name="resources.booking"):
        scale: Scale

        async def run(self, publish: Intake) -> None:
            await publish(ParcelBooked(self.scale.name), id="1", source="booking")

    async with open_runtime(
        tmp_path / "j.db",
        processes=[Parcel],
        gateways=[Weighing],
        injectors=[Booking],
        resources={"scale": telling.of("shared")},
    ) as runtime:
        await runtime.flow(Parcel, "shared").wait_ended()
    assert telling.said == ["open shared", "shared weighs shared", "close shared"]


# What can't work is refused before the journal is touched.


@contextlib.asynccontextmanager
async def open_a(b: object) -> AsyncIterator[object]:
    yield b


@contextlib.asynccontextmanager
async def open_b(scale: object) -> AsyncIterator[object]:
    yield scale


async def not_decorated() -> AsyncIterator[Scale]:
    yield Scale([])


async def no_manager() -> Scale:
    return Scale([])


def plain_generator() -> Iterator[Scale]:
    yield Scale([])


def by_position(scale: object, /) -> object:
    return scale


@contextlib.contextmanager
def open_text() -> Iterator[str]:
    yield "no scale"


REFUSED: list[tuple[dict[str, object], str]] = [
    ({}, r"gateway Weighing \(.*test_resources.py:\d+\) needs 'scale', which is no resource; give resources="),
    ({"scales": Scale([])}, r"needs 'scale', which is no resource; .*did you mean 'scales'\?"),
    ({"scale": Scale([]), "dsn": "tcp"}, r"resource 'dsn' is used by no gateway .*; remove it, or give the class"),
    ({"scale": Scale([]), "dsn": 1, "host": 2}, r"resources 'dsn', 'host' are used by no gateway"),
    ({"scale": open_a, "b": open_b}, r"resources need each other in a circle: (scale -> b -> scale|b -> scale -> b)"),
    ({"scale": open_a}, r"resource 'scale' \(.*open_a\) needs 'b', which is no resource"),
    ({"scale": "kitchen"}, r"takes scale: Scale, but resource 'scale' is a str; give it a Scale, or a factory of one"),
    ({"scale": open_text}, r"takes scale: Scale, but resource 'scale' is a str"),
    ({"scale": not_decorated}, r"yields, but is no context manager; put @contextlib.asynccontextmanager over it"),
    ({"scale": plain_generator}, r"yields, but is no context manager; put @contextlib.contextmanager over it"),
    ({"scale": no_manager}, r"is an `async def`, which returns no context manager; yield the resource"),
    ({"scale": by_position}, r"the parameters of resource 'scale' .* can't be read: parameter 'scale' takes no name"),
    ({"scale": iter}, r"the parameters of resource 'scale' \(builtins.iter\) can't be read: .*; wrap it in a function"),
    ({"scale": lambda: 3}, r"resource 'scale' made a int, which is no context manager; return one, such as"),
]


@pytest.mark.parametrize(("resources", "sentence"), REFUSED)
async def test_what_can_not_be_wired_is_refused_and_the_journal_is_not_touched(
    tmp_path: Path, resources: dict[str, object], sentence: str
) -> None:
    with pytest.raises(WiringError, match=sentence):
        async with wired(tmp_path, resources):
            pass
    assert list(tmp_path.glob("j.db")) == []


async def test_a_bool_is_no_number(tmp_path: Path) -> None:
    with pytest.raises(WiringError, match="takes copies: int, but resource 'copies' is a bool"):
        async with open_runtime(
            tmp_path / "j.db",
            processes=[LabelledParcel],
            gateways=[Printing],
            resources={"scale": Scale([]), "copies": True},
        ):
            pass


async def test_a_resource_that_only_an_instance_could_have_used_is_unused(tmp_path: Path) -> None:
    with pytest.raises(WiringError, match="'scale' is used by no gateway or injector that is given as a class"):
        async with open_runtime(
            tmp_path / "j.db", processes=[Parcel], gateways=[Weighing(Scale([]))], resources={"scale": Scale([])}
        ):
            pass


# What fails, and when.


async def test_an_opening_that_fails_closes_what_was_opened_before(tmp_path: Path, telling: Telling) -> None:
    class OpenScale(contextlib.AbstractAsyncContextManager[Scale]):
        def __init__(self, bench: Scale) -> None: ...

        async def __aenter__(self) -> Scale:
            raise ConnectionRefusedError("no scale here")

        async def __aexit__(self, *error: object) -> None: ...

    with pytest.raises(ResourceFailed, match="'scale' could not be opened: ConnectionRefusedError: no scale") as caught:
        async with wired(tmp_path, {"scale": OpenScale, "bench": telling.of("bench")}):
            pass
    assert isinstance(caught.value.__cause__, ConnectionRefusedError)
    assert telling.said == ["open bench", "close bench"]
    assert list(tmp_path.glob("j.db")) == []


async def test_an_opening_has_a_time_limit(tmp_path: Path, telling: Telling, autojump_clock: trio.abc.Clock) -> None:
    @contextlib.asynccontextmanager
    async def open_scale(bench: Scale) -> AsyncIterator[Scale]:
        await trio.sleep(60)
        yield bench

    settings = Settings(resources=ResourcesSettings(open_s=3))
    with pytest.raises(ResourceFailed, match=r"'scale' was not open after 3 s; mend it, or raise resources\.open_s"):
        async with wired(tmp_path, {"scale": open_scale, "bench": telling.of("bench")}, settings=settings):
            pass
    assert trio.current_time() < 10
    assert telling.said == ["open bench", "close bench"]


async def test_a_slow_resource_in_use_meets_no_time_limit(
    tmp_path: Path, telling: Telling, autojump_clock: trio.abc.Clock
) -> None:
    settings = Settings(resources=ResourcesSettings(open_s=3, close_s=3))
    async with wired(tmp_path, {"scale": telling.of("scale")}, settings=settings) as runtime:
        await trio.sleep(100)
        await book(runtime, "a")
    assert telling.said == ["open scale", "scale weighs a", "close scale"]


async def test_a_closing_has_a_time_limit_and_the_others_are_closed(
    tmp_path: Path, telling: Telling, autojump_clock: trio.abc.Clock
) -> None:
    @contextlib.asynccontextmanager
    async def open_scale(bench: Scale) -> AsyncIterator[Scale]:
        yield bench
        await trio.sleep_forever()

    settings = Settings(resources=ResourcesSettings(close_s=3))
    with pytest.raises(ResourceFailed, match=r"'scale' was not closed after 3 s; raise resources\.close_s"):
        async with wired(tmp_path, {"scale": open_scale, "bench": telling.of("bench")}, settings=settings):
            pass
    assert telling.said == ["open bench", "close bench"]


async def test_an_error_of_closing_does_not_hide_the_first(tmp_path: Path, telling: Telling) -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        async with wired(tmp_path, {"scale": telling.of("scale", closing=OSError("stuck"))}):
            raise ZeroDivisionError
    assert caught.value.__notes__ == ["resource 'scale' could not be closed: OSError: stuck; mend how it closes"]


async def test_an_error_of_closing_alone_is_raised_after_all_are_closed(
    tmp_path: Path, telling: Telling, caplog: pytest.LogCaptureFixture
) -> None:
    @contextlib.asynccontextmanager
    async def open_scale(bench: Scale) -> AsyncIterator[Scale]:
        yield bench
        raise OSError("stuck")

    with caplog.at_level(logging.ERROR), pytest.raises(ResourceFailed, match="'scale' could not be closed: OSError"):
        async with wired(tmp_path, {"scale": open_scale, "bench": telling.of("bench", OSError("stuck too"))}):
            pass
    assert telling.said == ["open bench", "close bench"]
    assert [record.message.partition(";")[0] for record in caplog.records] == [
        "resource 'scale' could not be closed: OSError: stuck",
        "resource 'bench' could not be closed: OSError: stuck too",
    ]


async def test_a_cancelled_host_closes_all_in_order(tmp_path: Path, telling: Telling) -> None:
    @contextlib.asynccontextmanager
    async def open_scale(bench: Scale) -> AsyncIterator[Scale]:
        async with telling.of("scale")() as scale:
            yield scale

    with trio.CancelScope() as scope:
        async with wired(tmp_path, {"scale": open_scale, "bench": telling.of("bench")}):
            scope.cancel()
            await trio.sleep_forever()
    assert telling.said == ["open bench", "open scale", "close scale", "close bench"]


async def test_a_resource_may_hold_a_nursery_whose_failure_ends_the_runtime(tmp_path: Path, telling: Telling) -> None:
    broken = trio.Event()

    async def watch() -> None:
        await broken.wait()
        raise ConnectionResetError("gone")

    @contextlib.asynccontextmanager
    async def open_scale(bench: Scale) -> AsyncIterator[Scale]:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(watch)
            yield bench

    async def use() -> None:
        async with wired(tmp_path, {"scale": open_scale, "bench": telling.of("bench")}) as runtime:
            await book(runtime, "a")
            broken.set()
            await trio.sleep_forever()

    with pytest.raises(ResourceFailed, match="'scale' failed while it was in use: ConnectionResetError: gone"):
        await use()
    assert telling.said == ["open bench", "bench weighs a", "close bench"]


async def test_a_resource_that_ends_of_itself_is_missed(tmp_path: Path, telling: Telling) -> None:
    let_go = trio.Event()

    @contextlib.asynccontextmanager
    async def open_scale() -> AsyncIterator[Scale]:
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:

                async def leave() -> None:
                    await let_go.wait()
                    scope.cancel()

                nursery.start_soon(leave)
                yield Scale([])

    async def use() -> None:
        async with wired(tmp_path, {"scale": open_scale}):
            let_go.set()
            await trio.sleep_forever()

    with pytest.raises(ResourceFailed, match="'scale' ended of itself while it was in use"):
        await use()


def test_every_kind_of_callable_is_told_from_a_value() -> None:
    class Calls:
        def __call__(self) -> None: ...

    factories: list[Callable[..., object]] = [Scale, open_a, functools.partial(Scale, []), "".join, len]
    assert [is_factory(one) for one in factories] == [True] * len(factories)
    assert not is_factory(Calls())
