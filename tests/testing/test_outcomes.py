"""What a gateway may answer, derived from its contract; what can't be derived is told, what breaks it is refused."""

from __future__ import annotations

import enum
from typing import Literal

import attrs
import pytest

from procession import Command, Event, FailureEvent, Gateway, ProcessManager, Refused, on, starts
from procession.errors import WiringError
from procession.primitives.definition import compile_definition
from procession.testing.examples import Examples
from procession.testing.outcomes import Answer, Given, Outcomes


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Ordered(Event, name="cake.ordered"):
    cake: str


class Baked(Event, name="cake.baked"):
    cake: str
    colour: Colour
    burnt: bool


class Dropped(FailureEvent, name="cake.dropped"):
    cake: str
    witness: str


class Tasted(Event, name="cake.tasted"):
    cake: str
    stars: Literal[1, 5]
    remark: str | None = None


class Sliced(Event, name="cake.sliced"):
    number: int
    pieces: tuple[str, ...]


class Bake(Command, name="cake.bake"):
    cake: str


class Taste(Command, name="cake.taste"):
    cake: str


class Slice(Command, name="cake.slice"):
    cake: str
    number: str


class Praise(Command, name="cake.praise"):
    cake: str


class Kitchen(Gateway, name="kitchen"):
    oven: str

    async def bake(self, command: Bake) -> Baked | Dropped:
        raise NotImplementedError

    async def taste(self, command: Taste) -> tuple[Tasted, ...]:
        raise NotImplementedError

    async def slice(self, command: Slice) -> Sliced:
        raise NotImplementedError

    async def praise(self, command: Praise) -> None:
        raise NotImplementedError


class Cake(ProcessManager, name="cake", key="cake"):
    @starts
    def bake(self, ordered: Ordered) -> None: ...

    @on(key="number")
    def sliced(self, sliced: Sliced) -> None: ...


@attrs.frozen
class Weight:
    grams: int


class Weighed(Event, name="cake.weighed"):
    weight: Weight
    parts: tuple[tuple[str, int], ...]
    share: float = attrs.field(default=0.5)


@attrs.frozen
class Layer:
    below: Layer | None
    _filling: str


class Stacked(Event, name="cake.stacked"):
    layers: tuple[Layer, ...]
    seen: int = attrs.field(init=False, default=0)
    by: str = attrs.field(kw_only=True)


class Picky(Event, name="cake.picky"):
    size: int = attrs.field(validator=attrs.validators.ge(10))


def outcomes(overrides: dict[type[Command], list[Given]] | None = None, *, given_up: bool = False) -> Outcomes:
    return Outcomes([Kitchen], overrides, given_up=given_up)


def values(found: tuple[Answer, ...]) -> list[object]:
    return [answer.value for answer in found]


def test_fields_named_like_the_commands_are_copied_and_bool_and_enum_are_tried_in_full() -> None:
    found = values(outcomes().of(Bake("sponge")))
    assert found[:4] == [Baked("sponge", colour, burnt) for colour in Colour for burnt in (False, True)]
    assert found[4:] == [Dropped("sponge", "witness-1")]


def test_what_was_tried_with_one_value_only_is_told() -> None:
    tried = outcomes()
    tried.of(Bake("sponge"))
    assert tried.unexplored == ("Dropped.witness: only 'witness-1'",)


def test_literals_and_none_are_tried_in_full_and_tuples_of_events_in_sizes_up_to_two() -> None:
    tried = outcomes()
    found = values(tried.of(Taste("sponge")))
    one = [Tasted("sponge", stars, remark) for stars in (1, 5) for remark in (None, "remark-1")]
    assert found[:4] == [(tasted,) for tasted in one]
    assert len(found) == 4 + 16 + 1
    assert found[-1] == ()
    assert "the answers to Taste: tuples of at most 2 events" in tried.unexplored


def test_a_command_that_is_answered_with_nothing_has_that_answer() -> None:
    assert outcomes().of(Praise("sponge")) == (Answer(None),)


