"""A bank that settles payments."""

from __future__ import annotations

from flows.simulated.weather import CALM, Desk, Weather
from procession import Attempt


class SimulatedBank:
    """Settles items; rejects as many as the weather declines."""

    def __init__(self, weather: Weather = CALM) -> None:
        self.settlements: Desk[bool] = Desk(weather)

    async def settle(self, item_id: str, amount_cents: int, attempt: Attempt) -> bool:
        """Whether the item is settled."""
        return await self.settlements.call(attempt, lambda: not self.settlements.weather.declines(attempt))
