"""What one runtime knows, and what can't work together is refused at wiring."""

from __future__ import annotations

import sys

import pytest

from procession import (
    Command,
    CommandGivenUp,
    Effects,
    Event,
    Gateway,
    History,
    Invariant,
    ProcessManager,
    invariant,
    on,
    starts,
)
from procession.errors import DefinitionError, UnknownType, WiringError
from procession.primitives.event import OWN_EVENTS
from procession.primitives.registration import build_registry

HERE = sys.modules[__name__]


class Placed(Event, name="test.placed"):
    order: str


class PlacedAgain(Event, name="test.placed", version=2):
    order: str


class Shipped(Event, name="test.shipped"):
    order: str


class Ship(Command, name="test.ship"):
    order: str


class Order(ProcessManager, name="order", key="order"):
    @starts
    def placed(self, placed: Placed) -> Effects:
        yield Ship(placed.order)

    @on
    def lost(self, lost: CommandGivenUp[Ship]) -> None: ...


class Watch(ProcessManager, name="watch", key="order"):
    @starts
    def placed(self, placed: Placed) -> None: ...


class Parcels(Gateway, name="parcels"):
    async def ship(self, command: Ship) -> Shipped: ...  # type: ignore[empty-body]  # never called


class OtherParcels(Gateway, name="other_parcels"):
    async def send(self, command: Ship) -> Shipped: ...  # type: ignore[empty-body]  # never called


def namesake_event() -> type[Event]:
    class Namesake(Event, name="test.placed"):
        order: int

    return Namesake


def namesake_command() -> type[Gateway]:
    class Namesake(Command, name="test.ship"):
        order: int

    class Posts(Gateway, name="posts"):
        async def ship(self, command: Namesake) -> None: ...

    Posts.ship.__annotations__["command"] = Namesake
    return Posts


def test_everything_that_is_wired_is_known() -> None:
    registry = build_registry([Order], [Parcels()], [PlacedAgain])
    own = {name for name, _ in registry.events if name.startswith("procession.")}
    assert set(registry.events) - {(name, 1) for name in own} == {
        ("test.placed", 1),
        ("test.placed", 2),
        ("test.shipped", 1),
    }


def test_the_events_of_the_runtime_are_known() -> None:
    assert set(OWN_EVENTS) <= set(build_registry([], []).events.values())


def test_a_command_finds_its_receiver() -> None:
    receiver = build_registry([Order], [Parcels()]).receivers[Ship]
    assert (receiver.name, receiver.method.name) == ("parcels", "ship")


def test_an_event_may_concern_several_processes() -> None:
    concerned = build_registry([Order, Watch], [Parcels()]).concerned[Placed]
    assert [definition.name for definition in concerned] == ["order", "watch"]


def test_a_name_without_a_version_is_the_newest() -> None:
    assert build_registry([Watch], [], [PlacedAgain]).event_class("test.placed") is PlacedAgain


def test_an_older_version_that_is_registered_later_is_not_the_newest() -> None:
    assert build_registry([], [], [PlacedAgain, Placed]).event_class("test.placed") is PlacedAgain


def test_each_version_is_known() -> None:
    assert build_registry([Watch], [], [PlacedAgain]).event_class("test.placed", 1) is Placed


def test_an_unknown_type_is_refused_with_what_looks_alike() -> None:
    with pytest.raises(UnknownType) as refused:
        build_registry([Watch], []).event_class("order.placed")
    assert refused.value.known == ("test.placed",)


def test_an_unknown_version_is_refused() -> None:
    with pytest.raises(UnknownType):
        build_registry([Watch], []).event_class("test.placed", 3)


def test_a_command_without_a_receiver_is_refused() -> None:
    with pytest.raises(WiringError, match=r"test_registry\.py:\d+: Order\.placed sends Ship, which no gateway takes"):
        build_registry([Order], [])


def test_a_command_with_two_receivers_is_refused() -> None:
    with pytest.raises(WiringError, match=r"OtherParcels\.send takes Ship, as Parcels\.ship .* does; .* one receiver"):
        build_registry([Order], [Parcels(), OtherParcels()])


