"""A parcel service."""

from __future__ import annotations

from flows.simulated.weather import CALM, Desk, Weather
from procession import Attempt


class SimulatedParcels:
    """Ships; turns down as many parcels as the weather declines."""

    def __init__(self, weather: Weather = CALM) -> None:
        self.shipments: Desk[bool] = Desk(weather)

    async def ship(self, order_id: str, attempt: Attempt) -> bool:
        """Whether the parcel is on its way."""
        return await self.shipments.call(attempt, lambda: not self.shipments.weather.declines(attempt))
