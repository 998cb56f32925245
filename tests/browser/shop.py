"""A daemon for browsers: reference flows and orders of which some are poisoned, under load from outside."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import attrs
import httpx

from procession.daemon.traffic import plans_of, traffic
from procession.primitives.codec import from_json
from procession.primitives.stored import stored_of
from procession.settings_file import load_settings
from procession.wiring import load_wiring, registry_of
from tests.daemon.command import ROOT
from tests.daemon.http.served import cloud_event
from tests.daemon.serving import serving
from tests.ports import free_port

ORDERS = '''
"""Orders, for the tests of the dashboard: a note that says POISON can't be read."""

from datetime import timedelta

import trio

from procession import (
    Attempt,
    Command,
    Effects,
    Event,
    Gateway,
    ProcessManager,
    Refused,
    Wiring,
    after,
    cancel,
    ends,
    folds,
    on,
    starts,
)


class OrderPlaced(Event, name="order.placed"):
    order_id: str
    customer: str = ""


class NoteAdded(Event, name="order.note_added"):
    order_id: str
    note: str


class OrderPacked(Event, name="order.packed"):
    order_id: str


class OrderSent(Event, name="order.sent"):
    order_id: str


class OrderForgotten(Event, name="order.forgotten"):
    order_id: str


class PackOrder(Command, name="order.pack"):
    order_id: str
    customer: str


class SendOrder(Command, name="order.send"):
    order_id: str


class Order(ProcessManager, name="order", key="order_id"):
    """An order is packed and sent."""

    customer: str = ""
    notes: tuple[str, ...] = ()

    @folds
    def placed(self, placed: OrderPlaced) -> "Order":
        return self.evolve(customer=placed.customer)

    @folds
    def noted(self, added: NoteAdded) -> "Order":
        return self.evolve(notes=(*self.notes, added.note))

    @starts
    def pack(self, placed: OrderPlaced) -> Effects:
        """Have it packed, and look again in half an hour."""
        yield PackOrder(placed.order_id, placed.customer)
        yield after(timedelta(minutes=30), OrderForgotten(placed.order_id))

    @on
    def read(self, added: NoteAdded) -> None:
        """Notes are kept."""
        if "POISON" in added.note:
            raise ValueError(f"the note {added.note} can't be read")

    @on
    def send(self, packed: OrderPacked) -> Effects:
        yield SendOrder(packed.order_id)

    @on
    def remember(self, forgotten: OrderForgotten) -> Effects:
        yield PackOrder(forgotten.order_id, self.customer)

    @ends(outcome="sent")
    def sent(self, sent: OrderSent) -> Effects:
        yield cancel(OrderForgotten)


class Packers(Gateway, name="packers", concurrency=8):
    async def pack(self, command: PackOrder, attempt: Attempt) -> OrderPacked:
        if command.customer.startswith("slow"):
            await trio.sleep(4 if command.customer.startswith("slower") else 0.5)
        if command.customer.startswith("refused"):
            raise Refused(f"nobody packs for {command.customer}")
        return OrderPacked(command.order_id)

    async def send(self, command: SendOrder, attempt: Attempt) -> OrderSent:
        return OrderSent(command.order_id)


def wire_production(settings: object) -> Wiring:
    return Wiring((Order,), (Packers(),))


wire_testing = wire_production
'''
CUSTOMERS = '''
"""A projection of orders that takes its time, so that a rebuild can be watched."""

from orders import OrderPlaced
from procession import Projector, Store, Wiring, projects


class Customers(Projector, name="customers", version=1):
    tables = ("create table customers (order_id text primary key, customer text not null) strict",)

    @projects
    def placed(self, placed: OrderPlaced, store: Store) -> None:
        store.execute(
            "with recursive n(i) as (select 1 union all select i + 1 from n where i < 80000)"
            " insert into customers select ?, ? from (select count(*) from n)",
            (placed.order_id, placed.customer),
        )


def wire_production(settings: object) -> Wiring:
    return Wiring((), (), projectors=(Customers,))


