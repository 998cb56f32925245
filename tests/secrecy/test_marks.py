"""A field that is marked secret: what of its class shows it, and what stays as it was without the mark."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, NewType

import attrs
import pytest

from procession import (
    Aggregate,
    Command,
    CommandGivenUp,
    Effects,
    Event,
    Gateway,
    ProcessManager,
    applies,
    decides,
    open_runtime,
    secret,
    starts,
)
from procession.daemon.linkml import linkml_of
from procession.engine.shadow import Answer, answer_of, judged
from procession.engine.turn import Turn
from procession.errors import DefinitionError, InvalidPayload
from procession.human.question import asked_of
from procession.laws.json_schema import json_schema_of
from procession.laws.schemas import entry_of
from procession.laws.secret_marks import Marks
from procession.mask import MASK, without_credentials
from procession.primitives.codec import Codec
from procession.primitives.concealment import conceal
from procession.primitives.decisions import compile_aggregate
from procession.primitives.schema import first_shape_of, shape_of
from procession.primitives.secrecy import masked_data, plan_of
from procession.primitives.telling import Concealed, concealed, told
from procession.reading.timeline import read_timeline

Token = NewType("Token", str)


@attrs.frozen
class Card:
    number: Annotated[str, secret]
    month: int = 1
    former: Card | None = None


class Opened(Event, name="account.opened"):
    account: str
    card: Card
    pin: Annotated[int, secret]
    hint: Annotated[str, secret] | None = None
    words: tuple[Annotated[str, secret], ...] = ()
    token: Annotated[Token, secret, "of the bank"] = Token("")


class Plain(Event, name="account.opened"):
    """As `Opened`, before anything was marked."""

    account: str
    card: PlainCard
    pin: int
    hint: str | None = None
    words: tuple[str, ...] = ()
    token: Annotated[Token, "of the bank"] = Token("")


@attrs.frozen
class PlainCard:
    number: str
    month: int = 1
    former: PlainCard | None = None


class Pay(Command, name="account.pay"):
    account: str
    card: Annotated[str, secret]


OPENED = Opened("a", Card("4111 1111"), 123, None, ("alpha",), Token("t0ken"))


def test_a_message_shows_its_secrets_masked_and_keeps_them() -> None:
    codec = Codec()
    codec.register(Opened)
    assert repr(OPENED) == (
        f"Opened(account='a', card=Card(number='{MASK}', month=1, former=None), pin='{MASK}', hint=None,"
        f" words='{MASK}', token='{MASK}')"
    )
    assert codec.decode(Opened, codec.encode(OPENED)) == OPENED


def test_a_mark_changes_neither_schema_nor_fingerprint() -> None:
    assert first_shape_of(Opened).replace("Card", "PlainCard") == first_shape_of(Plain)
    assert shape_of(Opened).replace('"Card"', '"PlainCard"') == shape_of(Plain)
    assert entry_of(Opened).fingerprint == entry_of(Plain).fingerprint


def test_what_does_not_fit_is_told_by_its_path_and_not_by_its_value() -> None:
    codec = Codec()
    codec.register(Opened)
    data = {"account": 1, "card": {"number": 4111}, "pin": "SESAME", "hint": 7, "words": [8888]}
    with pytest.raises(InvalidPayload) as caught:
        codec.structure(Opened, data)
    assert caught.value.found == (
        f"expected str, found int 1 @ $.account; expected str, found {MASK} @ $.card.number;"
        f" expected int, found {MASK} @ $.pin; expected str | None, found {MASK} @ $.hint;"
        f" expected str, found {MASK} @ $.words[0]"
    )


def test_data_is_masked_however_deep_and_nothing_stays_nothing() -> None:
    data = {
        "account": "a",
        "card": {"number": "4", "month": 1, "former": {"number": "3"}},
        "pin": 1,
        "hint": None,
        "more": 1,
    }
    assert masked_data(data, plan_of(Opened)) == {
        "account": "a",
        "card": {"number": MASK, "month": 1, "former": MASK},
        "pin": MASK,
        "hint": None,
        "more": 1,
    }


@pytest.mark.parametrize(
    "text",
    ["4111 1111", '"4111 1111"', "4111%201111", "4111+1111", "pin 123.", "t0ken", "4111\\n 1111".replace("\\n", "")],
)
def test_a_text_is_told_without_what_is_in_hand(text: str) -> None:
    found = told(text, OPENED)
    assert MASK in found
    assert "4111" not in found
    assert "123" not in found.split()


def test_a_value_that_does_not_fit_its_type_is_found_too() -> None:
    found = told("no ['SESAME'] and SESAME", Pay("a", ["SESAME"]))  # type: ignore[arg-type]  # it is to be found
    assert found == f"no ['{MASK}'] and {MASK}"


def test_a_short_secret_is_masked_as_a_word_and_not_inside_of_others() -> None:
    assert told("1234 of 123", OPENED) == f"1234 of {MASK}"


def test_news_of_a_command_holds_its_secrets() -> None:
    news = CommandGivenUp(Pay("a", "4111-2222"), "id", "unknown", 1, "no")
    assert told("about 4111-2222", news) == f"about {MASK}"
    assert "4111" not in repr(news)


def test_an_error_stands_for_itself_where_nothing_is_secret_else_for_its_text() -> None:
    cause, error = KeyError("4111 1111"), ValueError("no 4111 1111")
    error.__cause__ = cause
    found = concealed(error, OPENED)
    assert isinstance(found, Concealed)
    assert (str(found), str(found.__cause__)) == (f"ValueError: no {MASK}", f"KeyError: '{MASK}'")
    assert concealed(error, PlainCard("x")) is error
    other = ValueError("no card")
    assert concealed(other, OPENED) is other


@attrs.frozen(repr=False)
class Ring:
    code: Annotated[str, secret]

    def __repr__(self) -> str:
        return f"<ring {self.code}>"


def test_a_repr_of_ones_own_is_kept_and_tells_no_secret() -> None:
    conceal(Ring)
    assert repr(Ring("SESAME")) == f"<ring {MASK}>"


def test_a_key_can_not_be_secret() -> None:
    with pytest.raises(DefinitionError, match=r"has the key 'pin', which Opened marks as secret; keys are shown every"):

        class Flow(ProcessManager, name="flow", key="pin"):
            @starts
            def begin(self, opened: Opened) -> None: ...


def test_a_key_of_an_aggregate_can_not_be_secret() -> None:
    class Till(Aggregate, name="till", key="card"):
        @applies
        def opened(self, opened: Opened) -> Till:
            return self

        @decides
        def pay(self, command: Pay) -> Opened | None: ...

    with pytest.raises(DefinitionError, match="has the key 'card', which Pay marks as secret"):
        compile_aggregate(Till)


class Told(Event, name="account.told"):
    account: str
    card: str
    by: str


def test_what_is_secret_in_a_question_is_secret_in_its_answer() -> None:
    with pytest.raises(DefinitionError, match="copies card from the command, where it is secret, into Told"):
        asked_of(Pay, Told, None, ("here:1", "ask"))


def test_schemas_for_others_say_what_is_secret() -> None:
    schema, linkml = json_schema_of(Opened), linkml_of([Opened])
    assert schema["properties"]["pin"]["x-secret"] is schema["properties"]["pin"]["writeOnly"] is True
    assert schema["$defs"]["Card"]["properties"]["number"]["writeOnly"] is True
    assert "writeOnly" not in schema["properties"]["account"]
    assert linkml["classes"]["Opened"]["attributes"]["pin"]["annotations"] == {"secret": True}
    assert linkml["classes"]["Card"]["attributes"]["number"]["annotations"] == {"secret": True}


class Purse(ProcessManager, name="purse", key="account"):
    pin: Annotated[int, secret] = 0


def test_a_shadow_difference_names_the_field_and_not_the_values() -> None:
    codec = Codec()
    here, there = (
        answer_of(Turn(Purse(pin), (Pay("a", card),), None, "pay"), codec) for pin, card in ((1, "x"), (2, "SESAME"))
    )
    said = judged(here, {"runs": [there, there], "changed": ""})
    assert said == f'has effect 0 (command account.pay) with card "{MASK}", but "{MASK}" in a second process'
    other = Answer(**{**here, "state": {"pin": 777}})
    assert judged(here, {"runs": [other, other], "changed": ""}).startswith(f'has the state with pin "{MASK}"')


class Given(Event, name="card.given"):
    order: str
    card: str


class MarkedLater(Event, name="card.given"):
    order: str
    card: Annotated[str, secret]


def flow_of(event: type[Any]) -> type[ProcessManager]:
    class Order(ProcessManager, name="order", key="order"):
        @starts
        def begin(self, given: event) -> Effects:  # type: ignore[valid-type]  # the class that is tried
            yield Pay(given.order, given.card)  # type: ignore[attr-defined]  # as above

    return Order


class Bank(Gateway, name="bank"):
    async def pay(self, command: Pay) -> None: ...


async def test_a_mark_that_comes_later_holds_for_what_is_there_and_one_that_goes_stays(tmp_path: Path) -> None:
    path, shown = tmp_path / "j.db", []
    for event in (Given, MarkedLater, Given):
        async with open_runtime(path, processes=[flow_of(event)], gateways=[Bank()]) as runtime:
            await runtime.publish(event("1", "SESAME"), id="1", source="test")
            await runtime.drain()
            timeline = await read_timeline(runtime.journal, "order", "1")
            shown.append("SESAME" in timeline.entries[0].event.payload)
            (command,) = timeline.commands.values()
            assert "SESAME" not in command.effects
            assert "SESAME" in (await runtime.journal.events(0, 1))[0].payload
    assert shown == [True, False, False]


def test_what_a_journal_does_not_know_is_shown_as_it_is() -> None:
    marks = Marks.of_classes([Opened])
    assert marks.event_data("account.opened", 1, {"pin": 1}) == {"pin": MASK}
    assert marks.event_data("account.opened", 2, {"pin": 1}) == {"pin": 1}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("no postgres://bob:p@ss/word@db:5432/x today", f"no postgres://{MASK}@db:5432/x today"),
        ("redis://:word@h", f"redis://{MASK}@h"),
        ("https://token@h/x", f"https://{MASK}@h/x"),
        ("http://h:80/ann@b", "http://h:80/ann@b"),
        ('{"at":"https://h/x","to":"a@b"}', '{"at":"https://h/x","to":"a@b"}'),
    ],
)
def test_an_address_tells_no_name_and_no_password(text: str, shown: str) -> None:
    assert without_credentials(text) == shown
