"""The strategies: what they make can be journaled, belongs to its flow, and keeps the contracts of gateways."""

from __future__ import annotations

import datetime
import decimal
import enum
import uuid
from collections import Counter
from typing import Annotated, Literal, NewType

import attrs
import hypothesis
import pytest
import trio
from hypothesis import strategies as st

from flows import batch_settlement, loan_application, order_fulfilment, user_provisioning
from flows.batch_settlement import Batch
from flows.loan_application import LoanApplication
from flows.order_fulfilment import (
    Order,
    OrderPlaced,
    ParcelShipped,
    PaymentCaptured,
    PaymentDeclined,
    PaymentWindowClosed,
    StockReserved,
)
from flows.user_provisioning import Provisioning
from procession import Command, CommandGivenUp, Effects, Event, Outside, ProcessManager, Settings, on, starts
from procession.journal.memory import MemoryJournal
from procession.primitives.codec import Codec
from procession.primitives.definition import compile_definition
from procession.primitives.gateway import Gateway
from procession.testing import given
from procession.testing.strategies import commands, events, histories, keys
from procession.testing.values import values
from tests.engine.tally import Audit, opened

ORDER_GATEWAYS = order_fulfilment.wire_testing(Settings()).gateways
FEW = hypothesis.settings(max_examples=20)
"""An example here is large, or a whole run."""
FIRST = hypothesis.settings(max_examples=2000, database=None, phases=[hypothesis.Phase.generate])
"""To find one, however large."""

UserId = NewType("UserId", str)


class Colour(enum.Enum):
    RED = "red"
    GREEN = 2


@attrs.frozen
class Leaf:
    weight: decimal.Decimal
    below: tuple[Leaf, ...] = ()


@attrs.frozen
class Link:
    name: str
    following: Link | None


@attrs.frozen
class AtLeast:
    ge: int


@attrs.frozen
class Below:
    lt: int


@attrs.frozen
class Sized:
    min_length: int
    max_length: int


class Everything(Event, name="kit.everything"):
    user: UserId
    number: int
    share: float
    flag: bool
    data: bytes
    amount: decimal.Decimal
    moment: datetime.datetime
    day: datetime.date
    hour: datetime.time
    pause: datetime.timedelta
    identity: uuid.UUID
    colour: Colour
    mode: Literal["fast", "slow", 3]
    maybe: str | None
    either: int | str
    pair: tuple[str, int]
    many: tuple[Colour, ...]
    some: frozenset[int]
    tree: Leaf
    chain: Link | None
    small: Annotated[int, AtLeast(1), Below(4)]
    short: Annotated[str, Sized(2, 3)]
    own: Annotated[str, st.sampled_from(["a", "b"])]
    checked: int = attrs.field(default=0, validator=attrs.validators.ge(0))


class Ask(Command, name="kit.ask"):
    user: UserId
    number: int


class Ambiguous(Event, name="kit.ambiguous"):
    when: datetime.date | str


@FEW
@hypothesis.given(events(Everything))
def test_every_event_is_read_back_as_it_was_written(event: Everything) -> None:
    codec = Codec()
    codec.register(Everything)
    assert codec.decode(Everything, codec.encode(event)) == event


@FEW
@hypothesis.given(events(Everything))
def test_bounds_strategies_and_validators_of_a_field_are_kept(event: Everything) -> None:
    assert 1 <= event.small < 4
    assert 2 <= len(event.short) <= 3
    assert event.own in "ab"
    assert event.checked >= 0


@hypothesis.given(commands(Ask, number=st.just(7)))
def test_a_field_can_have_a_strategy_of_its_own(command: Ask) -> None:
    assert command.number == 7


@hypothesis.given(events(Ambiguous))
def test_what_could_not_be_read_back_is_not_made(event: Ambiguous) -> None:
    codec = Codec()
    codec.register(Ambiguous)
    assert codec.decode(Ambiguous, codec.encode(event)) == event


@hypothesis.given(events(CommandGivenUp[Ask]))
def test_a_command_given_up_holds_a_command_of_its_class(event: CommandGivenUp[Ask]) -> None:
    assert type(event.command) is Ask


def test_several_classes_are_all_made() -> None:
    both = events(OrderPlaced, StockReserved)
    hypothesis.find(both, lambda event: isinstance(event, OrderPlaced), settings=FIRST)
    hypothesis.find(both, lambda event: isinstance(event, StockReserved), settings=FIRST)


def test_a_field_that_no_class_has_is_refused() -> None:
    with pytest.raises(TypeError, match="there is no field 'amount'; fields are amount_cents, article, order_id"):
        events(OrderPlaced, amount=st.just(1))


def test_events_of_no_class_are_refused() -> None:
    with pytest.raises(TypeError, match="name at least one class"):
        events()


def test_a_type_from_which_nothing_can_be_derived_is_refused() -> None:
    with pytest.raises(TypeError, match="nothing can be derived from <class 'object'>; give a strategy"):
        values(object)


@hypothesis.given(keys())
def test_keys_have_1_to_512_bytes_and_no_nul(key: str) -> None:
    assert 1 <= len(key.encode()) <= 512
    assert "\x00" not in key


def test_keys_may_be_as_long_as_they_can_be() -> None:
    hypothesis.find(keys(), lambda key: len(key.encode()) > 100, settings=FIRST)


