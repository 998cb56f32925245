"""A warehouse."""

from __future__ import annotations

from flows.simulated.weather import CALM, Desk, Weather
from procession import Attempt


class SimulatedWarehouse:
    """Reserves and releases; is out of stock as often as the weather declines."""

    def __init__(self, weather: Weather = CALM) -> None:
        self.reservations: Desk[bool] = Desk(weather)
        self.releases: Desk[None] = Desk(weather)

    async def reserve(self, order_id: str, article: str, attempt: Attempt) -> bool:
        """Whether the article is set aside for this order."""
        return await self.reservations.call(attempt, lambda: not self.reservations.weather.declines(attempt))

    async def release(self, order_id: str, attempt: Attempt) -> None:
        """Put back whatever is set aside for this order."""
        await self.releases.call(attempt, lambda: None)
