"""Laws of the engine for all histories: whatever is published, restarted and failing, with bounds as low as they go."""

from __future__ import annotations

from typing import Literal

import attrs
import hypothesis
import trio
from hypothesis import strategies as st

from procession import Attempt, Event, Outside, Runtime, Settings
from procession.engine.clock import TrioClock
from procession.errors import NotAccepted, OutcomeUnknown
from procession.journal.memory import MemoryJournal
from procession.journal.rows import FlowQuery
from procession.laws.histories import LAWS, Begun, Past
from procession.testing.faults import CommitFault, FaultyJournal
from procession.testing.scheduling import run_seeded
from procession.testing.strategies import events
from tests.engine.tally import (
    TINY,
    Armed,
    Asked,
    Audit,
    Closed,
    Counted,
    Desk,
    Disarmed,
    Done,
    Noted,
    Opened,
    Shared,
    Tally,
    Work,
    opened,
    settings,
)

KEYS = st.sampled_from("abc")
NUMBERS = st.integers(0, 9)
TIMERS = st.sampled_from(["tea", "egg"])
EVENTS: st.SearchStrategy[Event] = events(
    *(Opened, Counted, Asked, Armed, Disarmed, Noted, Closed, Shared),
    key=KEYS,
    number=NUMBERS,
    numbers=st.lists(NUMBERS, max_size=4).map(tuple),
    timer=TIMERS,
    after_s=st.sampled_from([0.0, 0.5, 5.0]),
    depth=st.integers(0, 3),
    outcome=st.sampled_from(["well", "badly"]),
    keys=st.lists(KEYS, max_size=3).map(tuple),
)


@attrs.frozen
class Publish:
    """Several at a time, each by a sender of its own or all by one, and how long until the next action."""

    events: tuple[Event, ...]
    together: bool
    wait_s: float


@attrs.frozen
class Fail:
    """The commit after so many others fails."""

    after: int
    how: CommitFault


@attrs.frozen
class Restart:
    """The runtime ends in order, or its process dies."""

    how: Literal["close", "crash"]


WAITS = st.sampled_from([0.0, 0.05, 0.3, 2.0])
ACTIONS = st.one_of(
    st.builds(Publish, st.lists(EVENTS, min_size=1, max_size=5).map(tuple), st.booleans(), WAITS),
    st.builds(Publish, st.lists(EVENTS, min_size=1, max_size=5).map(tuple), st.booleans(), WAITS),
    st.builds(Fail, st.integers(1, 4), st.sampled_from(["fail", "written"])),
    st.builds(Restart, st.sampled_from(["close", "crash"])),
)
SCRIPTS = st.lists(ACTIONS, min_size=1, max_size=12)
HALF = hypothesis.settings(max_examples=hypothesis.settings().max_examples // 2)
"""An example here is a whole history, over several runs."""


async def quick_or_slow(command: Work, attempt: Attempt) -> Done:
    await trio.sleep((command.number % 3) * 0.1)
    return Done(command.key, command.number)


class World:
    """Plays a script on one journal, over restarts; senders give ids and publish again until they are heard."""

    def __init__(self, limits: Settings) -> None:
        self.limits = limits
        self.clock = TrioClock()
        self.journal: MemoryJournal = FaultyJournal(commit_s=0.02)
        self.desk = Desk(quick_or_slow)
        self.published: list[Outside] = []

    async def play(self, script: list[Publish | Fail | Restart]) -> None:
        """Run all of it, then until all rests."""
        todo = [*script, Restart("close")]
        while todo:
            journal = FaultyJournal.of(self.journal)
            journal.commit_s = 0.02
            with trio.CancelScope() as process:
                async with opened(
                    journal,
                    processes=[Tally, Audit],
                    gateways=[self.desk],
                    settings=self.limits,
                    clock=self.clock,
                ) as runtime:
                    await self._life(runtime, journal, todo, process)
            self.journal = journal.reopened()

    async def _life(
        self,
        runtime: Runtime,
        journal: FaultyJournal,
        todo: list[Publish | Fail | Restart],
        process: trio.CancelScope,
    ) -> None:
        async with trio.open_nursery() as nursery:
            unheard = list(self.published)  # after a crash, senders do not know: they publish again
            nursery.start_soon(self._send, runtime, unheard)
            while True:
                action = todo.pop(0)
                if isinstance(action, Fail):
                    journal.count_anew({action.after: action.how})
                elif isinstance(action, Restart):
                    break
                else:
                    new = [Outside(e, str(len(self.published) + n), "test") for n, e in enumerate(action.events)]
                    self.published += new
                    for part in [new] if action.together else [[event] for event in new]:
                        nursery.start_soon(self._send, runtime, part)
                    await trio.sleep(action.wait_s)
            if action.how == "crash":
                journal.kill()
                process.cancel()
        await runtime.drain()
        if not todo:
            await trio.sleep(10)
            await runtime.drain()

    async def _send(self, runtime: Runtime, events: list[Outside]) -> None:
        while events:
            try:
                await runtime.publish(events)
            except (NotAccepted, OutcomeUnknown):
                await trio.sleep(0.5)
            else:
                return


async def check_laws(world: World) -> None:
    """What must hold of every journal when all rests."""
    contents = world.journal.contents()
    begun = tuple(
        Begun(attempt.command_id, f"{attempt.process}/{attempt.key}", str(command))
        for command, attempt in world.desk.calls
    )
    past = Past(contents, begun=begun)
    assert [breach for law in LAWS for breach in law(past)] == []
    assert {row.state for row in contents.deliveries} <= {"waiting"}
    ids = [row.source_id for row in contents.events if row.source_id is not None]
    assert sorted(ids) == sorted(event.id for event in world.published if event.id is not None), "accepted once"
    assert {row.state for row in contents.commands} <= {"answered"}
    assert {bytes.fromhex(attempt.command_id) for _, attempt in world.desk.calls} == set(past.commands), "all were sent"


def run(script: list[Publish | Fail | Restart], limits: Settings, seed: int) -> World:
    """Play a script in a trio run of its own, whose tasks are scheduled by the seed."""
    world = World(limits)

    async def main() -> None:
        await world.play(script)
        await check_laws(world)

    run_seeded(main, seed)
    return world


@HALF
@hypothesis.given(SCRIPTS, st.integers(0, 1000))
def test_every_accepted_event_is_answered_once_in_each_flow_with_tiny_bounds(
    script: list[Publish | Fail | Restart], seed: int
) -> None:
    run(script, TINY, seed)


@HALF
@hypothesis.given(SCRIPTS, st.integers(0, 1000))
def test_every_accepted_event_is_answered_once_in_each_flow_with_large_bounds(
    script: list[Publish | Fail | Restart], seed: int
) -> None:
    run(script, settings(), seed)


async def outcomes(world: World) -> dict[tuple[str, str], tuple[str, str | None]]:
    """How each flow that has started stands."""
    journal = world.journal.reopened()
    rows = await journal.flows(FlowQuery(), 0, 1000)
    return {(row.process, row.key): (row.status, row.outcome) for row in rows}


@HALF
@hypothesis.given(st.lists(EVENTS, min_size=1, max_size=25), st.integers(0, 1000))
def test_bounds_change_nothing_about_the_outcome(events: list[Event], seed: int) -> None:
    script: list[Publish | Fail | Restart] = [Publish((event,), together=True, wait_s=1) for event in events]
    found = []
    for limits in (TINY, settings()):
        world = run(script, limits, seed)
        found.append(trio.run(outcomes, world))
    assert found[0] == found[1]
