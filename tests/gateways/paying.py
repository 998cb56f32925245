"""An order that is charged over HTTP."""

from __future__ import annotations

from typing import Any

import httpx

from procession import Attempt, Command, CommandGivenUp, Effects, Event, ProcessManager, end, ends, on, starts
from procession.gateways.http import HttpGateway, HttpPolicy


class Ordered(Event, name="paying.ordered"):
    order_id: str


class Charged(Event, name="paying.charged"):
    order_id: str
    receipt: str


class Declined(Event, name="paying.declined"):
    order_id: str


class Charge(Command, name="paying.charge"):
    order_id: str


class Paying(ProcessManager, name="paying", key="order_id"):
    @starts
    def charge(self, ordered: Ordered) -> Effects:
        yield Charge(ordered.order_id)

    @ends(outcome="charged")
    def charged(self, charged: Charged) -> None: ...

    @ends(outcome="declined")
    def declined(self, declined: Declined) -> None: ...

    @on
    def lost(self, lost: CommandGivenUp[Charge]) -> Effects:
        yield end(lost.reason)


_POLICY: dict[str, Any] = {
    "concurrency": 64,
    "timeout_s": 60,
    "attempts_max": 5,
    "backoff_initial_s": 0.01,
    "backoff_max_s": 0.05,
    "breaker_failures": 1_000,
}


class Bank(HttpGateway, name="bank", http=HttpPolicy(read_timeout_s=0.5, response_bytes_max=100_000), **_POLICY):
    """Takes an answer that a busy machine holds up for none."""

    async def charge(self, command: Charge, attempt: Attempt) -> Charged | Declined:
        answer = await self.request(attempt, "POST", "/charges", json=command, answers=(402,))
        return Declined(command.order_id) if answer.status == 402 else answer.read(Charged)


class PatientBank(Bank, name="bank", http=HttpPolicy(read_timeout_s=30, response_bytes_max=100_000), **_POLICY):
    """Waits for every answer that comes."""


def bank_at(address: str, kind: type[Bank] = PatientBank, **options: object) -> Bank:
    return kind(httpx.AsyncClient(base_url=address, **options))  # type: ignore[arg-type]  # httpx's own options
