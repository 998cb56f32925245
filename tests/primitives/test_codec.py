"""Messages to JSON and back: strict, exact, the same in every run."""

from __future__ import annotations

import datetime
import decimal
import enum
import os
import subprocess
import sys
import uuid
from typing import Annotated, Literal, NewType

import attrs
import hypothesis
import pytest
from hypothesis import strategies as st

from procession import Command, CommandGivenUp, Event, ProcessManager, starts
from procession.errors import DefinitionError, InvalidPayload
from procession.primitives.codec import Codec, from_json, to_json
from procession.primitives.fields import field_names

OrderId = NewType("OrderId", str)


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


@attrs.frozen
class Point:
    x: int
    label: str | None = None


class Full(Event, name="test.full"):
    """A field of each kind."""

    text: str = ""
    number: int = 0
    real: float = 0.0
    truth: bool = False
    raw: bytes = b""
    amount: decimal.Decimal = decimal.Decimal(0)
    moment: datetime.datetime = datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC)
    day: datetime.date = datetime.date(2000, 1, 1)
    clock: datetime.time = datetime.time(0)
    span: datetime.timedelta = datetime.timedelta(0)
    id: uuid.UUID = uuid.UUID(int=0)
    colour: Colour = Colour.RED
    order: OrderId = OrderId("421")
    weight: Annotated[int, "grams"] = 0
    mode: Literal["fast", "slow"] = "fast"
    maybe: int | str | None = None
    choice: Literal["a", "b"] | None = None
    point: Point | None = None
    points: tuple[Point, ...] = ()
    pair: tuple[str, int] = ("", 0)
    names: frozenset[str] = frozenset()
    nested: tuple[tuple[str, float], ...] = ()


class Lenient(Event, name="test.lenient", extra_fields="ignore"):
    text: str


class Plain(Event, name="test.plain"):
    text: str
    number: int = 0


class Ship(Command, name="test.ship"):
    order: str


@pytest.fixture
def codec() -> Codec:
    codec = Codec()
    for cls in (Full, Lenient, Plain, Ship, CommandGivenUp):
        codec.register(cls)
    return codec


SPAN_MAX = datetime.timedelta(microseconds=2**63 - 1)
CODEC = Codec()
CODEC.register(Full)
texts = st.text(st.characters(exclude_categories=["Cs"]))
points = st.builds(Point, x=st.integers(-(2**63), 2**63), label=st.none() | texts)
fulls = st.builds(
    Full,
    text=texts,
    number=st.integers(-(2**63), 2**64 - 1),
    real=st.floats(allow_nan=False, allow_infinity=False),
    truth=st.booleans(),
    raw=st.binary(),
    amount=st.decimals(allow_nan=False),
    moment=st.datetimes(timezones=st.just(datetime.UTC)),
    day=st.dates(),
    clock=st.times(),
    span=st.timedeltas(min_value=-SPAN_MAX, max_value=SPAN_MAX),
    id=st.uuids(),
    colour=st.sampled_from(Colour),
    order=texts.map(OrderId),
    mode=st.sampled_from(["fast", "slow"]),
    maybe=st.none() | st.integers(-(2**63), 2**63) | texts,
    point=st.none() | points,
    points=st.lists(points).map(tuple),
    pair=st.tuples(texts, st.integers(0, 9)),
    names=st.frozensets(texts),
    nested=st.lists(st.tuples(texts, st.floats(allow_nan=False, allow_infinity=False))).map(tuple),
)


@hypothesis.given(fulls)
def test_what_was_encoded_decodes_to_the_same(event: Full) -> None:
    assert CODEC.decode(Full, CODEC.encode(event)) == event


@hypothesis.given(fulls)
def test_what_was_decoded_encodes_to_the_same(event: Full) -> None:
    payload = CODEC.encode(event)
    assert CODEC.encode(CODEC.decode(Full, payload)) == payload


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)


@hypothesis.given(st.dictionaries(st.sampled_from(field_names(Full)), anything))
def test_data_decodes_or_is_refused_and_what_decodes_can_be_encoded(data: dict[str, object]) -> None:
    try:
        event = CODEC.structure(Full, data)
    except InvalidPayload:
        return
    assert CODEC.decode(Full, CODEC.encode(event)) == event


