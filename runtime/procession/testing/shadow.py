"""Shadow replay at the desk: the turns of one history again in other processes, and compared.

def test_an_order_is_pure() -> None:
    shadow(Order, OrderPlaced("421", 4200), PaymentCaptured("421")).assert_clean()
"""

from __future__ import annotations

import datetime
import os
import subprocess
import uuid

import attrs

from procession.engine.shadow import (
    ANSWER_WAIT_S,
    Answer,
    Job,
    Reply,
    Unshadowed,
    answer_of,
    child_command,
    child_environment,
    child_folder,
    job_of,
    judged,
)
from procession.engine.turn import Life, TurnFailed, place, run_turn
from procession.primitives.codec import Codec, from_json, to_json
from procession.primitives.command import Command
from procession.primitives.definition import compile_definition
from procession.primitives.effects import Record
from procession.primitives.envelope import Envelope
from procession.primitives.event import CommandGivenUp, Event
from procession.primitives.process import ProcessManager
from procession.primitives.stored import stored_of
from procession.settings import Settings

_NOW = datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC)
_EFFECTS_MAX = Settings().flows.effects_per_turn_max


@attrs.frozen
class Difference:
    """A turn that came out differently."""

    event: Event
    handler: str
    found: str

    def __str__(self) -> str:
        return f"{self.handler}, when {self.event}: {self.found}"


@attrs.frozen
class Shadowed:
    """What a shadow replay found."""

    process: str
    turns: int
    differences: tuple[Difference, ...]
    unshadowed: tuple[str, ...]
    """Why turns could not run elsewhere."""

    def assert_clean(self) -> None:
        """Every turn ran elsewhere, and came out the same.

        Raises:
            AssertionError: one did not; lists each.
        """
        found = [*map(str, self.differences), *self.unshadowed]
        if found:
            raise AssertionError("\n".join([f"{self.process} is not the same in a second process:", *found]))


def shadow(process: type[ProcessManager], *events: Event, processes: int = 2) -> Shadowed:
    """Run the turns of a history here, and again elsewhere.

    Elsewhere is another process, with another hash seed, clock, random seed, time zone, working directory and
    environment, in which the guard lets no turn do work. The modules of the classes are imported there by name.

    Args:
        process: the process manager.
        events: what one flow handles, in order; deadlines too, since none fires of itself.
        processes: how many, each with a hash seed of its own: an order of a set of two may be the same by chance.

    Raises:
        AssertionError: the history breaks the flow here.
        ValueError: `processes` is not from 1 to 16.
    """
    if not 1 <= processes <= _PROCESSES_MAX:
        msg = f"{processes} processes can't be started; give 1 to {_PROCESSES_MAX}"
        raise ValueError(msg)
    flow = _Flow(process)
    for event in events:
        flow.handle(event)
    replies = _elsewhere([turn.job for turn in flow.turns], processes)
    differences: dict[int, Difference] = {}
    for there in replies:
        for number, (turn, reply) in enumerate(zip(flow.turns, there, strict=True)):
            try:
                found = judged(turn.here, reply)
            except Unshadowed as error:
                flow.unshadowed[str(error)] = None
            else:
                if found:
                    differences.setdefault(number, Difference(turn.event, turn.handler, found))
    return Shadowed(process.__name__, len(flow.turns), tuple(differences.values()), tuple(flow.unshadowed))


@attrs.frozen
class _Turned:
    event: Event
    handler: str
    job: Job
    here: Answer


class _Flow:
    """One flow, driven with the engine's own turns; each is written down with what it began with."""

    def __init__(self, process: type[ProcessManager]) -> None:
        self.turns: list[_Turned] = []
        self.unshadowed: dict[str, None] = {}
        self._definition = compile_definition(process)
        self._codec = Codec()
        self._state = process()
        self._life: Life = "unstarted"
        self._waiting: list[Event] = []
        self._events = 0

    def handle(self, event: Event) -> None:
        where = place(self._life, self._definition.reaction(event), event)
        if where == "wait":
            self._waiting.append(event)
        elif where == "step":
            self._turn(event)

    def _turn(self, event: Event) -> None:
        self._events += 1
        envelope = self._envelope(event)
        job = self._job(event, envelope)
        try:
            turn = run_turn(self._definition, self._state, event, self._life, lambda: envelope, _EFFECTS_MAX)
        except TurnFailed as failed:
            msg = f"the given {event} breaks the flow: {failed}"
            raise AssertionError(msg) from failed
        if job is not None:
            here = answer_of(turn, self._codec)
            self.turns.append(_Turned(event, f"{self._definition.cls.__name__}.{turn.name}", job, here))
        waiting, starting = self._waiting, self._life == "unstarted"
        self._life, self._state = "active" if turn.outcome is None else "ended", turn.state
        following = [effect.event for effect in turn.effects if isinstance(effect, Record)]
        if starting:
            self._waiting = []
            following += waiting
        for fact in following:
            self.handle(fact)

    def _job(self, event: Event, envelope: Envelope) -> Job | None:
        """What the turn begins with; None where it can't run elsewhere."""
        for message in (event, *((event.command,) if isinstance(event, CommandGivenUp) else ())):
            assert isinstance(message, Event | Command), "it is one of both"
            self._codec.register(type(message))
        payload = self._codec.encode(event).decode()
        try:
            return job_of(
                self._definition, self._codec, self._state, event, payload, self._life, envelope, _EFFECTS_MAX
            )
        except Unshadowed as error:
            self.unshadowed[str(error)] = None
            return None

    def _envelope(self, event: Event) -> Envelope:
        stored = stored_of(type(event))
        keys = ((self._definition.name, "shadow"),)
        number = uuid.UUID(int=self._events)
        return Envelope(
            number, "shadow", str(self._events), stored.name, stored.version, keys, None, number, _NOW, None
        )


def _elsewhere(jobs: list[Job], processes: int) -> list[list[Reply]]:
    """The same turns in each of some processes, which run side by side."""
    if not jobs:
        return []
    lines = b"".join(to_json(job) + b"\n" for job in jobs)
    started: list[subprocess.Popen[bytes]] = []
    found: list[list[Reply]] = []
    try:
        for number in range(processes):
            started.append(_start(number))  # noqa: PERF401 - those that were started are ended if one can't be
        for child in started:
            written, complained = child.communicate(lines, timeout=ANSWER_WAIT_S)
            replies: list[Reply] = [from_json(line) for line in written.splitlines()]
            if len(replies) != len(jobs):
                last = complained.decode("utf-8", "replace").strip().rpartition("\n")[2]
                msg = f"a second process ended with exit code {child.returncode} after {len(replies)} turns: {last}"
                raise AssertionError(msg)
            found.append(replies)
    finally:
        for child in started:
            with child:  # closes its pipes and waits for it
                child.kill()
    return found


def _start(number: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603 - our own program
        child_command(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=child_environment(number, os.environ),
        cwd=child_folder(),
    )


_PROCESSES_MAX = 16
