"""Breaches that are refused when the class is defined, when a runtime opens, or that the check finds in a wiring."""

from __future__ import annotations

import time
from collections.abc import Iterable

import attrs

from procession import (
    Command,
    CommandGivenUp,
    Effects,
    Event,
    FailureEvent,
    History,
    ProcessManager,
    Wiring,
    end,
    ends,
    folds,
    invariant,
    on,
    starts,
)
from tests.laws.planted.breach import Breach
from tests.laws.planted.messages import Declined, Note, Noted, Notes, Paid, Placed


@attrs.define
class Box:
    """It can change."""

    weight_g: int = 0


@attrs.frozen
class SealedBox:
    weight_g: int = 0


def wired(*processes: type[ProcessManager], events: tuple[type[Event], ...] = ()) -> Wiring:
    return Wiring(processes, (Notes(),), events)


# Law 1.


def event_with_list() -> None:
    class Listed(Event, name="planted.listed"):
        items: list[str]


def event_with_tuple() -> None:
    class Listed(Event, name="planted.listed"):
        items: tuple[str, ...]


def event_with_dict() -> None:
    class Mapped(Event, name="planted.mapped"):
        prices: dict[str, int]


def event_with_pairs() -> None:
    class Mapped(Event, name="planted.mapped"):
        prices: tuple[tuple[str, int], ...]


def event_with_set_in_union() -> None:
    class Tagged(Event, name="planted.tagged"):
        tags: tuple[set[str] | None, ...]


def event_with_frozenset_in_union() -> None:
    class Tagged(Event, name="planted.tagged"):
        tags: tuple[frozenset[str] | None, ...]


def event_with_box() -> None:
    class Packed(Event, name="planted.packed"):
        box: Box


def event_with_sealed_box() -> None:
    class Packed(Event, name="planted.packed"):
        box: SealedBox


def event_of_anything() -> None:
    class Filled(Event, name="planted.filled"):
        items: tuple  # type: ignore[type-arg]  # what is to be refused


def imperative_event() -> Wiring:
    class PlaceOrder(Event, name="planted.place_order"):
        order_id: str

    return _followed(PlaceOrder)


def past_event() -> Wiring:
    class OrderWasPlaced(Event, name="planted.order_was_placed"):
        order_id: str

    return _followed(OrderWasPlaced)


def _followed(event: type[Event]) -> Wiring:
    class Following(ProcessManager, name="planted.following", key="order_id"):
        @ends
        def done(self, noted: Noted) -> None: ...

        @on
        def failed(self, declined: Declined) -> None: ...

        @starts(key="order_id")
        def begin(self, event: Event) -> Effects:
            yield Note("o1", "begun")

        begin.__annotations__["event"] = event

    return wired(Following)


# Law 2.


def fold_of_failure() -> None:
    class FoldsFailure(ProcessManager, name="planted.folds_failure", key="order_id"):
        failures: int = 0

        @folds
        def was_declined(self, declined: Declined) -> FoldsFailure:
            return self.evolve(failures=self.failures + 1)


def fold_of_fact() -> None:
    class FoldsFact(ProcessManager, name="planted.folds_fact", key="order_id"):
        notes: int = 0

        @folds
        def was_noted(self, noted: Noted) -> FoldsFact:
            return self.evolve(notes=self.notes + 1)


def fold_of_union() -> None:
    class FoldsUnion(ProcessManager, name="planted.folds_union", key="order_id"):
        notes: int = 0

        @folds
        def was_noted(self, event: Noted | Declined) -> FoldsUnion:
            return self.evolve(notes=self.notes + 1)


def fold_of_facts() -> None:
    class FoldsFacts(ProcessManager, name="planted.folds_facts", key="order_id"):
        notes: int = 0

        @folds
        def was_noted(self, event: Noted | Paid) -> FoldsFacts:
            return self.evolve(notes=self.notes + 1)


def fold_of_given_up() -> None:
    class FoldsGivenUp(ProcessManager, name="planted.folds_given_up", key="order_id"):
        lost: bool = False

        @folds
        def was_lost(self, event: CommandGivenUp[Note]) -> FoldsGivenUp:
            return self.evolve(lost=True)


def reaction_to_given_up() -> None:
    class AnswersGivenUp(ProcessManager, name="planted.answers_given_up", key="order_id"):
        @on
        def lost(self, event: CommandGivenUp[Note]) -> Effects:
            yield end("lost")


def fold_of_inherited_failure() -> None:
    class CardDeclined(Declined, name="planted.card_declined"):
        pass

    class FoldsInherited(ProcessManager, name="planted.folds_inherited", key="order_id"):
        failures: int = 0

        @folds
        def was_declined(self, declined: CardDeclined) -> FoldsInherited:
            return self.evolve(failures=self.failures + 1)


