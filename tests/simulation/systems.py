"""The reference flows under simulation, as they ship: all gateways by their contracts."""

from __future__ import annotations

import random

from flows import batch_settlement, loan_application, order_fulfilment, user_provisioning
from flows.batch_settlement import BatchReceived
from flows.loan_application import (
    AApproved,
    ACancelled,
    ADeclined,
    ASubmitted,
    LoanApplication,
    OAccepted,
    OCancelled,
    OSent,
    OSentBack,
)
from flows.order_fulfilment import OrderPlaced
from flows.user_provisioning import ProvisioningRequested
from procession import Event, Settings
from procession.testing.simulation.runs import Simulation


def orders(chance: random.Random) -> list[Event]:
    """One to five orders."""
    return [OrderPlaced(str(number), "book", 4200) for number in range(chance.randint(1, 5))]


def ordered() -> Simulation:
    return Simulation(order_fulfilment.wire_testing(Settings()), load=orders)


def batches(chance: random.Random) -> list[Event]:
    """Batches of a few items, an empty one among them."""
    return [
        BatchReceived(str(number), tuple((str(item), 100) for item in range(chance.randint(0, 6))))
        for number in range(chance.randint(1, 3))
    ]


def batched() -> Simulation:
    return Simulation(batch_settlement.wire_testing(Settings()), load=batches)


def users(chance: random.Random) -> list[Event]:
    """Users who need accounts in some systems, or in all."""
    systems = ("badge", "mail", "payroll")
    return [
        ProvisioningRequested(str(number), tuple(chance.sample(systems, chance.randint(0, 3))))
        for number in range(chance.randint(1, 3))
    ]


def provisioned() -> Simulation:
    return Simulation(user_provisioning.wire_testing(Settings()), load=users)


def loans(chance: random.Random) -> list[Event]:
    """Applications with offers, answered and not, decided at last."""
    events: list[Event] = []
    for case in "xy":
        middle = chance.choices((OSent(case), OSentBack(case), OAccepted(case), OCancelled(case)), k=4)
        end = chance.choice((AApproved(case), ADeclined(case), ACancelled(case)))
        events += [ASubmitted(case, "today", "5000"), *middle, *([end] if chance.random() < _DECIDED_SHARE else [])]
    return events


def lent() -> Simulation:
    """An application that nobody decides waits for ever, after its letters were written."""
    return Simulation(loan_application.wire_testing(Settings()), load=loans, may_wait=[LoanApplication])


_DECIDED_SHARE = 0.7
