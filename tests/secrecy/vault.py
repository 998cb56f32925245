"""Flows with canaries in their secret fields, each failing in a way of its own and telling what it should not."""

from __future__ import annotations

import builtins
from typing import Annotated

import attrs

from procession import (
    Aggregate,
    Attempt,
    AttemptFailed,
    Command,
    Effects,
    Event,
    Gateway,
    History,
    HumanTasks,
    ProcessManager,
    Projector,
    Question,
    Refusal,
    Refused,
    Settings,
    Store,
    Wiring,
    applies,
    asks,
    decides,
    ends,
    folds,
    invariant,
    on,
    projects,
    secret,
    starts,
)

CANARY = "CANARY"
"""Every secret begins with it, so that a part of one is found, too."""
CARD = 'CANARY card/4111 "quoted" é'
IBAN = "CANARY-iban-DE89"
PIN = "CANARY-pin-0417"


@attrs.frozen
class Holder:
    name: str
    iban: Annotated[str, secret]


class CardGiven(Event, name="purchase.card_given"):
    order: str
    card: Annotated[str, secret]
    holder: Holder


class CardCharged(Event, name="purchase.card_charged"):
    order: str
    card: Annotated[str, secret]


class PinAsked(Event, name="purchase.pin_asked"):
    order: str


class PinGiven(Event, name="purchase.pin_given"):
    order: str
    card: Annotated[str, secret]
    pin: Annotated[str, secret]
    by: str
    remark: str


class ChargeCard(Command, name="purchase.charge"):
    order: str
    card: Annotated[str, secret]


class AskPin(Command, name="purchase.ask_pin"):
    order: str
    card: Annotated[str, secret]


class Purchase(ProcessManager, name="purchase", key="order"):
    card: Annotated[str, secret] = ""

    @folds
    def given(self, given: CardGiven) -> Purchase:
        return self.evolve(card=given.card)

    @starts
    def charge(self, given: CardGiven) -> Effects:
        if given.order == "raises":
            raise ValueError(f"no such card {self.card!r} of {given.holder.iban}, in {given}")
        if given.order == "impure":
            getattr(builtins, given.holder.name.replace("ann", "open"))(f"/nowhere/{given.card}")  # out of sight
        if given.order == "nonsense":
            yield given.card  # type: ignore[misc]  # it is to be caught
        if given.order == "misfit":
            yield ChargeCard(given.order, [given.card])  # type: ignore[arg-type]  # as above
        yield ChargeCard(given.order, given.card)

    @on
    def ask(self, asked: PinAsked) -> Effects:
        yield AskPin(asked.order, self.card)

    @ends
    def charged(self, charged: CardCharged | PinGiven) -> None: ...


class Bank(Gateway, name="bank", attempts_max=1):
    async def charge(self, command: ChargeCard, attempt: Attempt) -> CardCharged | None:
        if command.order == "refused":
            raise Refused(f"the bank says no to {command.card}")
        if command.order == "given_up":
            raise AttemptFailed(f"no answer about {command.card!r}")
        if command.order == "broken_bank":
            raise RuntimeError(f"{command.card} in {command}")
        if command.order == "misread":
            return CardCharged(command.order, command.card.encode())  # type: ignore[arg-type]  # it is to be caught
        return None if command.order == "pending" else CardCharged(command.order, command.card)


class Clerks(HumanTasks, name="clerks"):
    @asks(PinGiven)
    def ask_pin(self, command: AskPin) -> Question:
        return Question(title=f"PIN of {command.order}", group="clerks")


# An aggregate that keeps cards.


class CardKept(Event, name="vault.card_kept"):
    vault: str
    card: Annotated[str, secret]


class KeepCard(Command, name="vault.keep_card"):
    vault: str
    card: Annotated[str, secret]


class CardUnwelcome(Refusal, name="vault.card_unwelcome"):
    card: Annotated[str, secret]


class Vault(Aggregate, name="vault", key="vault"):
    card: Annotated[str, secret] = ""

    @applies
    def kept(self, kept: CardKept) -> Vault:
        return self.evolve(card=kept.card)

    @decides
    def keep(self, command: KeepCard) -> CardKept | CardUnwelcome:
        if command.vault == "raises":
            raise LookupError(command.card)
        return CardUnwelcome(self.card) if self.card else CardKept(command.vault, command.card)


class Cards(Projector, name="cards", version=1):
    tables = ("create table cards (card text)",)

    @projects
    def kept(self, kept: CardKept, store: Store) -> None:
        raise RuntimeError(f"can't keep {kept.card}")


@invariant(Purchase)
def somebodys(history: History) -> bool:
    """A card that was charged is somebody's."""
    for charged in history.handled(CardCharged):
        raise AssertionError(f"whose is {charged.card}?")
    return True


def wire_production(settings: Settings) -> Wiring:
    """All of it."""
    return Wiring(
        processes=(Purchase,),
        gateways=(Bank(), Clerks()),
        aggregates=(Vault,),
        projectors=(Cards,),
        invariants=(somebodys,),
    )


wire_testing = wire_production
ORDERS = ("well", "raises", "impure", "nonsense", "misfit", "refused", "given_up", "broken_bank", "misread", "pending")


def given(order: str) -> CardGiven:
    return CardGiven(order, CARD, Holder("ann", IBAN))
