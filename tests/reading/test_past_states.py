"""The state of a flow around each of its events, and what changed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from procession import Effects, Event, ProcessManager, folds, on, starts
from procession.errors import NotFound
from procession.mask import MASK
from procession.reading.flow_states import StateAt, StateChange
from procession.reading.past_states import CHANGES_MAX, changes_between, read_state
from tests.reading.repair import PartFetched, Repair, RepairAsked, journal_of, registry_of

TWO = RepairAsked("b", ("bell", "lamp"))


async def state_at(at: int | None, *events: Event, process: type[ProcessManager] = Repair) -> StateAt:
    return await read_state(await journal_of(*events), registry_of(process), "repair", "b", at)


async def test_the_state_is_told_before_and_after_each_event_with_what_changed(autojump_clock: MockClock) -> None:
    started = await state_at(1, TWO)
    assert (started.before, sorted(started.after["missing"])) == ({"missing": []}, ["bell", "lamp"])
    assert [(change.path, change.kind) for change in started.changes] == [
        ("$.missing[0]", "added"),
        ("$.missing[1]", "added"),
    ]
    assert (started.type, started.fate, started.handler, started.last) == ("repair.asked", "handled", "order_parts", 5)


async def test_an_event_without_a_fold_changes_nothing(autojump_clock: MockClock) -> None:
    found = await state_at(2, TWO)
    assert (found.type, found.changes, found.before == found.after) == ("repair.part_fetched", (), True)


async def test_without_a_place_it_is_the_last_event(autojump_clock: MockClock) -> None:
    found = await state_at(None, RepairAsked("b", ("bell",)))
    assert (found.at, found.after, found.data["left"]) == (3, {"missing": []}, 0)
    assert found.changes == (StateChange("$.missing[0]", "removed", "bell", None),)


class Clumsy(ProcessManager, name="repair", key="bike"):
    """It can't take a part."""

    parts: tuple[str, ...] = ()

    @folds
    def took(self, fetched: PartFetched) -> Clumsy:
        return self.evolve(parts=(self.parts[0], fetched.part))

    @starts
    def begin(self, asked: RepairAsked) -> Effects:
        yield from ()

    @on
    def take(self, fetched: PartFetched) -> None: ...


async def test_a_turn_in_quarantine_is_the_event_behind_the_last_and_says_why_it_fails(
    autojump_clock: MockClock,
) -> None:
    journal = await journal_of(TWO, PartFetched("b", "bell"), process=Clumsy)
    registry = registry_of(Clumsy)
    last = await read_state(journal, registry, "repair", "b", None)
    assert (last.at, last.fate, last.waiting, last.after) == (2, "act", True, {"parts": []})
    head = await read_state(journal, registry, "repair", "b", 3)
    assert (head.fate, head.before, head.after, "IndexError" in head.failure) == (
        "quarantined",
        {"parts": []},
        None,
        True,
    )


@pytest.mark.parametrize(
    ("process", "key", "at"), [("never", "b", 1), ("repair", "z", 1), ("repair", "b", 6), ("repair", "b", 0)]
)
async def test_what_is_not_there_is_not_found(autojump_clock: MockClock, process: str, key: str, at: int) -> None:
    with pytest.raises(NotFound):
        await read_state(await journal_of(TWO), registry_of(), process, key, at)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(0, 3) | st.sampled_from("abc"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b c"]), inner, max_size=2),
    max_leaves=6,
)


@given(json_values, json_values)
def test_two_states_differ_where_a_change_says_so_and_nowhere_else(before: object, after: object) -> None:
    changes, left_out = changes_between(before, after, {})
    assert (not changes) == (repr(before) == repr(after) or before == after)
    assert changes_between(before, before, {}) == ((), 0)
    assert left_out == 0


def test_that_a_secret_differs_is_told_and_not_what_it_is() -> None:
    plan = {"card": True, "holder": {"iban": True}}
    before = {"card": [1, 2], "holder": {"name": "ann", "iban": "x"}, "open": 1}
    after = {"card": [1, 3], "holder": {"name": "bob", "iban": "x"}, "open": 2}
    assert changes_between(before, after, plan)[0] == (
        StateChange("$.card", "changed", MASK, MASK),
        StateChange("$.holder.name", "changed", "ann", "bob"),
        StateChange("$.open", "changed", 1, 2),
    )
    assert changes_between({}, {"card": "x"}, plan)[0] == (StateChange("$.card", "added", None, MASK),)


def test_changes_without_end_are_counted() -> None:
    changes, left_out = changes_between([], list(range(CHANGES_MAX + 3)), {})
    assert (len(changes), left_out) == (CHANGES_MAX, 3)
