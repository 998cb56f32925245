"""Shadow replay at the desk: the turns of one history again in other processes, and compared.

    def test_an_order_is_pure() -> None:
        shadow(Order, OrderPlaced("421", 4200), PaymentCaptured("421")).assert_clean()

The modules of the classes are imported there by their names.
"""

from __future__ import annotations

import datetime
import os
import subprocess

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
    is_allowed,
    job_of,
    judged,
)
from procession.engine.turn import Life, Turn, fold
from procession.primitives.codec import Codec, from_json, to_json
from procession.primitives.definition import compile_definition
from procession.primitives.event import Event
from procession.primitives.history import Turned
from procession.primitives.process import ProcessManager
from procession.testing.lone_flow import EFFECTS_MAX, EnvelopeMaker, LoneFlow, Standing

_NOW = datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC)


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
    environment, in which the guard lets no turn do work. The modules of the classes are imported there by name. Turns
    of handlers that `@allows` LAW03 or LAW04 are left out.

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
    flow = _Replayed(process)
    for event in events:
        flow.take(event)
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


class _Replayed:
    """One flow by itself; each of its turns is written down with what it began with."""

    def __init__(self, process: type[ProcessManager]) -> None:
        self.turns: list[_Turned] = []
        self.unshadowed: dict[str, None] = {}
        definition = compile_definition(process)
        self._lone = LoneFlow(definition, Codec())
        self._standing = Standing(definition.cls())
        self._state = definition.cls()
        """Folded beside the flow, so that no reaction can have changed it in place."""
        self._begun: list[tuple[EnvelopeMaker, str]] = []
        """Envelope and payload of each turn's event, as they were before it."""

    def take(self, event: Event) -> None:
        course = self._lone.take(self._standing, event, self._envelope)
        if course.broken is not None:
            msg = f"the given {event} breaks the flow: {course.broken}"
            raise AssertionError(msg) from course.broken
        life, self._standing = self._standing.life, course.standing
        for turned in course.turns:
            self._turned(turned, life)
            life = "active"

    def _turned(self, turned: Turned, life: Life) -> None:
        definition, codec, began = self._lone.definition, self._lone.codec, self._state
        event, (envelope, payload) = turned.event, self._begun.pop(0)
        self._state = fold(definition.reaction(event), began, event)
        if is_allowed(definition, event):
            return
        turn = Turn(self._state, turned.effects, turned.outcome, turned.handler)
        try:
            job = job_of(definition, codec, began, event, payload, life, envelope(), EFFECTS_MAX)
            here = answer_of(turn, codec)
        except Unshadowed as error:
            self.unshadowed[str(error)] = None
        else:
            self.turns.append(_Turned(event, f"{definition.cls.__name__}.{turn.name}", job, here))

    def _envelope(self, event: Event) -> EnvelopeMaker:
        """Asked for once for each turn, before it."""
        envelope = EnvelopeMaker(event, len(self.turns) + len(self._begun), _NOW, ((self._lone.definition.name, "a"),))
        self._begun.append((envelope, self._lone.codec.encode(event).decode()))
        return envelope


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
