"""Definitions that can't work are refused: with file, line, class, method and cure."""

from __future__ import annotations

import enum
import inspect
from collections.abc import Callable, Iterator

import attrs
import pytest

from procession import (
    Command,
    CommandGivenUp,
    Effects,
    Envelope,
    Event,
    FailureEvent,
    ProcessManager,
    end,
    ends,
    folds,
    on,
    starts,
)
from procession.errors import DefinitionError
from procession.primitives.definition import compile_definition

# mypy: disable-error-code="misc,no-untyped-def,name-defined,type-arg,call-overload,arg-type,valid-type"
# mypy: disable-error-code="type-var,empty-body,untyped-decorator,assignment"
# What a checker would refuse is written on purpose.


class Placed(Event, name="test.placed"):
    order: str


class Paid(Event, name="test.paid"):
    order: str
    amount: int = 0


class Elsewhere(Event, name="test.elsewhere"):
    other: str


class Failed(FailureEvent, name="test.failed"):
    order: str


class Ship(Command, name="test.ship"):
    order: str


@attrs.define
class Mutable:
    x: int = 0


@attrs.define
class Converted:
    x: int = attrs.field(converter=int)


@attrs.frozen
class HoldsList:
    items: list[int]


@attrs.frozen
class Tree:
    children: tuple[Tree, ...] = ()


def an_async_handler() -> object:
    class Order(ProcessManager, name="order", key="order"):
        @starts
        async def placed(self, placed: Placed) -> None: ...  # HERE

    return Order


def an_async_generator() -> object:
    class Order(ProcessManager, name="order", key="order"):
        @starts
        async def placed(self, placed: Placed) -> Effects:  # HERE
            yield end()

    return Order


def an_event_without_a_name() -> object:
    class Nameless(Event):  # HERE
        order: str

    return Nameless


def a_command_without_a_name() -> object:
    class Nameless(Command):  # HERE
        order: str

    return Nameless


def an_unprintable_name() -> object:
    class Odd(Event, name="a\nb"):  # HERE
        order: str

    return Odd


def an_endless_name() -> object:
    class Odd(Event, name="a" * 201):  # HERE
        order: str

    return Odd


def version_zero() -> object:
    class Odd(Event, name="odd", version=0):  # HERE
        order: str

    return Odd


def a_list_field() -> object:
    class Odd(Event, name="odd"):  # HERE
        orders: list[str]

    return Odd


def a_dict_in_a_tuple() -> object:
    class Odd(Event, name="odd"):  # HERE
        orders: tuple[dict[str, int] | None, ...]

    return Odd


def a_mutable_class_field() -> object:
    class Odd(Command, name="odd"):  # HERE
        inner: Mutable

    return Odd


def a_class_that_only_converts() -> object:
    class Odd(Command, name="odd"):  # HERE
        inner: Converted

    return Odd


def a_frozen_class_that_holds_a_list() -> object:
    class Odd(Event, name="odd"):  # HERE
        inner: HoldsList

    return Odd


def a_tuple_of_anything() -> object:
    class Odd(Event, name="odd"):  # HERE
        inner: tuple

    return Odd


def an_object_field() -> object:
    class Odd(Event, name="odd"):  # HERE
        inner: object

    return Odd


def a_default_before_a_field_without() -> object:
    class Odd(Event, name="odd"):  # HERE
        first: int = 1
        second: int

    return Odd


def a_process_without_a_name() -> object:
    class Order(ProcessManager, key="order"):  # HERE
        @starts
        def placed(self, placed: Placed) -> None: ...

    return Order


def a_process_without_a_key() -> object:
    class Order(ProcessManager, name="order"):  # HERE
        @starts
        def placed(self, placed: Placed) -> None: ...

    return Order


def state_without_a_default() -> object:
    class Order(ProcessManager, name="order", key="order"):  # HERE
        amount: int

        @starts
        def placed(self, placed: Placed) -> None: ...

    return Order


def mutable_state() -> object:
    class Order(ProcessManager, name="order", key="order"):  # HERE
        items: set[str] = attrs.field(factory=set)

        @starts
        def placed(self, placed: Placed) -> None: ...

    return Order


def state_of_a_class_that_is_never_defined() -> object:
    class Order(ProcessManager, name="order", key="order"):  # HERE
        items: NeverDefined | None = None  # noqa: F821 - on purpose

        @starts
        def placed(self, placed: Placed) -> None: ...

    return compile_definition(Order)


def state_of_a_mutable_class_defined_later() -> object:
    class Order(ProcessManager, name="order", key="order"):  # HERE
        items: Later | None = None

        @starts
        def placed(self, placed: Placed) -> None: ...

    return compile_definition(Order)