wire_testing = wire_production
'''
MODULES = ["orders", "flows.user_provisioning", "flows.batch_settlement", "flows.expense_approval"]


@attrs.define(eq=False)
class Shop:
    """A daemon that is served over HTTP."""

    folder: Path
    address: str
    client: httpx.Client

    def publish(self, kind: str, id: str, **data: object) -> None:
        """One event; it is durable then."""
        media = {"Content-Type": "application/cloudevents+json"}
        answered = self.client.post("/v1/events", json=cloud_event(kind, id, data), headers=media)
        assert answered.status_code == 200, answered.text

    def place(self, keys: Iterable[str]) -> None:
        """Orders, all in one request."""
        events = [cloud_event("order.placed", f"{key}/placed", {"order_id": key, "customer": "ann"}) for key in keys]
        media = {"Content-Type": "application/cloudevents-batch+json"}
        answered = self.client.post("/v1/events", json=events, headers=media)
        assert answered.status_code == 200, answered.text

    def poisoned(self, key: str, note: str = "POISON", customer: str = "slow ann") -> str:
        """An order that is in quarantine since its note, with its packing waiting behind."""
        self.publish("order.placed", f"{key}/placed", order_id=key, customer=customer)
        self.publish("order.note_added", f"{key}/noted", order_id=key, note=note)
        self.wait_until(key, "quarantined")
        return key

    def poisoned_once(self, key: str) -> str:
        """The same, for whoever needs one and does not repair it."""
        return key if self.flow(key).get("status") == "quarantined" else self.poisoned(key)

    def given_up(self, customers: Mapping[str, str]) -> None:
        """Orders, by key, that are in quarantine since nobody packs them, for reasons that hold the customers' names.

        Those that are there already stay as they are.
        """
        for key, customer in customers.items():
            self.publish("order.placed", f"{key}/placed", order_id=key, customer=f"refused {customer}")
        for key in customers:
            self.wait_until(key, "quarantined")

    def flow(self, key: str) -> dict[str, Any]:
        """Where an order stands."""
        found: dict[str, Any] = self.client.get(f"/v1/flows/order/{quote(key, safe='')}").json()
        return found

    def wait_until(self, key: str, status: str, patience_s: float = 30) -> dict[str, Any]:
        """Wait until an order stands so."""
        give_up_at = time.monotonic() + patience_s
        while (found := self.flow(key)).get("status") != status:
            assert time.monotonic() < give_up_at, found
            time.sleep(0.02)
        return found


@contextlib.contextmanager
def open_shop(folder: Path, http: str = "", token: str = "", more_modules: Sequence[str] = ()) -> Iterator[Shop]:
    """Run it in this folder for as long as the block; `customers` is a module that can be added."""
    (folder / "config").mkdir()
    (folder / "orders.py").write_text(ORDERS)
    (folder / "customers.py").write_text(CUSTOMERS)
    port = free_port()
    configuration = (
        f"modules = {json.dumps([*MODULES, *more_modules])}\n"
        f"import_paths = [{json.dumps(str(folder))}, {json.dumps(str(ROOT))}]\n"
        f'[http]\nbind = "127.0.0.1:{port}"\n{http}\n'
    )
    (folder / "config" / "procession.toml").write_text(configuration)
    address = f"http://127.0.0.1:{port}"
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    limits = httpx.Limits(keepalive_expiry=1)  # on a busy machine a request meets the end of a connection else
    how: dict[str, Any] = {"trust_env": False, "timeout": 30, "headers": headers, "limits": limits}
    with serving(folder), httpx.Client(base_url=address, **how) as client:
        yield Shop(folder, address, client)


@contextlib.contextmanager
def load(shop: Shop, pause_s: float = 0.2) -> Iterator[None]:
    """Traffic of the reference flows, made up, for as long as the block."""
    over = threading.Event()

    def publish() -> None:
        for event in _traffic():
            media = {"Content-Type": "application/cloudevents+json"}
            with contextlib.suppress(httpx.TransportError):  # it is traffic: what fails now and then is not missed
                shop.client.post("/v1/events", json=event, headers=media)
            if over.wait(pause_s):
                return

    publishing = threading.Thread(target=publish)
    publishing.start()
    try:
        yield
    finally:
        over.set()
        publishing.join()


def _traffic() -> Iterator[dict[str, object]]:
    settings = attrs.evolve(load_settings(None, {}), modules=tuple(MODULES[1:]), import_paths=(str(ROOT),))
    registry = registry_of(load_wiring(settings, "testing"))
    for outside in traffic(plans_of(registry), 10_000, 1):
        assert outside.id is not None
        yield cloud_event(
            stored_of(type(outside.event)).name, outside.id, from_json(registry.codec.encode(outside.event))
        )