# Laws 3 and 4, at the definition.


def handler_with_more() -> None:
    class TakesMore(ProcessManager, name="planted.takes_more", key="order_id"):
        @starts
        def begin(self, placed: Placed, prices: tuple[int, ...] = ()) -> None: ...


def handler_of_event() -> None:
    class TakesEvent(ProcessManager, name="planted.takes_event", key="order_id"):
        @starts
        def begin(self, placed: Placed) -> None: ...


def handler_async() -> None:
    class Waits(ProcessManager, name="planted.waits_async", key="order_id"):
        @starts
        async def begin(self, placed: Placed) -> None: ...


def _key_by_clock(placed: Placed) -> str:
    return str(time.time_ns())


def _key_by_field(placed: Placed) -> Iterable[str]:
    return (placed.order_id, placed.token)


def key_by_clock() -> Wiring:
    class KeyedByClock(ProcessManager, name="planted.keyed_by_clock", key="order_id"):
        @starts(key=_key_by_clock)
        def begin(self, placed: Placed) -> Effects:
            yield end()

    return wired(KeyedByClock, events=(Paid,))


def key_by_lambda() -> Wiring:
    class KeyedByLambda(ProcessManager, name="planted.keyed_by_lambda", key=lambda event: str(id(event))):
        @starts
        def begin(self, placed: Placed) -> Effects:
            yield end()

    return wired(KeyedByLambda)


def key_by_field() -> Wiring:
    class KeyedByField(ProcessManager, name="planted.keyed_by_field", key=lambda event: event.order_id):
        @starts(key=_key_by_field)
        def begin(self, placed: Placed) -> Effects:
            yield Note(placed.order_id, "begun")

        @on
        def failed(self, event: Declined) -> None: ...

        @ends
        def noted(self, noted: Noted) -> None: ...

    return wired(KeyedByField)


def _judged(*, by_clock: bool) -> Wiring:
    wiring = key_by_field()

    @invariant(wiring.processes[0])
    def is_early(history: History) -> bool:
        return len(history.turns) < time.time()

    @invariant(wiring.processes[0])
    def is_short(history: History) -> bool:
        return len(history.turns) < 100

    return attrs.evolve(wiring, invariants=(is_early if by_clock else is_short,))


def _building(*, state: bool) -> Wiring:
    wiring = key_by_field()

    @invariant(wiring.processes[0])
    def builds_state(history: History) -> bool:
        return history.process() == history.process()

    @invariant(wiring.processes[0])
    def asks_history(history: History) -> bool:
        return not history.sent(Note) or bool(history.process)

    return attrs.evolve(wiring, invariants=(builds_state if state else asks_history,))


# Law 6.


def state_with_list() -> None:
    class Lists(ProcessManager, name="planted.lists", key="order_id"):
        seen: list[str] = attrs.field(factory=list)


def state_with_tuple() -> None:
    class Tuples(ProcessManager, name="planted.tuples", key="order_id"):
        seen: tuple[str, ...] = ()


def state_with_box() -> None:
    class Boxes(ProcessManager, name="planted.boxes", key="order_id"):
        box: Box = attrs.field(factory=Box)


def state_with_sealed_box() -> None:
    class Boxes(ProcessManager, name="planted.boxes", key="order_id"):
        box: SealedBox = SealedBox()


def process_without_key() -> None:
    class Keyless(ProcessManager, name="planted.keyless"):
        pass


def process_with_key() -> None:
    class Keyed(ProcessManager, name="planted.keyed", key="order_id"):
        pass


def event_without_key() -> None:
    class Misses(ProcessManager, name="planted.misses", key="customer_id"):
        @starts
        def begin(self, placed: Placed) -> None: ...


def event_with_key() -> None:
    class Finds(ProcessManager, name="planted.finds", key="token"):
        @starts
        def begin(self, placed: Placed) -> None: ...


# Law 8.


def event_without_name() -> None:
    class Nameless(Event):
        order_id: str


def event_with_name() -> None:
    class Named(Event, name="planted.named"):
        order_id: str


def event_version_zero() -> None:
    class Zeroth(Event, name="planted.zeroth", version=0):
        order_id: str


def event_version_two() -> None:
    class Second(Event, name="planted.zeroth", version=2):
        order_id: str


def command_without_name() -> None:
    class Nameless(Command):
        order_id: str


def command_with_name() -> None:
    class Named(Command, name="planted.named_command"):
        order_id: str


def _versions(*, second: int) -> tuple[type[Event], type[Event]]:
    class OrderShipped(Event, name="planted.shipped"):
        order_id: str

    class OrderShippedByCarrier(Event, name="planted.shipped", version=second):
        order_id: str
        carrier: str

    return OrderShipped, OrderShippedByCarrier


