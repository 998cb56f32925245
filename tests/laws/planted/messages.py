"""The events and commands that the planted flows share, and a gateway that takes the commands."""

from __future__ import annotations

from datetime import datetime

from procession import Attempt, Command, Event, FailureEvent, Gateway


class Placed(Event, name="planted.placed"):
    """Here every planted flow begins. What a clean twin needs is on it."""

    order_id: str
    at: datetime
    items: tuple[str, ...]
    token: str


class Paid(Event, name="planted.paid"):
    order_id: str
    amount_cents: int


class Noted(Event, name="planted.noted"):
    order_id: str


class Declined(FailureEvent, name="planted.declined"):
    order_id: str
    reason: str


class Note(Command, name="planted.note"):
    """What a planted flow asks for: its text tells what the flow found."""

    order_id: str
    text: str


class Notes(Gateway, name="planted_notes"):
    async def note(self, command: Note, attempt: Attempt) -> Noted | Declined:
        return Noted(command.order_id)
