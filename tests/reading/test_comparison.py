"""What a recorded turn asked for beside what the same turn asks for today."""

from __future__ import annotations

import json
from typing import Any

import pytest

from procession.reading.comparison import asked_for, changes_of, shortened

EVENT_US = 1_000_000_000
HOUR_US = 3_600_000_000

Effect = dict[str, Any]


def command(name: str = "payment.charge", identity: str = "c1", version: int = 1, **data: object) -> Effect:
    return {"command": name, "version": version, "id": identity, "data": data}


def timer(delay_us: int | None = HOUR_US, lag_us: int = 0, name: str = "order.overdue", **data: object) -> Effect:
    """A deadline as a step holds it; without a delay it is absolute, an hour after its event."""
    asked = {} if delay_us is None else {"after_us": delay_us}
    due_us = EVENT_US + (HOUR_US if delay_us is None else delay_us) + lag_us
    return {"timer": name, "id": "t1", "due_us": due_us, **asked, "event": "order.overdue", "version": 1, "data": data}


def differences(recorded: list[Effect] | None, now: list[Effect] | None) -> list[str]:
    before, after = (None if effects is None else json.dumps(effects) for effects in (recorded, now))
    return [change.what for change in changes_of(before, after, EVENT_US, lambda effect: effect)]


SAME: list[tuple[list[Effect] | None, list[Effect] | None]] = [
    (None, None),
    ([command(a=1)], [command(a=1)]),
    ([timer(lag_us=5_000)], [timer()]),
    ([{"cancel": "x"}, {"end": "paid"}], [{"cancel": "x"}]),
    ([{"end": "paid"}], None),
    ([{"record": "a.counted", "id": "r"}], [{"record": "a.counted", "id": "r"}]),
]


@pytest.mark.parametrize(("recorded", "now"), SAME)
def test_what_asks_for_the_same_has_no_differences(recorded: list[Effect] | None, now: list[Effect] | None) -> None:
    assert differences(recorded, now) == []


DIFFERENT: list[tuple[list[Effect] | None, list[Effect] | None, list[str]]] = [
    (None, [command()], ["sends command payment.charge, which it did not"]),
    ([command()], None, ["no longer sends command payment.charge"]),
    ([command(a=1, b=2)], [command(a=1, b=3)], ["command payment.charge has another b"]),
    ([command(a=1)], [command(a=1, b=3)], ["command payment.charge has another b"]),
    ([command()], [command(version=2)], ["command payment.charge has another version"]),
    ([command(a=1), command(a=2)], [command(a=2)], ["sends command payment.charge less often"]),
    ([command(a=1)], [command(a=1), command(a=2)], ["sends command payment.charge more often"]),
    ([command(a=1), command("b")], [command("b"), command(a=1)], ["asks for the same in another order"]),
    ([command(identity="c1")], [command(identity="c2")], ["command payment.charge has an id that does not derive"]),
    ([timer(HOUR_US)], [timer(2 * HOUR_US)], ["deadline order.overdue falls due at another time"]),
    ([timer(name="a")], [timer(name="b")], ["deadline order.overdue has another name"]),
    ([timer(a=1)], [timer(a=2)], ["deadline order.overdue has another a"]),
    ([timer()], [], ["no longer sets deadline order.overdue"]),
    ([], [{"cancel": "x"}], ["cancels deadline x, which it did not"]),
    ([{"record": "a", "id": "r"}], [{"record": "b", "id": "r"}], ["no longer records event a", "records event b, whi"]),
]


@pytest.mark.parametrize(("recorded", "now", "expected"), DIFFERENT)
def test_a_difference_is_told_by_types_and_fields(
    recorded: list[Effect] | None, now: list[Effect] | None, expected: list[str]
) -> None:
    found = differences(recorded, now)
    assert len(found) == len(expected)
    assert [what.startswith(start) for what, start in zip(found, expected, strict=True)] == [True] * len(found)


@pytest.mark.parametrize("lag_us", [0, 59_000_000])
def test_a_deadline_recorded_without_its_delay_may_be_late_as_a_turn_is(lag_us: int) -> None:
    without = timer(None, lag_us)
    assert differences([without], [timer(HOUR_US)]) == []


@pytest.mark.parametrize("lag_us", [61_000_000, -61_000_000])
def test_a_deadline_recorded_without_its_delay_is_not_later_or_earlier_than_that(lag_us: int) -> None:
    without = timer(None, lag_us)
    assert differences([without], [timer(HOUR_US)]) == ["deadline order.overdue falls due at another time"]


def test_an_absolute_deadline_is_the_same_to_the_microsecond() -> None:
    assert differences([timer(None)], [timer(None)]) == []
    assert differences([timer(None)], [timer(None, 1)]) == ["deadline order.overdue falls due at another time"]


def test_commands_that_are_gone_are_named() -> None:
    before = [command(identity="c1", a=1), command("b", "c2"), command("c", "c3")]
    after = [command(identity="c9", a=2), command("c", "c3")]
    changes = changes_of(json.dumps(before), json.dumps(after), EVENT_US, lambda effect: effect)
    assert [change.commands_gone for change in changes] == [("c1",), ("c2",)]


def test_an_old_effect_is_compared_by_the_types_of_today() -> None:
    old, new = timer(a=1), {**timer(b=1), "version": 2}
    lift = {"version": 2, "data": {"b": 1}}
    assert changes_of(json.dumps([old]), json.dumps([new]), EVENT_US, lambda effect: effect | lift) == ()


def test_long_effects_are_cut() -> None:
    assert shortened({"a": 1}) == {"a": 1}
    text = shortened({"a": "ä" * 5_000})
    assert isinstance(text, str)
    assert text.endswith("ä…")
    assert len(text.encode()) <= 4_003


def test_what_is_asked_for_is_told_once_each() -> None:
    effects = [command(a=1), command(a=2), timer(), {"cancel": "x"}, {"end": "paid"}, {"record": "a", "id": "r"}]
    told = ["sends command payment.charge", "sets deadline order.overdue", "cancels deadline x", "records event a"]
    assert asked_for(json.dumps(effects)) == told
    assert asked_for(None) == []
