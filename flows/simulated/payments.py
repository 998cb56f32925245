"""A payment provider."""

from __future__ import annotations

from flows.simulated.weather import CALM, Desk, Weather
from procession import Attempt


class SimulatedPayments:
    """Charges and refunds; declines the share of charges that the weather says."""

    def __init__(self, weather: Weather = CALM) -> None:
        self.charges: Desk[bool] = Desk(weather)
        self.refunds: Desk[None] = Desk(weather)

    async def charge(self, order_id: str, amount_cents: int, attempt: Attempt) -> bool:
        """Whether the card was charged."""
        return await self.charges.call(attempt, lambda: not self.charges.weather.declines(attempt))

    async def refund(self, order_id: str, attempt: Attempt) -> None:
        """Give back whatever was taken for this order."""
        await self.refunds.call(attempt, lambda: None)