def a_handler_without_an_event() -> object:
    class Order(ProcessManager, name="order", key="order"):
        @starts  # HERE
        def placed(self) -> None: ...

    return Order


def a_handler_without_an_annotation() -> object:
    class Order(ProcessManager, name="order", key="order"):
        @starts  # HERE
        def placed(self, placed) -> None: ...  # noqa: ANN001 - on purpose

    return Order


def a_handler_of_a_string() -> object:
    class Order(ProcessManager, name="order", key="order"):
        @starts  # HERE
        def placed(self, placed: str) -> None: ...

    return Order


def a_handler_of_every_event() -> object:
    class Order(ProcessManager, name="order", key="order"):
        @starts  # HERE
        def placed(self, placed: Event) -> None: ...

    return Order


def a_handler_of_an_unknown_type() -> object:
    class Order(ProcessManager, name="order", key="order"):
        @starts  # HERE
        def placed(self, placed: NeverDefined) -> None: ...  # noqa: F821 - on purpose

    return compile_definition(Order)


def a_handler_of_any_command_given_up() -> object:
    class Order(ProcessManager, name="order", key="order"):
        @on  # HERE
        def lost(self, lost: CommandGivenUp) -> None: ...

    return Order


def a_handler_of_no_command_given_up() -> object:
    class Order(ProcessManager, name="order", key="order"):
        @on  # HERE
        def lost(self, lost: CommandGivenUp[int]) -> None: ...

    return Order


def a_fold_of_a_failure() -> object:
    class Order(ProcessManager, name="order", key="order"):
        @folds  # HERE
        def failed(self, failed: Failed) -> Order: ...

    return Order


def a_fold_of_a_command_given_up() -> object:
    class Order(ProcessManager, name="order", key="order"):
        @folds  # HERE
        def lost(self, lost: CommandGivenUp[Ship]) -> Order: ...

    return Order


def a_fold_that_yields() -> object:
    class Order(ProcessManager, name="order", key="order"):
        @folds  # HERE
        def placed(self, placed: Placed) -> Iterator[Order]:
            yield self

    return Order


def a_fold_with_an_envelope() -> object:
    class Order(ProcessManager, name="order", key="order"):
        @folds  # HERE
        def placed(self, placed: Placed, envelope: Envelope) -> Order: ...

    return Order


def a_handler_with_a_clock() -> object:
    class Order(ProcessManager, name="order", key="order"):
        @starts  # HERE
        def placed(self, placed: Placed, now: float) -> None: ...

    return Order


def a_key_that_the_event_does_not_have() -> object:
    class Order(ProcessManager, name="order", key="order"):
        @starts  # HERE
        def placed(self, placed: Elsewhere) -> None: ...

    return Order


def a_key_of_its_own_that_the_event_does_not_have() -> object:
    class Order(ProcessManager, name="order", key="order"):
        @starts(key="nowhere")  # HERE
        def placed(self, placed: Placed) -> None: ...

    return Order


def a_concern_without_the_key() -> object:
    class Order(ProcessManager, name="order", key="order", concerns=(Elsewhere,)):  # HERE
        @starts
        def placed(self, placed: Placed) -> None: ...

    return compile_definition(Order)


def a_concern_that_is_a_command() -> object:
    class Order(ProcessManager, name="order", key="order", concerns=(Ship,)):  # HERE
        @starts
        def placed(self, placed: Placed) -> None: ...

    return compile_definition(Order)


def an_unknown_policy_of_a_process() -> object:
    class Order(ProcessManager, name="order", key="order", late="drop"):  # HERE
        @starts
        def placed(self, placed: Placed) -> None: ...

    return Order


def an_unknown_policy_of_a_handler() -> object:
    class Order(ProcessManager, name="order", key="order"):
        @on(missing="drop")  # HERE
        def placed(self, placed: Placed) -> None: ...

    return Order


def an_empty_outcome() -> object:
    class Order(ProcessManager, name="order", key="order"):
        @ends(outcome="")  # HERE
        def placed(self, placed: Placed) -> None: ...

    return Order


def a_method_marked_twice() -> object:
    class Order(ProcessManager, name="order", key="order"):
        @on
        @starts  # HERE
        def placed(self, placed: Placed) -> None: ...

    return Order


def a_mark_on_a_static_method() -> object:
    class Order(ProcessManager, name="order", key="order"):
        @starts  # HERE
        @staticmethod
        def placed(placed: Placed) -> None: ...

    return Order


