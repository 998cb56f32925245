"""Gateways: what they take, what they promise to answer, and what of them is refused."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from procession import Attempt, Command, Event, Gateway
from procession.errors import DefinitionError
from procession.primitives.gateway import CommandMethod, command_methods

# mypy: disable-error-code="no-untyped-def,name-defined,empty-body"
# What a checker would refuse is written on purpose.


class Ship(Command, name="test.ship"):
    order: str


class Recall(Command, name="test.recall"):
    order: str


class Shipped(Event, name="test.shipped"):
    order: str


class Lost(Event, name="test.lost"):
    order: str


class ShippedAbroad(Shipped, name="test.shipped_abroad"):
    country: str


class Parcels(Gateway, name="parcels", concurrency=3, ordered=True):
    depot: str = "here"

    async def one(self, command: Ship, attempt: Attempt) -> Shipped | Lost: ...

    def many(self, command: Recall) -> tuple[Shipped | Lost, ...] | None: ...

    def depots(self) -> tuple[str, ...]:
        return (self.depot,)

    def depot_of(self, order: str) -> str:
        return order

    def _hidden(self, command: Ship) -> None: ...


@pytest.fixture
def methods() -> dict[str, CommandMethod]:
    return {method.name: method for method in command_methods(Parcels)}


def test_methods_with_a_command_take_it(methods: dict[str, CommandMethod]) -> None:
    assert {name: method.command for name, method in methods.items()} == {"one": Ship, "many": Recall}


def test_a_method_may_wait_and_want_the_attempt(methods: dict[str, CommandMethod]) -> None:
    assert (methods["one"].is_async, methods["one"].wants_attempt) == (True, True)


def test_a_method_may_run_in_a_thread_without_the_attempt(methods: dict[str, CommandMethod]) -> None:
    assert (methods["many"].is_async, methods["many"].wants_attempt) == (False, False)


def test_options_are_kept() -> None:
    policy = Parcels.__gateway__.policy
    assert (Parcels.__gateway__.name, policy.concurrency, policy.ordered, policy.timeout_s) == (
        "parcels",
        3,
        True,
        None,
    )


def test_dependencies_come_in_by_the_constructor() -> None:
    assert Parcels("there").depots() == ("there",)


def test_a_method_may_take_several_commands() -> None:
    class Both(Gateway, name="both"):
        async def any(self, command: Ship | Recall) -> None: ...

    assert {method.command for method in command_methods(Both)} == {Ship, Recall}


@pytest.mark.parametrize(
    ("name", "answer", "accepted"),
    [
        ("one", Shipped("421"), True),
        ("one", Lost("421"), True),
        ("one", None, False),
        ("one", (Shipped("421"),), False),
        ("one", "shipped", False),
        ("one", ShippedAbroad("421", "fr"), False),
        ("many", (Shipped("421"), Lost("421")), True),
        ("many", (), True),
        ("many", None, True),
        ("many", Shipped("421"), False),
        ("many", (Shipped("421"), "lost"), False),
        ("many", [Shipped("421")], False),
    ],
    ids=repr,
)
def test_an_answer_keeps_the_contract_or_not(
    methods: dict[str, CommandMethod], name: str, answer: object, accepted: bool
) -> None:
    assert methods[name].contract.accepts(answer) is accepted


def test_a_contract_can_be_shown(methods: dict[str, CommandMethod]) -> None:
    assert (methods["one"].contract.shown, methods["many"].contract.shown) == (
        "Shipped | Lost",
        "tuple[Shipped | Lost | None, ...]",
    )


def no_name() -> object:
    class Odd(Gateway):  # HERE
        async def ship(self, command: Ship) -> None: ...

    return Odd


def an_unknown_option() -> object:
    class Odd(Gateway, name="odd", retries=3):  # HERE
        async def ship(self, command: Ship) -> None: ...

    return Odd


def no_command() -> object:
    class Odd(Gateway, name="odd"):  # HERE
        async def ship(self, order: str) -> None: ...

    return command_methods(Odd)


def an_unknown_annotation() -> object:
    class Odd(Gateway, name="odd"):
        async def ship(self, command: Nowhere) -> None: ...  # noqa: F821 - HERE

    return command_methods(Odd)


def a_further_parameter() -> object:
    class Odd(Gateway, name="odd"):
        async def ship(self, command: Ship, urgent: bool) -> None: ...  # HERE

    return command_methods(Odd)


def two_attempts() -> object:
    class Odd(Gateway, name="odd"):
        async def ship(self, command: Ship, first: Attempt, second: Attempt) -> None: ...  # HERE

    return command_methods(Odd)


def no_contract() -> object:
    class Odd(Gateway, name="odd"):
        async def ship(self, command: Ship): ...  # noqa: ANN202 - HERE

    return command_methods(Odd)


def a_contract_of_text() -> object:
    class Odd(Gateway, name="odd"):
        async def ship(self, command: Ship) -> str: ...  # HERE

    return command_methods(Odd)


def a_contract_of_one_or_many() -> object:
    class Odd(Gateway, name="odd"):
        async def ship(self, command: Ship) -> Lost | tuple[Shipped, ...]: ...  # HERE

    return command_methods(Odd)


REFUSED = {
    no_name: ("Odd has the name ''", 'name="payments"'),
    an_unknown_option: ("Odd has the option 'retries'", "attempts_max"),
    no_command: ("Odd takes no command", "first parameter annotated with a command"),
    an_unknown_annotation: ("Odd.ship is annotated with 'Nowhere'", "define it"),
    a_further_parameter: ("Odd.ship has the parameter 'urgent'", "one `Attempt`"),
    two_attempts: ("Odd.ship has the parameter 'second'", "one `Attempt`"),
    no_contract: ("Odd.ship returns nothing, which is no contract", "annotate the return"),
    a_contract_of_text: ("Odd.ship returns <class 'str'>, which is no contract", "annotate the return"),
    a_contract_of_one_or_many: ("Odd.ship returns", "annotate the return"),
}


@pytest.mark.parametrize("define", REFUSED, ids=lambda define: define.__name__)
def test_a_gateway_that_cannot_work_is_refused(define: Callable[[], object]) -> None:
    found, cure = REFUSED[define]
    with pytest.raises(DefinitionError) as refused:
        define()
    assert (found in str(refused.value), cure in refused.value.cure) == (True, True), str(refused.value)
    assert refused.value.where.startswith(f"{__file__}:")