def test_a_command_may_be_given_up_in_two_ways() -> None:
    assert outcomes(given_up=True).of(Praise("x"))[1:] == (Answer(None, "refused"), Answer(None, "unknown"))


def test_the_key_of_the_flow_that_asked_is_copied_whatever_its_field_is_called() -> None:
    found = outcomes().of(Slice("sponge", "none"), compile_definition(Cake), "73")
    assert values(found) == [Sliced(73, ("piece-1", "piece-2")), Sliced(73, ())]


def test_a_field_of_another_type_than_the_commands_is_not_copied() -> None:
    assert values(outcomes().of(Slice("sponge", "none")))[1] == Sliced(1, ())


def test_gateways_may_be_given_as_instances() -> None:
    assert Outcomes([Kitchen("hot")]).commands == {Bake, Taste, Slice, Praise}


def test_outcomes_can_be_replaced_by_events_classes_functions_and_errors() -> None:
    replaced: list[Given] = [
        Baked("sponge", Colour.RED, burnt=True),
        lambda command: Dropped(command.cake, "ann"),
        Dropped,
        Refused,
        TimeoutError(),
    ]
    found = outcomes({Bake: replaced}, given_up=True).of(Bake("sponge"))
    assert values(found)[:3] == [
        Baked("sponge", Colour.RED, burnt=True),
        Dropped("sponge", "ann"),
        Dropped("sponge", "witness-1"),
    ]
    assert [answer.given_up for answer in found[3:]] == ["refused", "unknown"]


def test_replaced_answers_may_still_be_given_up() -> None:
    found = outcomes({Bake: [Dropped("sponge", "ann")]}, given_up=True).of(Bake("sponge"))
    assert [answer.given_up for answer in found] == [None, "refused", "unknown"]


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (Ordered("sponge"), "breaks the contract Baked | Dropped"),
        (None, "breaks the contract"),
        (Kitchen, "name an event"),
    ],
)
def test_an_outcome_that_is_no_answer_is_refused(given: Given, found: str) -> None:
    with pytest.raises(WiringError, match=found):
        outcomes({Bake: [given]}).of(Bake("sponge"))


def test_an_outcome_of_another_flow_is_refused() -> None:
    with pytest.raises(WiringError, match="belongs to flow 8; flow 7 asked"):
        outcomes({Slice: [Sliced(8, ())]}).of(Slice("sponge", "none"), compile_definition(Cake), "7")


def test_a_command_that_no_gateway_takes_is_refused() -> None:
    with pytest.raises(WiringError, match="no gateway takes Bake"):
        Outcomes([], {Bake: []})


def test_an_example_is_the_same_in_every_run_and_its_elements_differ() -> None:
    examples = Examples()
    assert examples.of(Weighed)[0] == Weighed(Weight(1), (("part-1", 1), ("part-2", 2)), 0.5)
    assert examples.of(Weighed)[1] == Weighed(Weight(1), ())
    assert "Weighed.share: only 0.5" in examples.unexplored


def test_a_class_that_names_itself_and_fields_of_every_manner_are_made() -> None:
    two = (Layer(None, "_filling-1"), Layer(None, "_filling-2"))
    assert Examples().of(Stacked) == (Stacked(two, by="by-1"), Stacked((), by="by-1"))


def test_of_many_combinations_each_value_is_tried_once_and_the_rest_is_told() -> None:
    examples = Examples(variants_max=3)
    found = examples.of(Baked, {"cake": "sponge"})
    assert {event.colour for event in found} == set(Colour)
    assert {event.burnt for event in found} == {False, True}
    assert examples.unexplored == ("Baked: 3 of 4 combinations",)


def test_an_event_that_refuses_whatever_is_made_up_says_how_to_go_on() -> None:
    with pytest.raises(WiringError, match=r"no example of Picky can be made up .* give examples of your own"):
        Examples().of(Picky)
