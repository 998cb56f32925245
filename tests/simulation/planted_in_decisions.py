"""Three further faults: of aggregates, and of what they decide."""

# What is broken here is private, and has no types of its own.
# ruff: noqa: ANN401, SLF001

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from procession import CommandRefused
from procession.engine.aggregate_host import AggregateHost
from procession.engine.decisions import AggregateStream, Asked, Decisions
from procession.engine.router import Router

Plant = Callable[[pytest.MonkeyPatch], None]


def decided_and_left_open(patch: pytest.MonkeyPatch) -> None:
    """What was decided for a flow is not noted on its command: another life decides it again."""
    whole = Decisions._end

    def end(self: Decisions, asked: Asked, state: Any) -> None:
        whole(self, asked, state)
        self._ledger.filling.commit.command_changes.pop()

    patch.setattr(Decisions, "_end", end)


def refusal_kept_from_its_flow(patch: pytest.MonkeyPatch) -> None:
    whole = Router.address

    def address(self: Router, news: Any, *rest: Any) -> Any:
        return None if isinstance(news, CommandRefused) else whole(self, news, *rest)

    patch.setattr(Router, "address", address)


def loaded_without_its_past(patch: pytest.MonkeyPatch) -> None:
    """An aggregate that is loaded decides as a new one."""
    whole = AggregateHost._load

    async def load(self: AggregateHost, stream: AggregateStream) -> None:
        await whole(self, stream)
        stream.state = stream.definition.cls()

    patch.setattr(AggregateHost, "_load", load)


PLANTS: tuple[Plant, ...] = (
    decided_and_left_open,
    refusal_kept_from_its_flow,
    loaded_without_its_past,
)
