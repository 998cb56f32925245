"""Flows of every kind for the documents and the fuzzer: processes, an aggregate, a projection, tasks for people."""

from __future__ import annotations

import enum
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Literal

import attrs

from procession import (
    Aggregate,
    Attempt,
    Command,
    Effects,
    Event,
    Gateway,
    HumanTasks,
    ProcessManager,
    Projector,
    Question,
    Reading,
    Refusal,
    Refused,
    Settings,
    Store,
    Wiring,
    after,
    applies,
    asks,
    decides,
    ends,
    on,
    projects,
    starts,
)


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


@attrs.frozen
class Line:
    article: str
    pieces: int
    price: Decimal = Decimal(0)


class BasketSent(Event, name="basket.sent"):
    """A customer wants what is in a basket."""

    basket: str
    lines: tuple[Line, ...] = ()
    colour: Colour = Colour.RED
    speed: Literal["slow", "fast"] = "slow"
    wanted_at: datetime | None = None
    weight_kg: float = 0.0


class BasketPacked(Event, name="basket.packed"):
    basket: str


class BasketDropped(Event, name="basket.dropped"):
    """Whoever hears of it fails: its flow goes to quarantine."""

    basket: str


class PackingLapsed(Event, name="basket.packing_lapsed"):
    basket: str


class PackBasket(Command, name="basket.pack"):
    basket: str
    pieces: int


class Basket(ProcessManager, name="basket", key="basket"):
    """One basket on its way."""

    @starts
    def pack(self, sent: BasketSent) -> Effects:
        yield PackBasket(sent.basket, sum(line.pieces for line in sent.lines))
        yield after(timedelta(hours=1), PackingLapsed(sent.basket))

    @on
    def pick_up(self, dropped: BasketDropped) -> None:
        raise ValueError("it is broken")

    @ends
    def done(self, packed: BasketPacked) -> None: ...

    @ends(outcome="lapsed")
    def given_up(self, lapsed: PackingLapsed) -> None: ...


class Packers(Gateway, name="packers", attempts_max=2):
    def pack(self, command: PackBasket, attempt: Attempt) -> BasketPacked:
        if command.pieces > 1_000:
            raise Refused("it is too heavy")
        return BasketPacked(command.basket)


class ReturnFiled(Event, name="return.filed"):
    number: int
    cents: int


class AcceptReturn(Command, name="return.accept"):
    number: int
    cents: int


class ReturnDecided(Event, name="return.decided"):
    number: int
    accepted: bool
    by: str
    comment: str = ""


class ReturnLeftOpen(Event, name="return.left_open"):
    number: int
    why: str


class Return(ProcessManager, name="return", key="number"):
    @starts
    def ask(self, filed: ReturnFiled) -> Effects:
        yield AcceptReturn(filed.number, filed.cents)

    @ends
    def decided(self, decided: ReturnDecided) -> None: ...

    @ends(outcome="unanswered")
    def left_open(self, left_open: ReturnLeftOpen) -> None: ...


class Clerks(HumanTasks, name="clerks"):
    @asks(ReturnDecided, unanswered=ReturnLeftOpen)
    def accept(self, command: AcceptReturn) -> Question:
        return Question(title=f"Return {command.number}", group="clerks")


class NothingLeft(Refusal, name="stock.nothing_left"):
    left: int


class StockTaken(Event, name="stock.taken"):
    article: str
    pieces: int


class TakeStock(Command, name="stock.take"):
    article: str
    pieces: int = 1


class Stock(Aggregate, name="stock", key="article"):
    taken: int = 0

    @applies
    def took(self, taken: StockTaken) -> Stock:
        return self.evolve(taken=self.taken + taken.pieces)

    @decides
    def take(self, command: TakeStock) -> StockTaken | NothingLeft:
        if not 0 < command.pieces <= 100 - self.taken:
            return NothingLeft(100 - self.taken)
        return StockTaken(command.article, command.pieces)


class Baskets(Projector, name="baskets", version=1):
    tables = ("create table baskets (basket text primary key, pieces integer not null) strict",)

    @projects
    def sent(self, sent: BasketSent, store: Store) -> None:
        pieces = min(10**12, max(-(10**12), sum(line.pieces for line in sent.lines)))
        store.execute("insert or replace into baskets values (?, ?)", (sent.basket, pieces))

    def larger_than(self, reading: Reading, pieces: int, limit: int = 10) -> list[str]:
        """Baskets with more pieces than so many."""
        rows = reading.execute(
            "select basket from baskets where pieces > ? order by basket limit ?", (pieces, max(0, min(limit, 100)))
        )
        return [basket for (basket,) in rows]

    def oddly(self, reading: Reading) -> object:
        """It returns what JSON can't hold."""
        return object()


def wire_production(settings: Settings) -> Wiring:
    return Wiring((Basket, Return), (Packers(), Clerks()), aggregates=(Stock,), projectors=(Baskets,))


wire_testing = wire_production