def two_reactions_to_one_event() -> object:
    class Order(ProcessManager, name="order", key="order"):
        @starts
        def placed(self, placed: Placed) -> None: ...
        @on
        def paid(self, paid: Paid) -> None: ...
        @ends  # HERE
        def settled(self, paid: Paid) -> None: ...

    return compile_definition(Order)


def two_keys_of_one_event() -> object:
    class Order(ProcessManager, name="order", key="order"):
        @starts(key="order")
        def placed(self, paid: Paid) -> None: ...
        @on(key="amount")  # HERE
        def paid(self, paid: Paid) -> None: ...

    return compile_definition(Order)


def no_way_to_start() -> object:
    class Order(ProcessManager, name="order", key="order"):  # HERE
        @on
        def paid(self, paid: Paid) -> None: ...

    return compile_definition(Order)


REFUSED = {
    an_async_handler: ("Order.placed is async", "make it a plain def"),
    an_async_generator: ("Order.placed is async", "make it a plain def"),
    an_event_without_a_name: ("Nameless has no stored name", 'name="something.happened"'),
    a_command_without_a_name: ("Nameless has no stored name", "name="),
    an_unprintable_name: ("Odd has the stored name 'a\\nb'", "use a printable name"),
    an_endless_name: ("Odd has the stored name", "at most 200 bytes"),
    version_zero: ("Odd has version 0", "versions start at 1"),
    a_list_field: ("Odd.orders is of mutable type list", "use tuple[X, ...]"),
    a_dict_in_a_tuple: ("Odd.orders is of mutable type dict", "use a tuple of pairs"),
    a_mutable_class_field: ("Odd.inner is of class Mutable, which is not frozen", "attrs.frozen"),
    a_class_that_only_converts: ("Odd.inner is of class Converted, which is not frozen", "attrs.frozen"),
    a_frozen_class_that_holds_a_list: ("Odd.inner holds HoldsList.items, which is of mutable type list", "tuple"),
    a_tuple_of_anything: ("Odd.inner does not say of what it is made", "write tuple[X, ...]"),
    an_object_field: ("Odd.inner is of type object, which may change", "use scalars"),
    a_default_before_a_field_without: ("Odd has fields that don't go together", "put fields with a default last"),
    a_process_without_a_name: ("Order has the stored name ''", 'name="order"'),
    a_process_without_a_key: ("Order has no key", 'key="order_id"'),
    state_without_a_default: ("Order.amount has no default", "give it one"),
    mutable_state: ("Order.items is of mutable type set", "use frozenset[X]"),
    state_of_a_class_that_is_never_defined: ("Order has a field of type 'NeverDefined'", "define it"),
    state_of_a_mutable_class_defined_later: ("Order.items is of class Later, which is not frozen", "attrs.frozen"),
    a_handler_without_an_event: ("Order.placed takes no event", "add a parameter"),
    a_handler_without_an_annotation: ("Order.placed handles nothing, which is no event type", "annotate"),
    a_handler_of_a_string: ("Order.placed handles str, which is no event type", "annotate"),
    a_handler_of_every_event: ("Order.placed handles Event, which is no event type", "annotate"),
    a_handler_of_an_unknown_type: ("Order.placed is annotated with 'NeverDefined'", "define the event class"),
    a_handler_of_any_command_given_up: ("Order.lost handles CommandGivenUp of any command", "name the command"),
    a_handler_of_no_command_given_up: ("Order.lost handles CommandGivenUp", "annotate"),
    a_fold_of_a_failure: ("Order.failed folds Failed, which is a failure event", "answer it in a reaction"),
    a_fold_of_a_command_given_up: (
        "Order.lost folds CommandGivenUp[Ship], which is a failure event",
        "answer it in a reaction",
    ),
    a_fold_that_yields: ("Order.placed is a fold that yields", "return the new state"),
    a_fold_with_an_envelope: ("Order.placed has the parameter 'envelope'", "a fold takes the event"),
    a_handler_with_a_clock: ("Order.placed has the parameter 'now'", "one `Envelope`"),
    a_key_that_the_event_does_not_have: ("Order.placed has the key 'order', which Elsewhere does not have", "name a"),
    a_key_of_its_own_that_the_event_does_not_have: ("Order.placed has the key 'nowhere'", "name a field of Placed"),
    a_concern_without_the_key: ("Order has the key 'order', which Elsewhere does not have", "name a field"),
    a_concern_that_is_a_command: ("Order is concerned by", "name event classes"),
    an_unknown_policy_of_a_process: ("Order says late='drop'", "use one of record, ignore, quarantine"),
    an_unknown_policy_of_a_handler: ("Order.placed says missing='drop'", "use one of record, start, wait"),
    an_empty_outcome: ("Order.placed has the outcome ''", "use a printable one"),
    a_method_marked_twice: ("Order.placed is marked twice", "a method of its own"),
    a_mark_on_a_static_method: ("@starts marks <staticmethod", "mark a def of the class"),
    two_reactions_to_one_event: ("Order.settled handles Paid, as paid does", "put both into one"),
    two_keys_of_one_event: ("Order.paid names another key", "one event has one key"),
    no_way_to_start: ("Order has no way to start", "@starts"),
}