def _shipped(*, version: int) -> Wiring:
    first, second = _versions(second=version)

    class Shipping(ProcessManager, name="planted.shipping", key="order_id"):
        @ends
        def noted(self, noted: Noted) -> None: ...

        @on
        def failed(self, declined: Declined) -> None: ...

        @on
        def shipped(self, event: Event) -> None: ...

        @starts
        def begin(self, placed: Placed) -> Effects:
            yield Note(placed.order_id, "begun")

        shipped.__annotations__["event"] = first | second

    return wired(Shipping)


def one_shape_twice() -> Wiring:
    return _shipped(version=1)


def two_shapes() -> Wiring:
    return _shipped(version=2)


def _reshaped(*, version: int) -> tuple[Wiring, Wiring]:
    """The same process before and after a deployment that changed an event."""
    first, second = _versions(second=version)
    before = attrs.evolve(key_by_field(), events=(first,))
    return before, attrs.evolve(before, events=(second,) if version == 1 else (first, second))


def _now_failure(*, version: int) -> tuple[Wiring, Wiring]:
    class OrderLost(Event, name="planted.lost"):
        order_id: str

    class OrderGivenUp(FailureEvent, name="planted.lost", version=version):
        order_id: str

    before = attrs.evolve(key_by_field(), events=(OrderLost,))
    return before, attrs.evolve(before, events=(OrderGivenUp,) if version == 1 else (OrderLost, OrderGivenUp))


DEFINITIONS = (
    Breach("list in an event", "LAW01", "refused", event_with_list, event_with_tuple, "class"),
    Breach("dict in an event", "LAW01", "refused", event_with_dict, event_with_pairs, "class"),
    Breach("set deep in an event", "LAW01", "refused", event_with_set_in_union, event_with_frozenset_in_union, "class"),
    Breach("mutable class in an event", "LAW01", "refused", event_with_box, event_with_sealed_box, "class"),
    Breach("tuple of anything in an event", "LAW01", "refused", event_of_anything, event_with_tuple, "class"),
    Breach("event in the imperative", "LAW01", "found", imperative_event, past_event, "wiring"),
    Breach("fold of a failure", "LAW02", "refused", fold_of_failure, fold_of_fact, "class"),
    Breach("fold of a union with a failure", "LAW02", "refused", fold_of_union, fold_of_facts, "class"),
    Breach("fold of a command given up", "LAW02", "refused", fold_of_given_up, reaction_to_given_up, "class"),
    Breach("fold of an inherited failure", "LAW02", "refused", fold_of_inherited_failure, fold_of_fact, "class"),
    Breach("handler that takes more", "LAW03", "refused", handler_with_more, handler_of_event, "class"),
    Breach("async handler", "LAW04", "refused", handler_async, handler_of_event, "class"),
    Breach("clock in a key function", "LAW03", "refused", key_by_clock, key_by_field, "wiring"),
    Breach("id() in a key lambda", "LAW03", "refused", key_by_lambda, key_by_field, "wiring"),
    Breach(
        "clock in an invariant",
        "LAW03",
        "found",
        lambda: _judged(by_clock=True),
        lambda: _judged(by_clock=False),
        "wiring",
    ),
    Breach("list in the state", "LAW06", "refused", state_with_list, state_with_tuple, "class"),
    Breach("mutable class in the state", "LAW06", "refused", state_with_box, state_with_sealed_box, "class"),
    Breach("process without a key", "LAW06", "refused", process_without_key, process_with_key, "class"),
    Breach("event without the key", "LAW06", "refused", event_without_key, event_with_key, "class"),
    Breach("event without a stored name", "LAW08", "refused", event_without_name, event_with_name, "class"),
    Breach("event of version 0", "LAW08", "refused", event_version_zero, event_version_two, "class"),
    Breach("command without a stored name", "LAW08", "refused", command_without_name, command_with_name, "class"),
    Breach("two shapes under one name and version", "LAW08", "refused", one_shape_twice, two_shapes, "wiring"),
    Breach(
        "field added under an old name",
        "LAW08",
        "refused",
        lambda: _reshaped(version=1),
        lambda: _reshaped(version=2),
        "journal",
    ),
    Breach(
        "fact made a failure under an old name",
        "LAW08",
        "refused",
        lambda: _now_failure(version=1),
        lambda: _now_failure(version=2),
        "journal",
    ),
    Breach(
        "state built in an invariant",
        "LAW10",
        "found",
        lambda: _building(state=True),
        lambda: _building(state=False),
        "wiring",
    ),
)
