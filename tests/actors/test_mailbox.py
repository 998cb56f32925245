"""A mailbox is a window on what is stored: nobody waits for it, and what it holds comes before what it does not."""

from __future__ import annotations

from procession.actors.mailbox import Mailbox


def test_what_fits_is_kept_in_order() -> None:
    mailbox = Mailbox[int](3)
    assert [mailbox.post(number) for number in range(3)] == [True, True, True]
    assert [mailbox.take() for _ in range(3)] == [0, 1, 2]


def test_what_does_not_fit_is_left_to_the_store() -> None:
    mailbox = Mailbox[int](2)
    assert [mailbox.post(number) for number in range(3)] == [True, True, False]
    assert (list(mailbox), mailbox.more) == ([0, 1], True)


def test_nothing_is_kept_behind_what_was_left_to_the_store() -> None:
    mailbox = Mailbox[int](2)
    for number in range(3):
        mailbox.post(number)
    mailbox.take()
    assert not mailbox.post(3)
    assert list(mailbox) == [1]


def test_what_was_read_on_takes_the_place_of_what_was_there() -> None:
    mailbox = Mailbox[int](2)
    mailbox.leave_to_store()
    mailbox.refill([4, 5], more=False)
    assert (list(mailbox), mailbox.more) == ([4, 5], False)
    mailbox.take()
    assert mailbox.post(6)


def test_what_goes_first_goes_whatever_the_bound() -> None:
    mailbox = Mailbox[int](1)
    mailbox.post(9)
    mailbox.put_first([1, 2, 3])
    assert list(mailbox) == [1, 2, 3, 9]


def test_one_item_is_taken_out_wherever_it_stands() -> None:
    mailbox = Mailbox[int](3)
    for number in range(3):
        mailbox.post(number)
    mailbox.remove(1)
    assert list(mailbox) == [0, 2]


def test_a_mailbox_that_is_left_to_the_store_is_empty_and_not_done() -> None:
    mailbox = Mailbox[int](3)
    mailbox.post(1)
    mailbox.leave_to_store()
    assert (len(mailbox), mailbox.more) == (0, True)


def test_a_cleared_mailbox_is_done() -> None:
    mailbox = Mailbox[int](1)
    mailbox.post(1)
    mailbox.post(2)
    mailbox.clear()
    assert (len(mailbox), mailbox.more) == (0, False)