@pytest.mark.parametrize(
    ("data", "found"),
    [
        ({}, "required field missing @ $.text"),
        ([], "expected an object, found list"),
        (None, "expected an object, found NoneType"),
        ({"text": 1}, "expected str, found int 1 @ $.text"),
        ({"text": "x", "number": "1"}, "expected int, found str '1' @ $.number"),
        ({"text": "x", "number": 1.0}, "expected int, found float 1.0 @ $.number"),
        ({"text": "x", "number": True}, "expected int, found bool True @ $.number"),
        ({"text": "x", "colour": "red"}, "extra fields found (colour)"),
        ({"text": None, "number": None}, "expected str, found NoneType None @ $.text; expected int"),
        ({"text": ["x" * 100]}, "found list ['xxxx"),
    ],
    ids=str,
)
def test_data_that_does_not_fit_is_refused_with_the_path(codec: Codec, data: object, found: str) -> None:
    with pytest.raises(InvalidPayload) as refused:
        codec.structure(Plain, data)
    assert found in str(refused.value)


@pytest.mark.parametrize(
    ("data", "found"),
    [
        ({"real": "1"}, "expected float, found str '1' @ $.real"),
        ({"truth": 1}, "expected bool, found int 1 @ $.truth"),
        ({"raw": 5}, "@ $.raw"),
        ({"amount": 1}, "expected text, found int 1 @ $.amount"),
        ({"amount": "much"}, "no number: 'much' @ $.amount"),
        ({"moment": "soon"}, "@ $.moment"),
        ({"day": "2000-13-01"}, "@ $.day"),
        ({"clock": "25:00"}, "@ $.clock"),
        ({"span": 1.5}, "expected microseconds, found float 1.5 @ $.span"),
        ({"id": "x"}, "@ $.id"),
        ({"colour": "green"}, "expected Colour('red', 'blue') @ $.colour"),
        ({"mode": "never"}, "@ $.mode"),
        ({"maybe": [1]}, "@ $.maybe"),
        ({"point": {"x": "1"}}, "expected int, found str '1' @ $.point.x"),
        ({"points": [{"x": 1}, {}]}, "required field missing @ $.points[1].x"),
        ({"points": [{"x": 1, "z": 1}]}, "extra fields found (z) @ $.points[0]"),
        ({"points": {"x": 1}}, "expected a list, found dict {'x': 1} @ $.points"),
        ({"pair": ["a", 1, 2]}, "expected 2 elements, found 3 @ $.pair"),
        ({"pair": [1, "a"]}, "expected str, found int 1 @ $.pair[0]; expected int, found str 'a' @ $.pair[1]"),
        ({"names": "abc"}, "expected a list, found str 'abc' @ $.names"),
        ({"names": ["a", 1]}, "expected str, found int 1 @ $.names[1]"),
        ({"nested": [["a", 1.5], ["b"]]}, "expected 2 elements, found 1 @ $.nested[1]"),
    ],
    ids=str,
)
def test_a_field_that_does_not_fit_is_refused_with_the_path(codec: Codec, data: dict[str, object], found: str) -> None:
    with pytest.raises(InvalidPayload) as refused:
        codec.structure(Full, data)
    assert found in str(refused.value)


def test_malformed_json_is_refused(codec: Codec) -> None:
    with pytest.raises(InvalidPayload, match="no JSON"):
        codec.decode(Plain, "{")


def test_unknown_fields_are_ignored_where_the_type_allows_it(codec: Codec) -> None:
    assert codec.decode(Lenient, '{"text": "x", "more": 1}') == Lenient("x")


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"text": 1}, "text is int 1, expected str"),
        ({"truth": 1}, "truth is int 1, expected bool"),
        ({"number": True}, "number is bool True, expected int"),
        ({"number": 2**64}, "64-bit"),
        ({"text": "\ud800"}, "surrogates"),
        ({"real": float("nan")}, "real is float nan, expected finite float"),
        ({"real": float("inf")}, "real is float inf, expected finite float"),
        ({"nested": (("a", float("nan")),)}, "nested is (('a', nan),)"),
        ({"points": [Point(1)]}, "points is [Point(x=1, label=None)], expected tuple"),
        ({"points": (Point("1"),)}, "points is"),  # type: ignore[arg-type]  # refused on purpose
        ({"colour": "red"}, "colour is 'red', expected Colour('red', 'blue')"),
        ({"mode": "never"}, "mode is 'never', expected Literal['fast', 'slow']"),
        ({"choice": "c"}, "choice is 'c', expected Optional[Literal['a', 'b']]"),
        ({"maybe": 1.5}, "maybe is float 1.5, expected int | str | None"),
        ({"amount": decimal.Decimal("NaN")}, "amount is Decimal('NaN')"),
        ({"pair": ("a", "b")}, "pair is ('a', 'b'), expected tuple[str, int]"),
    ],
    ids=str,
)
def test_a_value_that_could_not_be_read_back_is_not_written(
    codec: Codec, changes: dict[str, object], found: str
) -> None:
    with pytest.raises(InvalidPayload) as refused:
        codec.encode(Full(**changes))  # type: ignore[arg-type]  # refused on purpose
    assert found in str(refused.value)


