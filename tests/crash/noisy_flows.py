"""An errand whose gateway writes much to the log, for daemons whose log is no good."""

from __future__ import annotations

import logging

from procession import Command, Effects, Event, Gateway, ProcessManager, Wiring, ends, starts

logger = logging.getLogger("procession.noisy")
LINE = "x" * 2_000


class Asked(Event, name="noisy.asked"):
    errand: str


class Ran(Event, name="noisy.ran"):
    errand: str


class Run(Command, name="noisy.run"):
    errand: str


class Errand(ProcessManager, name="noisy_errand", key="errand"):
    @starts
    def go(self, asked: Asked) -> Effects:
        yield Run(asked.errand)

    @ends
    def back(self, ran: Ran) -> None: ...


class Legs(Gateway, name="noisy_legs"):
    async def run(self, command: Run) -> Ran:
        logger.warning("%s %s", command.errand, LINE)
        return Ran(command.errand)


def wire_production(settings: object) -> Wiring:
    return Wiring(processes=(Errand,), gateways=(Legs(),))


wire_testing = wire_production