# Histories.


@pytest.mark.parametrize("process", [Order, Provisioning, Batch, LoanApplication, Audit])
def test_every_event_of_a_history_belongs_to_its_flow(process: type[ProcessManager]) -> None:
    definition = compile_definition(process)

    @FEW
    @hypothesis.given(histories(process, key="421"))
    def belong(history: list[Event]) -> None:
        assert all("421" in definition.keys(event) for event in history)

    belong()


class Counted(Event, name="kit.counted"):
    numbers: tuple[int, ...]


class Counting(ProcessManager, name="kit.counter", key="numbers"):
    @starts
    def counted(self, counted: Counted) -> None: ...


@FEW
@hypothesis.given(histories(Counting))
def test_keys_are_numbers_where_the_fields_that_name_a_flow_are(history: list[Event]) -> None:
    named = [set(compile_definition(Counting).keys(event)) for event in history]
    assert not named or set.intersection(*named)


@pytest.mark.parametrize(
    "shape",
    [
        lambda history: history == [],
        lambda history: bool(history) and not isinstance(history[0], OrderPlaced),
        lambda history: any(isinstance(event, CommandGivenUp) for event in history),
        lambda history: any(isinstance(event, PaymentWindowClosed) for event in history),
        lambda history: max(Counter(map(id, history)).values(), default=0) > 1,
        lambda history: ParcelShipped in map(type, history) and type(history[-1]) is not ParcelShipped,
    ],
    ids=["empty", "not started", "given up", "a deadline", "twice", "after the end"],
)
def test_histories_have_every_shape(shape: object) -> None:
    either = histories(Order, gateways=ORDER_GATEWAYS) | histories(Order)
    assert callable(shape)
    hypothesis.find(either, shape, settings=FIRST)


@hypothesis.given(histories(Order, gateways=ORDER_GATEWAYS, key="421"))
def test_gateways_answer_what_they_were_asked_and_no_more(history: list[Event]) -> None:
    reserved = [event for event in history if isinstance(event, StockReserved)]
    answers = {id(event) for event in history if isinstance(event, PaymentCaptured | PaymentDeclined)}
    assert len(answers) <= len(reserved)


class Ring(Command, name="kit.ring"):
    door: str
    times: int


class Opened(Event, name="kit.opened"):
    door: str


class Rung(Event, name="kit.rung"):
    door: str
    times: int
    loud: bool


class Bell(Gateway, name="kit.bell"):
    async def ring(self, command: Ring) -> tuple[Rung, ...]:
        return ()


class Door(ProcessManager, name="kit.door", key="door"):
    @starts
    def opened(self, opened: Opened) -> Effects:
        yield Ring(opened.door, 3)

    @on
    def rung(self, rung: Rung) -> None: ...


@hypothesis.given(histories(Door, gateways=[Bell], key="front"))
def test_an_answer_has_what_it_has_in_common_with_its_command(history: list[Event]) -> None:
    assert {(event.door, event.times) for event in history if isinstance(event, Rung)} <= {("front", 3)}


def test_a_tuple_of_answers_comes_whole() -> None:
    history = hypothesis.find(
        histories(Door, gateways=[Bell]),
        lambda found: list(map(type, found[:3])) == [Opened, Rung, Rung],
        settings=FIRST,
    )
    assert history[1:3] == [event for event in history if isinstance(event, Rung)][:2]


@hypothesis.given(
    histories(Order, given={OrderPlaced: events(OrderPlaced, amount_cents=st.just(7), order_id=st.just("a"))}, key="a")
)
def test_events_of_a_type_can_have_a_strategy_of_their_own(history: list[Event]) -> None:
    assert {event.amount_cents for event in history if isinstance(event, OrderPlaced)} <= {7}


# What holds of every history.


@pytest.mark.parametrize(
    ("process", "module"),
    [
        (Order, order_fulfilment),
        (Provisioning, user_provisioning),
        (Batch, batch_settlement),
        (LoanApplication, loan_application),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_no_history_breaks_a_reference_flow(process: type[ProcessManager], module: object) -> None:
    gateways = module.wire_testing(Settings()).gateways  # type: ignore[attr-defined]  # each has it

    @FEW
    @hypothesis.given(histories(process, gateways=gateways, key="421"))
    def unbroken(history: list[Event]) -> None:
        given(process, *history, key="421")

    unbroken()


async def steps_of(published: list[Outside]) -> list[tuple[str, str | None]]:
    """What a flow did with these: its steps, with what they asked for; ids within differ from run to run."""
    journal = MemoryJournal()
    async with opened(journal, processes=[Audit], gateways=[]) as runtime:
        for event in published:
            await runtime.publish([event])
        await runtime.drain()
        found = await runtime.journal.load("audit", "a", 1000)
        return [(stepped.step.name, stepped.event.payload) for stepped in found.steps]


@FEW
@hypothesis.given(histories(Audit, key="a"), st.data())
def test_delivering_twice_changes_nothing(history: list[Event], data: st.DataObject) -> None:
    once = [Outside(event, str(number), "kit") for number, event in enumerate(history)]
    again = [event for event in once for _ in range(data.draw(st.integers(1, 3)))]
    assert trio.run(steps_of, again) == trio.run(steps_of, once)
