"""A service that writes letters to customers."""

from __future__ import annotations

from flows.simulated.weather import CALM, Desk, Weather
from procession import Attempt


class SimulatedLetters:
    """Sends letters."""

    def __init__(self, weather: Weather = CALM) -> None:
        self.sent: Desk[None] = Desk(weather)

    async def ask_about_offer(self, case_id: str, attempt: Attempt) -> None:
        """Ask a customer what became of our offer."""
        await self.sent.call(attempt, lambda: None)
