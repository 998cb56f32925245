"""Flows that reach for projections; each with a twin that keeps what it needs in its own state."""

from __future__ import annotations

from procession import Effects, ProcessManager, Projector, Reading, Runtime, Store, projects, starts
from procession.facades import QueryFacade
from procession.projections.folder import folder_of
from tests.laws.planted.breach import Breach
from tests.laws.planted.messages import Note, Placed


class Seen(Projector, name="planted_seen"):
    """What the flows below must not ask."""

    tables = ("create table seen (order_id text) strict",)

    @projects
    def placed(self, placed: Placed, store: Store) -> None:
        store.execute("insert into seen values (?)", (placed.order_id,))

    def all(self, reading: Reading) -> int:
        return len(reading.execute("select * from seen"))


class AsksRuntime(ProcessManager, name="planted.asks_runtime", key="order_id"):
    @starts
    def note(self, placed: Placed) -> Effects:
        yield Note(placed.order_id, Runtime.query.__qualname__)


class AsksFacade(ProcessManager, name="planted.asks_facade", key="order_id"):
    @starts
    def note(self, placed: Placed) -> Effects:
        yield Note(placed.order_id, QueryFacade.events.__qualname__)


class AsksProjector(ProcessManager, name="planted.asks_projector", key="order_id"):
    @starts
    def note(self, placed: Placed) -> Effects:
        yield Note(placed.order_id, type(Seen()).__name__)


class FindsStore(ProcessManager, name="planted.finds_store", key="order_id"):
    @starts
    def note(self, placed: Placed) -> Effects:
        yield Note(placed.order_id, folder_of("orders.db"))


class NamesProjection(ProcessManager, name="planted.names_projection", key="order_id"):
    """To name it is no breach: only to ask it."""

    @starts
    def note(self, placed: Placed) -> Effects:
        yield Note(placed.order_id, f"{Seen.__name__} will show it")


PROJECTIONS = (
    Breach("Runtime.query reached from a turn", "LAW07", "refused", lambda: AsksRuntime, lambda: NamesProjection),
    Breach("QueryFacade.events reached from a turn", "LAW07", "refused", lambda: AsksFacade, lambda: NamesProjection),
    Breach("a projector made in a turn", "LAW07", "refused", lambda: AsksProjector, lambda: NamesProjection),
    Breach("the stores reached from a turn", "LAW07", "refused", lambda: FindsStore, lambda: NamesProjection),
)
