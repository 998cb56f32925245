"""Projectors that break laws 3, 5 and 9; each with a twin that does the same thing cleanly."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Callable
from typing import Literal

import attrs

from procession import Envelope, Projector, Reading, Runtime, Store, Wiring, projects
from tests.laws.planted.breach import Static
from tests.laws.planted.messages import Paid, Placed

Running = Literal["refused", "guarded", "missed"]
"""refused: the store, or Python, stops it while it runs. guarded: the guard of turns reports it."""
Rebuilt = Literal["differs", "the same", "by chance", "–"]  # noqa: RUF001 - as the page has it
"""What a second fold of the same events gives, where a first one can be had."""
_TABLE = "create table seen (order_id text, number integer) strict"
_INSERT = "insert into seen values (?, ?)"
_COUNTED: dict[str, int] = {}
_NUMBERS = itertools.count()


@attrs.frozen
class PlantedProjector:
    """One breach of one law by a projector, with its clean twin: what is wired, or made by a class statement."""

    name: str
    code: str
    static: Static
    running: Running
    rebuilt: Rebuilt
    build: Callable[[], tuple[type[Projector], ...]]
    twin: Callable[[], tuple[type[Projector], ...]] = lambda: (Counts,)

    def wired(self) -> Wiring:
        return Wiring((), (), projectors=self.build())

    def twin_wired(self) -> Wiring:
        return Wiring((), (), projectors=self.twin())


class Counts(Projector, name="counts"):
    """The clean twin of most: it counts in its own table."""

    tables = (_TABLE,)

    @projects
    def placed(self, placed: Placed, store: Store) -> None:
        store.execute("insert into seen select ?, count(*) from seen", (placed.order_id,))


class CountsPaid(Counts, name="counts_paid"):
    """Beside another one, with a store of its own."""

    tables = (_TABLE,)

    @projects
    def paid(self, paid: Paid, envelope: Envelope, store: Store) -> None:
        store.execute(_INSERT, (paid.order_id, int(envelope.recorded_at.timestamp())))


def pair() -> tuple[type[Projector], ...]:
    return (Counts, CountsPaid)


def list_on_the_class() -> tuple[type[Projector], ...]:
    class KeepsList(Projector, name="keeps_list"):
        tables = (_TABLE,)
        seen: list[str] = []  # noqa: RUF012 - what is refused

        @projects
        def placed(self, placed: Placed, store: Store) -> None:
            self.seen.append(placed.order_id)

    return (KeepsList,)


def field_of_its_own() -> tuple[type[Projector], ...]:
    class HasField(Projector, name="has_field"):
        tables = (_TABLE,)
        number: int

        @projects
        def placed(self, placed: Placed, store: Store) -> None:
            store.execute(_INSERT, (placed.order_id, self.number))

    return (HasField,)


class KeepsOnSelf(Projector, name="keeps_on_self"):
    tables = (_TABLE,)
    number = 0

    @projects
    def placed(self, placed: Placed, store: Store) -> None:
        self.number = self.number + 1
        store.execute(_INSERT, (placed.order_id, self.number))


class KeepsOnClass(Projector, name="keeps_on_class"):
    tables = (_TABLE,)
    number = 0

    @projects
    def placed(self, placed: Placed, store: Store) -> None:
        KeepsOnClass.number += 1
        store.execute(_INSERT, (placed.order_id, KeepsOnClass.number))


class KeepsInModule(Projector, name="keeps_in_module"):
    tables = (_TABLE,)

    @projects
    def placed(self, placed: Placed, store: Store) -> None:
        _COUNTED[placed.order_id] = _COUNTED.get(placed.order_id, 0) + 1
        store.execute(_INSERT, (placed.order_id, _COUNTED[placed.order_id]))


class DrawsNumbers(Projector, name="draws_numbers"):
    tables = (_TABLE,)

    @projects
    def placed(self, placed: Placed, store: Store) -> None:
        store.execute(_INSERT, (placed.order_id, next(_NUMBERS)))


class Commits(Projector, name="commits"):
    tables = (_TABLE,)

    @projects
    def placed(self, placed: Placed, store: Store) -> None:
        store.execute(_INSERT, (placed.order_id, 1))
        store.execute("commit")


class OpensStore(Projector, name="opens_store"):
    tables = (_TABLE,)

    @projects
    def placed(self, placed: Placed, store: Store) -> None:
        with sqlite3.connect(":memory:") as other:
            store.execute(_INSERT, (placed.order_id, other.total_changes))
        other.close()


class Attaches(Projector, name="attaches"):
    tables = (_TABLE,)

    @projects
    def placed(self, placed: Placed, store: Store) -> None:
        store.execute("attach ':memory:' as other")


class SaysPragma(Projector, name="says_pragma"):
    tables = (_TABLE,)

    @projects
    def placed(self, placed: Placed, store: Store) -> None:
        store.execute("pragma database_list")


class Meddles(Projector, name="meddles"):
    tables = (_TABLE,)

    @projects
    def placed(self, placed: Placed, store: Store) -> None:
        Counts().placed(placed, store)


class AsksOther(Projector, name="asks_other"):
    tables = (_TABLE,)

    @projects
    def placed(self, placed: Placed, store: Store) -> None:
        store.execute(_INSERT, (Runtime.query.__qualname__, 1))


class ReadsOther(Projector, name="reads_other"):
    tables = (_TABLE,)

    @projects
    def placed(self, placed: Placed, store: Store) -> None:
        store.execute(_INSERT, (placed.order_id, Readings().total(store)))


class Readings(Projector, name="readings"):
    tables = (_TABLE,)
    placed = Counts.placed

    def total(self, reading: Reading) -> int:
        return len(reading.execute("select * from seen"))


class SameStore(Projector, name="same_store", store="counts"):
    tables = (_TABLE,)
    placed = Counts.placed


class InCapitals(Projector, name="in_capitals", store="Counts"):
    tables = (_TABLE,)
    placed = Counts.placed


class ClockInSql(Projector, name="clock_in_sql"):
    tables = (_TABLE,)

    @projects
    def placed(self, placed: Placed, store: Store) -> None:
        store.execute("insert into seen values (?, unixepoch())", (placed.order_id,))


class ClockInTable(Projector, name="clock_in_tables"):
    tables = ("create table seen (order_id text, at text default current_timestamp) strict",)

    @projects
    def placed(self, placed: Placed, store: Store) -> None:
        store.execute("insert into seen (order_id) values (?)", (placed.order_id,))


class ChanceInSql(Projector, name="chance_in_sql"):
    tables = (_TABLE,)

    @projects
    def placed(self, placed: Placed, store: Store) -> None:
        store.execute("insert into seen values (?, random())", (placed.order_id,))


_NONE: Rebuilt = "–"  # noqa: RUF001 - as the page has it
PROJECTORS = (
    PlantedProjector("list on the class", "LAW05", "refused", "missed", _NONE, list_on_the_class),
    PlantedProjector("field of a projector", "LAW05", "refused", "missed", _NONE, field_of_its_own),
    PlantedProjector("counter on itself", "LAW05", "refused", "refused", _NONE, lambda: (KeepsOnSelf,)),
    PlantedProjector("counter on its class", "LAW05", "refused", "missed", "differs", lambda: (KeepsOnClass,)),
    PlantedProjector("dict of its module", "LAW05", "refused", "missed", "differs", lambda: (KeepsInModule,)),
    PlantedProjector("iterator of its module", "LAW05", "refused", "missed", "differs", lambda: (DrawsNumbers,)),
    PlantedProjector("transaction of its own", "LAW05", "found", "refused", _NONE, lambda: (Commits,)),
    PlantedProjector("one store for two", "LAW09", "refused", "missed", _NONE, lambda: (Counts, SameStore), pair),
    PlantedProjector("one store by case", "LAW09", "refused", "missed", _NONE, lambda: (Counts, InCapitals), pair),
    PlantedProjector("store opened by itself", "LAW09", "refused", "guarded", "the same", lambda: (OpensStore,)),
    PlantedProjector("ATTACH", "LAW09", "found", "refused", _NONE, lambda: (Attaches,)),
    PlantedProjector("PRAGMA", "LAW09", "found", "refused", _NONE, lambda: (SaysPragma,)),
    PlantedProjector("handler of another projector", "LAW09", "refused", "missed", "the same", lambda: (Meddles,)),
    PlantedProjector("query of another projector", "LAW09", "refused", "missed", "the same", lambda: (ReadsOther,)),
    PlantedProjector("Runtime.query from a projector", "LAW09", "refused", "missed", "the same", lambda: (AsksOther,)),
    PlantedProjector("clock in SQL", "LAW03", "found", "refused", _NONE, lambda: (ClockInSql,)),
    PlantedProjector("clock in a default of a table", "LAW03", "found", "missed", "by chance", lambda: (ClockInTable,)),
    PlantedProjector("chance in SQL", "LAW03", "found", "refused", _NONE, lambda: (ChanceInSql,)),
)
