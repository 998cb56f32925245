"""The second process of a runtime: started with the first sampled turn, supervised, and ended with the runtime."""

from __future__ import annotations

import logging
import os
import subprocess
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import attrs
import trio

from procession.actors.supervisor import RestartPolicy, Supervised, leaves, supervise
from procession.engine.envelopes import envelope_of
from procession.engine.flow import Delivery, Flow
from procession.engine.shadow import (
    ANSWER_BYTES_MAX,
    ANSWER_WAIT_S,
    TURNS_PER_CHILD,
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
from procession.engine.turn import Turn
from procession.errors import InvalidPayload, RuntimeFailed, ShadowEnded
from procession.primitives.codec import Codec, from_json, to_json
from procession.primitives.event import Event
from procession.settings import PuritySettings, Settings
from procession.telemetry.names import Counters

logger = logging.getLogger("procession.purity")
_SEEN_MAX = 1_000
_PART = 65_536
_SHARES = 2**32


class Child:
    """A second process. Answers lines in order."""

    def __init__(self, process: trio.Process) -> None:
        assert process.stdin is not None, "it is started with pipes"
        assert process.stdout is not None, "as above"
        self._process = process
        self._stdin = process.stdin
        self._stdout = process.stdout
        self._read = b""

    async def replay(self, jobs: Sequence[Job]) -> list[Reply]:
        """What came of these turns there, in order.

        Raises:
            ShadowEnded: it ended, or took longer than `ANSWER_WAIT_S` over one of them.

        Cancellation: it is of no use afterwards.
        """
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._stdin.send_all, b"".join(to_json(job) + b"\n" for job in jobs))
                replies = [await self._reply() for _ in jobs]
        except* (trio.BrokenResourceError, trio.TooSlowError, ShadowEnded) as group:
            first = next(leaves(group))
            error = first if isinstance(first, ShadowEnded) else ShadowEnded(type(first).__name__)
        else:
            return replies
        raise error

    async def _reply(self) -> Reply:
        with trio.fail_after(ANSWER_WAIT_S):
            while b"\n" not in self._read:
                part = await self._stdout.receive_some(_PART)
                if not part:
                    raise ShadowEnded(f"it ended with exit code {await self._process.wait()}")
                self._read += part
                if len(self._read) > ANSWER_BYTES_MAX:
                    raise ShadowEnded(f"an answer of more than {ANSWER_BYTES_MAX} bytes")
        line, _, self._read = self._read.partition(b"\n")
        reply: Reply = from_json(line)
        return reply


@asynccontextmanager
async def open_child(number: int) -> AsyncIterator[Child]:
    """A second process, which ends with this block.

    Args:
        number: the how-manieth it is; each has a hash seed of its own.

    Raises:
        OSError: it can't be started.
    """
    process = await trio.lowlevel.open_process(
        child_command(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=child_environment(number, os.environ),
        cwd=child_folder(),
        start_new_session=True,  # a terminal's Ctrl-C is for the runtime, which ends it
    )
    child = Child(process)
    try:
        yield child
    finally:
        process.kill()  # it holds nothing that could be lost
        with trio.CancelScope(shield=True):
            await process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    await pipe.aclose()


@attrs.frozen
class _Sample:
    """A turn that ran here and is to run there."""

    handler: str
    job: Job
    here: Answer


class Shadow:
    """Replays a share of the turns of one runtime. Nobody waits for it: what finds no room is left out and counted."""

    def __init__(self, purity: PuritySettings, codec: Codec, counters: Counters, effects_max: int) -> None:
        self.actor = Supervised("shadow")
        self._codec = codec
        self._counters = counters
        self._effects_max = effects_max
        self._share = int(purity.shadow_replay_ratio * _SHARES)
        self._put, self._samples = trio.open_memory_channel[_Sample](purity.shadow_queue_max)
        self._children = 0
        self._said: set[str] = set()

    def begin(self, flow: Flow, delivery: Delivery, event: Event) -> Job | None:
        """Before a turn: what it begins with, if it is sampled. The id of its event decides that, and no pattern."""
        if int.from_bytes(delivery.event.id[-4:]) >= self._share or is_allowed(flow.definition, event):
            return None
        assert flow.state is not None, "a flow is folded before it takes a turn"
        try:
            return job_of(
                flow.definition,
                self._codec,
                flow.state,
                event,
                self._codec.encode(event).decode(),  # what is stored may be older, and lifted
                flow.life,
                envelope_of(delivery.event),
                self._effects_max,
            )
        except (Unshadowed, InvalidPayload) as error:
            self._leave_out(str(error))
            return None

    def offer(self, flow: Flow, job: Job, turn: Turn) -> None:
        """After a turn that went well: what came of it here."""
        try:
            self._put.send_nowait(_Sample(f"{flow.process}.{turn.name}", job, answer_of(turn, self._codec)))
        except (trio.WouldBlock, trio.BrokenResourceError):
            self._counters.turns_unshadowed += 1
        except Unshadowed as error:
            self._leave_out(str(error))

    async def run(self, policy: RestartPolicy, jitter: Callable[[], float]) -> None:
        """Replay what is offered; where no process stays alive, say so and replay nothing more.

        Cancellation: ends the second process.
        """
        try:
            await supervise(self.actor, self._children_in_turn, policy, jitter=jitter, on_failure=self._failed)
        except RuntimeFailed as error:
            logger.error("no turn is replayed any more: %s", error)  # noqa: TRY400 - the cause was logged as it failed
            self._counters.turns_unshadowed += self._samples.statistics().current_buffer_used
            self._samples.close()

    async def _children_in_turn(self) -> None:
        async for sample in self._samples:
            self._children += 1
            async with open_child(self._children) as child:
                await self._replay(child, sample)
                for _ in range(TURNS_PER_CHILD):
                    await self._replay(child, await self._samples.receive())

    async def _replay(self, child: Child, sample: _Sample) -> None:
        try:
            (reply,) = await child.replay([sample.job])
            found = judged(sample.here, reply)
        except Unshadowed as error:
            self._leave_out(str(error))
        except ShadowEnded:
            self._counters.turns_unshadowed += 1
            raise
        else:
            self._counters.turns_shadowed += 1
            if found:
                self._counters.turns_differing += 1
                self._say(sample.handler, "a turn is not pure: %s %s", sample.handler, found)

    def _leave_out(self, why: str) -> None:
        self._counters.turns_unshadowed += 1
        self._say(why, "a turn can't run in a second process: %s", why)

    def _say(self, once: str, text: str, *arguments: str) -> None:
        if once not in self._said and len(self._said) < _SEEN_MAX:
            self._said.add(once)
            logger.warning(text, *arguments)

    def _failed(self, error: Exception) -> None:
        self._counters.actors_restarted += 1
        logger.error("the second process failed and is started again", exc_info=error)


def shadow_of(settings: Settings, codec: Codec, counters: Counters) -> Shadow | None:
    """The shadow of a runtime; None where no turn is to be replayed."""
    if not settings.purity.shadow_replay_ratio:
        return None
    return Shadow(settings.purity, codec, counters, settings.flows.effects_per_turn_max)