@attrs.define
class Later:
    x: int = 0


@pytest.mark.parametrize("define", REFUSED, ids=lambda define: define.__name__)
def test_a_definition_that_cannot_work_is_refused(define: Callable[[], object]) -> None:
    found, cure = REFUSED[define]
    with pytest.raises(DefinitionError) as refused:
        define()
    assert (found in str(refused.value), cure in refused.value.cure) == (True, True), str(refused.value)


@pytest.mark.parametrize("define", REFUSED, ids=lambda define: define.__name__)
def test_a_refusal_names_file_and_line(define: Callable[[], object]) -> None:
    lines, first = inspect.getsourcelines(define)
    marked = first + next(at for at, line in enumerate(lines) if "# HERE" in line)
    with pytest.raises(DefinitionError) as refused:
        define()
    file, _, line = refused.value.where.rpartition(":")
    # A class stands where its statement does; a method where its first decorator does.
    assert (file, int(line) in (marked, marked - 1)) == (__file__, True), refused.value.where


@pytest.mark.parametrize(
    ("define", "code"),
    [
        (a_list_field, "LAW01"),
        (a_fold_of_a_failure, "LAW02"),
        (a_handler_with_a_clock, "LAW03"),
        (mutable_state, "LAW06"),
        (a_process_without_a_key, "LAW06"),
        (a_key_that_the_event_does_not_have, "LAW06"),
        (state_without_a_default, ""),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_a_refusal_says_which_law_is_broken(define: Callable[[], object], code: str) -> None:
    with pytest.raises(DefinitionError) as refused:
        define()
    assert refused.value.code == code


def test_a_refusal_reads_as_one_sentence() -> None:
    with pytest.raises(DefinitionError) as refused:
        a_list_field()
    assert str(refused.value) == f"{refused.value.where}: LAW01 Odd.orders is of mutable type list; use tuple[X, ...]"


def test_a_class_may_name_itself() -> None:
    class Planted(Event, name="test.planted"):
        tree: Tree

    assert Planted(Tree((Tree(),))) == Planted(Tree((Tree(),)))


def test_events_are_frozen() -> None:
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        Placed("421").order = "422"


def test_events_with_equal_fields_are_equal() -> None:
    assert Placed("421") == Placed("421")


def test_enums_and_literals_are_fields() -> None:
    class Colour(enum.Enum):
        RED = "red"

    class Dyed(Event, name="test.dyed"):
        colour: Colour

    assert Dyed(Colour.RED).colour is Colour.RED


def test_an_abstract_class_hands_its_fields_down() -> None:
    class Parent(Event, abstract=True):
        order: str

    class Child(Parent, name="test.child"):
        amount: int

    assert Child("421", 1).order == "421"


def test_an_abstract_class_that_cannot_work_is_refused() -> None:
    with pytest.raises(DefinitionError, match="don't go together"):

        class Parent(Event, abstract=True):
            first: int = 1
            second: int


def test_evolve_leaves_the_state_as_it_was() -> None:
    class Order(ProcessManager, name="order", key="order"):
        amount: int = 0

        @starts
        def placed(self, placed: Placed) -> None: ...

    before = Order()
    assert (before.evolve(amount=3), before) == (Order(amount=3), Order(amount=0))


def test_a_subclass_inherits_handlers_and_may_drop_one() -> None:
    class Order(ProcessManager, name="order", key="order"):
        @starts
        def placed(self, placed: Placed) -> None: ...
        @on
        def paid(self, paid: Paid) -> None: ...

    class Free(Order, name="free", key="order"):
        paid = None

    assert set(compile_definition(Free).reactions) == {Placed}


def test_annotations_may_name_classes_defined_later() -> None:
    class Order(ProcessManager, name="order", key="order"):
        @starts
        def begun(self, begun: Begun) -> None: ...

    assert set(compile_definition(Order).reactions) == {Begun}


class Begun(Event, name="test.begun"):
    order: str