def test_sets_are_written_in_one_order_whatever_the_hash_seed() -> None:
    program = (
        "from procession import Event\n"
        "from procession.primitives.codec import Codec\n"
        "class Tagged(Event, name='test.tagged'):\n"
        "    tags: frozenset[str]\n"
        "codec = Codec(); codec.register(Tagged)\n"
        "print(codec.encode(Tagged(frozenset('abcdefgh'))))"
    )
    written = {
        subprocess.run(
            [sys.executable, "-c", program],
            env=os.environ | {"PYTHONHASHSEED": str(seed), "PYTHONPATH": os.pathsep.join(sys.path)},
            check=True,
            capture_output=True,
        ).stdout
        for seed in range(3)
    }
    assert len(written) == 1


def test_a_command_given_up_comes_back_with_its_command(codec: Codec) -> None:
    given_up = CommandGivenUp(Ship("421"), "c1", "unknown", 3, "no answer")
    assert codec.decode(CommandGivenUp, codec.encode(given_up)) == given_up


@pytest.mark.parametrize(
    "payload",
    ['{"command_type": "test.unknown"}', '{"command_type": []}', "[]", '{"command_type": "test.ship"}'],
)
def test_a_command_given_up_of_an_unknown_command_is_refused(codec: Codec, payload: str) -> None:
    with pytest.raises(InvalidPayload, match=r"procession\.command_given_up"):
        codec.decode(CommandGivenUp, payload)


def test_registering_twice_changes_nothing(codec: Codec) -> None:
    codec.register(Plain)
    assert codec.decode(Plain, codec.encode(Plain("x"))) == Plain("x")


def test_a_union_that_cannot_be_told_apart_is_refused() -> None:
    class Either(Event, name="test.either"):
        thing: Point | Spot

    with pytest.raises(DefinitionError, match="can't be read back"):
        Codec().register(Either)


@attrs.frozen
class Spot:
    x: int
    label: str | None = None


def test_the_digest_tells_data_apart(codec: Codec) -> None:
    assert codec.digest("test.plain", b"{}") != codec.digest("test.plain", b"[]")


def test_the_digest_tells_types_apart_even_with_long_names(codec: Codec) -> None:
    assert codec.digest("a" * 100 + "b", b"{}") != codec.digest("a" * 100 + "c", b"{}")


def test_a_digest_has_sixteen_bytes(codec: Codec) -> None:
    assert len(codec.digest("test.plain", b"{}")) == 16


class Order(ProcessManager, name="order", key="text"):
    paid: bool = False
    items: frozenset[str] = frozenset()

    @starts
    def plain(self, plain: Plain) -> None: ...


def test_a_state_comes_back_from_its_snapshot(codec: Codec) -> None:
    state = Order(paid=True, items=frozenset({"a", "b"}))
    assert codec.state_from_json(Order, codec.state_to_json(state)) == state


def test_a_snapshot_that_does_not_fit_is_refused(codec: Codec) -> None:
    with pytest.raises(InvalidPayload, match="Order"):
        codec.state_from_json(Order, '{"paid": 1}')


def test_plain_json_goes_both_ways() -> None:
    assert from_json(to_json({"a": [1, None]})) == {"a": [1, None]}


class Crowd(Event, name="codec.crowd"):
    heads: tuple[int, ...]


def test_of_very_many_faults_some_are_named(codec: Codec) -> None:
    codec.register(Crowd)
    with pytest.raises(InvalidPayload) as refused:
        codec.decode(Crowd, f'{{"heads":[{",".join(["null"] * 100_000)}]}}')
    assert "$.heads[19]" in refused.value.found
    assert "$.heads[20]" not in refused.value.found