def test_two_gateways_with_one_name_are_refused() -> None:
    with pytest.raises(WiringError, match="two gateway classes have the stored name 'parcels'"):
        build_registry([], [Parcels(), Parcels()])


def test_two_processes_with_one_name_are_refused() -> None:
    with pytest.raises(WiringError, match="two process classes have the stored name 'watch'"):
        build_registry([Watch, Watch], [])


def test_two_events_with_one_name_are_refused() -> None:
    with pytest.raises(
        WiringError, match=r"two event classes have the stored name 'test\.placed': .*Placed and .*Namesake"
    ):
        build_registry([Watch], [], [namesake_event()])


def test_two_commands_with_one_name_are_refused() -> None:
    with pytest.raises(WiringError, match=r"two command classes have the stored name 'test\.ship'"):
        build_registry([], [Parcels(), namesake_command()()])


def test_an_event_registered_twice_is_one() -> None:
    assert build_registry([Watch], [], [Placed, Placed]).event_class("test.placed") is Placed


def test_a_field_of_a_class_that_is_never_defined_is_refused() -> None:
    class Odd(Event, name="test.odd"):
        thing: NeverDefined  # type: ignore[name-defined]  # noqa: F821 - refused on purpose

    with pytest.raises(DefinitionError, match=r"Odd has a field of type 'NeverDefined', which is not defined"):
        build_registry([], [], [Odd])


def test_registries_are_independent() -> None:
    build_registry([], [], [namesake_event()])
    assert build_registry([Watch], []).event_class("test.placed") is Placed


def test_a_command_sent_by_a_method_that_a_handler_calls_needs_a_receiver() -> None:
    class Indirect(ProcessManager, name="indirect", key="order"):
        @starts
        def placed(self, placed: Placed) -> Effects:
            yield from self._sends(placed)

        def _sends(self, placed: Placed) -> Effects:
            yield Ship(placed.order)

    with pytest.raises(WiringError, match=r"Indirect\.placed sends Ship"):
        build_registry([Indirect], [])


def test_a_command_sent_by_a_function_of_the_module_needs_a_receiver() -> None:
    class Indirect(ProcessManager, name="indirect", key="order"):
        @starts
        def placed(self, placed: Placed) -> Effects:
            yield from sends(placed)

    with pytest.raises(WiringError, match=r"Indirect\.placed sends Ship"):
        build_registry([Indirect], [])


def sends(placed: Placed) -> Effects:
    yield Ship(placed.order)


def test_a_command_named_by_its_module_needs_a_receiver() -> None:
    class Indirect(ProcessManager, name="indirect", key="order"):
        @starts
        def placed(self, placed: Placed) -> Effects:
            yield HERE.Ship(placed.order)

    with pytest.raises(WiringError, match=r"Indirect\.placed sends Ship"):
        build_registry([Indirect], [])


def test_a_command_of_the_function_around_the_class_needs_a_receiver() -> None:
    class Local(Command, name="test.local"):
        order: str

    class Indirect(ProcessManager, name="indirect", key="order"):
        @starts
        def placed(self, placed: Placed) -> Effects:
            yield from (Local(order) for order in (placed.order,))

    with pytest.raises(WiringError, match=r"Indirect\.placed sends Local"):
        build_registry([Indirect], [])


def rule_of(process: type[ProcessManager]) -> Invariant:
    @invariant(process)
    def holds(history: History) -> bool:
        return True

    return holds


def test_invariants_are_known_by_the_stored_name_of_their_process() -> None:
    rule = rule_of(Order)
    assert build_registry([Order], [Parcels()], invariants=[rule]).invariants == {"order": (rule,)}


def test_an_invariant_of_a_process_that_is_not_given_is_refused() -> None:
    with pytest.raises(WiringError, match=r"test_registry.py:\d+: the invariant holds is of Watch, which is not given"):
        build_registry([Order], [Parcels()], invariants=[rule_of(Watch)])


def test_two_invariants_of_one_process_with_one_name_are_refused() -> None:
    with pytest.raises(WiringError, match="Order has another invariant called holds"):
        build_registry([Order], [Parcels()], invariants=[rule_of(Order), rule_of(Order)])
