"""A difference between two schemas is told field by field, with the path to it."""

from __future__ import annotations

import enum
from typing import Literal

import attrs
import pytest

from procession import Event
from procession.laws.schema_difference import changed_cure, differences, first_differences, in_words
from procession.primitives.codec import from_json
from procession.primitives.schema import first_shape_of, schema_of
from procession.primitives.stored import stored_of


class Unit(enum.Enum):
    PIECE = "piece"
    KILO = "kilo"


class OtherUnit(enum.Enum):
    PIECE = "pc"
    TON = "ton"


@attrs.frozen
class Price:
    cents: int
    unit: Unit = Unit.PIECE


@attrs.frozen
class OtherPrice:
    cents: str
    unit: OtherUnit = OtherUnit.PIECE


class Sold(Event, name="test.sold"):
    article: str
    price: Price
    prices: tuple[Price, ...] = ()
    pair: tuple[str, Price] = ("", Price(0))
    maybe: Price | None = None
    mode: Literal["a", "b"] = "a"
    gone: int = 0


class SoldNow(Event, name="test.sold"):
    article: int
    price: OtherPrice
    prices: tuple[OtherPrice, ...] = ()
    pair: tuple[str, OtherPrice] = ("", OtherPrice("0"))
    maybe: OtherPrice | None = None
    mode: Literal["a", "c"] = "c"
    come: frozenset[str] = frozenset()


FOUND = differences(schema_of(Sold), schema_of(SoldNow))


@pytest.mark.parametrize(
    "clause",
    [
        "field gone is gone: int, with the default 0",
        "field come is new: frozenset[str], with the default []",
        "field article was str and is int",
        "field price.cents was int and is str",
        'field price.unit can\'t be KILO ("kilo") any more',
        'field price.unit can be TON ("ton") now',
        'PIECE of field price.unit was "piece" and is "pc"',
        'field price.unit had the default "piece" and has the default "pc"',
        "field prices[].cents was int and is str",
        "field pair[1].cents was int and is str",
        "field maybe.cents was int and is str",
        "field mode was Literal['a', 'b'] and is Literal['a', 'c']",
        'field mode had the default "a" and has the default "c"',
    ],
)
def test_each_difference_is_told_with_its_path(clause: str) -> None:
    assert clause in FOUND


def test_a_schema_differs_from_itself_in_nothing() -> None:
    assert differences(schema_of(Sold), schema_of(Sold)) == ()


def test_fields_in_another_order_are_a_difference() -> None:
    one, other = schema_of(Sold), schema_of(Sold)
    other["fields"].reverse()
    assert differences(one, other) == (
        "its fields were article, price, prices, pair, maybe, mode, gone, and are in another order",
    )


def test_fields_of_a_nested_class_in_another_order_are_told_with_its_path() -> None:
    one, other = schema_of(Sold), schema_of(Sold)
    other["fields"][1]["type"]["fields"].reverse()
    assert differences(one, other) == ("the fields of price were cents, unit, and are in another order",)


def test_unions_that_differ_in_more_than_one_member_are_told_whole() -> None:
    class One(Event, name="test.one"):
        thing: Price | int | None

    class Other(Event, name="test.one"):
        thing: OtherPrice | str | None

    assert differences(schema_of(One), schema_of(Other)) == (
        "field thing was int | Price | None and is str | OtherPrice | None",
    )


def test_a_default_that_came_is_a_difference() -> None:
    one, other = schema_of(Sold), schema_of(Sold)
    other["fields"][0]["default"] = ""
    assert differences(one, other) == ('field article had no default and has the default ""',)


def test_whether_extra_fields_are_ignored_is_a_difference() -> None:
    loose = schema_of(Sold) | {"extra_fields": "ignore"}
    assert differences(schema_of(Sold), loose) == ("extra fields were refused and are ignored",)


def test_differences_of_the_first_form_are_told_as_it_says_them() -> None:
    found = first_differences(from_json(first_shape_of(Sold)), from_json(first_shape_of(SoldNow)))
    assert "field article was str and is int" in found
    assert "field gone is gone: int with a default" in found
    assert "field come is new: frozenset[str] with a default" in found


def test_another_order_is_a_difference_of_the_first_form() -> None:
    fields = from_json(first_shape_of(Price))
    assert first_differences(fields, fields[::-1]) == ("its fields were cents, unit, and are in another order",)


def test_many_differences_are_told_in_part() -> None:
    assert in_words([str(number) for number in range(12)]) == "0, 1, 2, 3, 4, 5, 6, 7, 8, 9, and 2 more"


def test_the_cure_names_the_next_version() -> None:
    assert "version=4, and a lift" in changed_cure(stored_of(Sold), 3)
