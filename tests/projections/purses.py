"""Purses: coins go in and out. A small projection for the tests, and others that misbehave."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from procession import (
    Envelope,
    Event,
    FailureEvent,
    Projector,
    Reading,
    Rows,
    Runtime,
    Settings,
    Store,
    open_runtime,
    projects,
    projects_columns,
)
from procession.settings import ProjectorsSettings, SupervisionSettings


class CoinSaved(Event, name="purse.coin_saved"):
    purse: str
    cents: int


class CoinSpent(Event, name="purse.coin_spent"):
    purse: str
    cents: int


class PurseLost(FailureEvent, name="purse.lost"):
    purse: str


class BellRang(Event, name="bell.rang"):
    """Of no purse's concern."""

    times: int


EVENTS: tuple[type[Event], ...] = (CoinSaved, CoinSpent, PurseLost, BellRang)
TABLE = "create table purses (purse text primary key, cents integer not null, coins integer not null) strict"
BALANCES = "select purse, cents, coins from purses order by purse"


class Purses(Projector, name="purses", version=1):
    tables = (TABLE,)

    @projects
    def saved(self, saved: CoinSaved, store: Store) -> None:
        store.execute(
            "insert into purses values (?, ?, 1)"
            " on conflict (purse) do update set cents = cents + excluded.cents, coins = coins + 1",
            (saved.purse, saved.cents),
        )

    @projects
    def spent(self, spent: CoinSpent, store: Store) -> None:
        store.execute("update purses set cents = cents - ? where purse = ?", (spent.cents, spent.purse))

    @projects
    def lost(self, lost: PurseLost, store: Store, envelope: Envelope) -> None:
        store.execute("delete from purses where purse = ?", (lost.purse,))

    def poorer_than(self, reading: Reading, cents: int) -> list[str]:
        """Purses with less than so much."""
        return [purse for (purse,) in reading.execute("select purse from purses where cents < ? order by 1", (cents,))]


class Coins(Projector, name="coins", version=1):
    """By columns: how many coins ever went into each purse, and the last position of each."""

    tables = ("create table coins (purse text primary key, saved integer not null, position integer not null) strict",)

    @projects_columns(CoinSaved, columns=("position", "data.purse"))
    def saved(self, rows: Rows, store: Store) -> None:
        store.executemany(
            "insert into coins (position, purse, saved) values (?, ?, 1)"
            " on conflict (purse) do update set saved = saved + 1, position = excluded.position",
            rows,
        )


SMALL = ProjectorsSettings(batch_rows_max=2)
QUICK = Settings(
    supervision=SupervisionSettings(restarts_max=2, backoff_initial_s=0.001, backoff_max_s=0.01),
    projectors=ProjectorsSettings(look_interval_s=0.05),
)


@asynccontextmanager
async def purses_open(
    path: Path, *projectors: type[Projector], settings: Settings = QUICK, projections: Path | None = None
) -> AsyncIterator[Runtime]:
    """A runtime with projectors and no process."""
    async with open_runtime(
        path / "purses.db",
        processes=[],
        events=EVENTS,
        projectors=projectors or (Purses,),
        projections=projections,
        settings=settings,
    ) as runtime:
        yield runtime


async def publish(runtime: Runtime, events: Sequence[Event]) -> int:
    """All of them; the last position."""
    return max(await runtime.publish(list(events)))


def coins(number: int, purse: str = "ann") -> list[Event]:
    return [CoinSaved(purse, 1) for _ in range(number)]
