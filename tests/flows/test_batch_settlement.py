"""Batch settlement, by what it asks for."""

from __future__ import annotations

import hypothesis
from hypothesis import strategies as st

from flows.batch_settlement import Batch, BatchReceived, ItemAbandoned, ItemRejected, ItemSettled, SettleItem
from procession import CommandGivenUp, Event
from procession.testing.scenario import given

received = given(Batch, BatchReceived("73", (("a", 100), ("b", 250))))


def given_up(item_id: str) -> CommandGivenUp[SettleItem]:
    return CommandGivenUp(SettleItem("73", item_id, 250), "c1", "unknown", 5, "no answer")


def test_every_item_is_settled_at_once() -> None:
    settling = (SettleItem("73", "a", 100), SettleItem("73", "b", 250))
    given(Batch).when(BatchReceived("73", (("a", 100), ("b", 250)))).then(*settling)


def test_an_empty_batch_is_settled() -> None:
    given(Batch).when(BatchReceived("73", ())).then_ends("settled")


def test_a_batch_goes_on_while_an_item_is_open() -> None:
    received.when(ItemSettled("73", "a")).then_nothing().then_goes_on()


def test_a_batch_with_all_items_settled_is_settled() -> None:
    received.when(ItemSettled("73", "a"), ItemSettled("73", "b")).then_ends("settled")


def test_a_batch_with_some_items_rejected_is_partly_settled() -> None:
    received.when(ItemSettled("73", "a"), ItemRejected("73", "b")).then_ends("partly_settled")


def test_a_batch_with_all_items_rejected_has_failed() -> None:
    received.when(ItemRejected("73", "a"), ItemRejected("73", "b")).then_ends("failed")


def test_an_item_given_up_is_recorded_as_abandoned() -> None:
    received.when(given_up("b")).then_recorded(ItemAbandoned("73", "b", "no answer"))


def test_an_abandoned_item_counts_as_the_last_one() -> None:
    received.when(ItemSettled("73", "a")).when(given_up("b")).then_ends("partly_settled")


def test_an_answer_after_the_end_is_late() -> None:
    received.when(ItemSettled("73", "a"), given_up("b")).when(ItemSettled("73", "b")).then_refused("late")


def test_two_batches_are_two_flows() -> None:
    given(Batch, key="74").when(BatchReceived("74", (("a", 1),))).then(SettleItem("74", "a", 1))


@hypothesis.given(st.lists(st.sampled_from([ItemSettled, ItemRejected]), min_size=1, max_size=12))
def test_a_batch_ends_with_its_last_item_whatever_the_answers(
    answers: list[type[ItemSettled | ItemRejected]],
) -> None:
    items = tuple((str(number), 1) for number in range(len(answers)))
    events: list[Event] = [answer("73", str(number)) for number, answer in enumerate(answers)]
    settled = answers.count(ItemSettled)
    outcome = {0: "failed", len(answers): "settled"}.get(settled, "partly_settled")
    given(Batch, BatchReceived("73", items), *events[:-1]).when(events[-1]).then_ends(outcome)
