"""Systems in which users have accounts: mail, chat, payroll."""

from __future__ import annotations

from flows.simulated.weather import CALM, Desk, Weather
from procession import Attempt


class SimulatedAccounts:
    """Creates and removes; refuses as many accounts as the weather declines."""

    def __init__(self, weather: Weather = CALM) -> None:
        self.creations: Desk[bool] = Desk(weather)
        self.removals: Desk[None] = Desk(weather)

    async def create(self, system: str, user_id: str, attempt: Attempt) -> bool:
        """Whether the user has an account there now."""
        return await self.creations.call(attempt, lambda: not self.creations.weather.declines(attempt))

    async def remove(self, system: str, user_id: str, attempt: Attempt) -> None:
        """Remove the account, if there is one."""
        await self.removals.call(attempt, lambda: None)
