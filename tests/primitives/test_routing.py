"""Which flows an event concerns, and which handler it meets there."""

from __future__ import annotations

import enum
from collections.abc import Iterator

import hypothesis
import pytest
from hypothesis import strategies as st

from procession import (
    CancelRequested,
    Command,
    CommandGivenUp,
    Envelope,
    Event,
    ProcessManager,
    ends,
    folds,
    on,
    starts,
)
from procession.errors import InvalidKey
from procession.primitives.definition import KEY_BYTES_MAX, Definition, compile_definition


class Kind(str, enum.Enum):  # noqa: UP042 - its str() is not its value, which is the point
    SMALL = "small"


class Keyed(Event, name="test.keyed"):
    key: str | int | bytes | bool | float | Kind | tuple[str | int, ...] | None


class Charge(Command, name="test.charge"):
    key: str


class Ship(Command, name="test.ship"):
    key: str


class Pack(Command, name="test.pack"):
    key: str


class Ordered(ProcessManager, name="ordered", key="key"):
    @starts
    def keyed(self, keyed: Keyed) -> None: ...


@pytest.fixture
def ordered() -> Definition:
    return compile_definition(Ordered)


@pytest.mark.parametrize(
    ("key", "keys"),
    [
        ("421", ("421",)),
        (421, ("421",)),
        (-1, ("-1",)),
        ("ü/ \n'", ("ü/ \n'",)),
        (" ", (" ",)),
        (Kind.SMALL, ("small",)),
        (("a", 1, "a"), ("a", "1")),
        ((), ()),
        ("x" * KEY_BYTES_MAX, ("x" * KEY_BYTES_MAX,)),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_a_key_is_taken_as_it_is(ordered: Definition, key: str, keys: tuple[str, ...]) -> None:
    assert ordered.keys(Keyed(key)) == keys


@pytest.mark.parametrize(
    ("key", "found"),
    [
        ("", "is empty"),
        (None, "is NoneType"),
        (True, "is bool"),
        (1.5, "is float"),
        (b"421", "is bytes"),
        ("a\x00b", "holds a NUL character"),
        ("\ud800", "is no valid text"),
        ("x" * (KEY_BYTES_MAX + 1), "has 513 bytes"),
        ("ü" * KEY_BYTES_MAX, "has 1024 bytes"),
        (("a", ""), "is empty"),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_what_is_no_key_is_refused(ordered: Definition, key: str, found: str) -> None:
    with pytest.raises(InvalidKey) as refused:
        ordered.keys(Keyed(key))
    assert (refused.value.type, refused.value.process, refused.value.found) == ("test.keyed", "ordered", found)


@hypothesis.given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=128))
def test_any_text_in_bounds_is_its_own_key(key: str) -> None:
    assert compile_definition(Ordered).keys(Keyed(key)) == (key,)


def test_a_function_may_yield_several_keys() -> None:
    def each(keyed: Keyed) -> Iterator[str]:
        yield "a"
        yield "b"

    class Several(ProcessManager, name="several", key=each):
        @starts
        def keyed(self, keyed: Keyed) -> None: ...

    assert compile_definition(Several).keys(Keyed("421")) == ("a", "b")


def test_a_function_that_raises_gives_no_key() -> None:
    def broken(keyed: Keyed) -> Iterator[str]:
        yield "a"
        raise RuntimeError("no key")

    class Broken(ProcessManager, name="broken", key=broken):
        @starts
        def keyed(self, keyed: Keyed) -> None: ...

    with pytest.raises(InvalidKey, match=r"can't be computed \(RuntimeError\('no key'\)\)"):
        compile_definition(Broken).keys(Keyed("421"))


def test_a_handler_may_name_a_key_of_its_own() -> None:
    class Own(ProcessManager, name="own", key=lambda _: "default"):
        @starts(key="key")
        def keyed(self, keyed: Keyed) -> None: ...

    assert compile_definition(Own).keys(Keyed("421")) == ("421",)


class Many(ProcessManager, name="many", key="key", missing="wait", late="ignore", concerns=(Keyed,)):
    amount: int = 0

    @folds
    def counted(self, keyed: Keyed) -> Many:
        return self.evolve(amount=self.amount + 1)

    @on(missing="start")
    def keyed(self, keyed: Keyed, envelope: Envelope) -> None: ...

    @on
    def not_charged(self, lost: CommandGivenUp[Charge]) -> None: ...

    @ends(outcome="lost", late="record")
    def not_delivered(self, lost: CommandGivenUp[Ship] | CancelRequested) -> None: ...


def given_up(command: Command) -> CommandGivenUp[Command]:
    return CommandGivenUp(command, "c1", "unknown", 1, "")


@pytest.mark.parametrize(
    ("event", "name"),
    [
        (Keyed("421"), "keyed"),
        (given_up(Charge("421")), "not_charged"),
        (given_up(Ship("421")), "not_delivered"),
        (CancelRequested("ann", "moved"), "not_delivered"),
    ],
    ids=["event", "charge given up", "ship given up", "cancel"],
)
def test_an_event_meets_the_handler_of_its_type(event: Event, name: str) -> None:
    reaction = compile_definition(Many).reaction(event)
    assert reaction is not None
    assert reaction.name == name


def test_a_command_given_up_meets_no_handler_of_another_command() -> None:
    assert compile_definition(Many).reaction(given_up(Pack("421"))) is None


def test_only_own_events_are_not_routed_by_key() -> None:
    assert compile_definition(Many).concerned == {Keyed}


def test_handlers_override_the_policies_of_the_process() -> None:
    reactions = compile_definition(Many).reactions
    assert {(reaction.missing, reaction.late) for reaction in reactions.values()} == {
        ("start", "ignore"),
        ("wait", "ignore"),
        ("wait", "record"),
    }


def test_a_process_says_whether_it_compensates() -> None:
    assert (compile_definition(Many).handles_cancel(), compile_definition(Ordered).handles_cancel()) == (True, False)


def test_a_type_without_a_handler_is_only_seen() -> None:
    class Watching(ProcessManager, name="watching", key="key", concerns=(Keyed,)):
        @on(missing="start")
        def cancelled(self, cancelled: CancelRequested) -> None: ...

    assert compile_definition(Watching).reactions[Keyed].name == "seen"
