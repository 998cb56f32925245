"""One run of a program: in a process group of its own, with bounded output, and never left behind."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import attrs
import trio

_PIECE_BYTES = 65_536
_TAIL_BYTES_MAX = 4_096
"""How much of the end of what a program complains about is kept."""
_LOOK_AGAIN_S = 0.01
_KILLED_S = 0.2
"""What was killed is gone by then; where nobody waits for orphans, as in a container without init, never quite."""
_DRAIN_S = 1.0
"""After its end, what a program wrote is read; whoever left its group and still holds the pipe is not waited for."""


class TooMuchOutputError(Exception):
    """A program wrote more than it may; its group was killed."""


@attrs.frozen
class Ended:
    """How a program ended."""

    code: int
    """Negative: the number of the signal that ended it."""
    output: bytes
    complaint: bytes
    """The end of what it wrote to its standard error."""


@attrs.frozen
class Program:
    """What is to be run. No shell ever sees it."""

    words: Sequence[str]
    environment: Mapping[str, str]
    """All of it."""
    folder: Path | None
    stdin: bytes
    output_bytes_max: int
    kill_after_s: float

    async def run(self) -> Ended:
        """Run it to its end.

        Raises:
            OSError, ValueError: it can't be started.
            TooMuchOutputError: it wrote too much.

        Cancellation: its whole group is told to end (SIGTERM), and after `kill_after_s` is killed; it is waited for.
        """
        # A group of its own: a signal reaches all that it starts, and none that a terminal sends us reaches it.
        process = await trio.lowlevel.open_process(
            list(self.words),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=dict(self.environment),
            cwd=self.folder,
            start_new_session=True,
        )
        reading, code = _Reading(self.output_bytes_max), None
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._feed, process)
                nursery.start_soon(reading.complaint_of, process)
                nursery.start_soon(reading.output_of, process)
                code = await process.wait()
                if _signal(process.pid, signal.SIGKILL):  # what it started and left behind
                    await _gone(process.pid, _KILLED_S)
                nursery.cancel_scope.deadline = trio.current_time() + _DRAIN_S
        finally:
            with trio.CancelScope(shield=True):
                if code is None:
                    await self._cut_short(process)
                for pipe in (process.stdin, process.stdout, process.stderr):
                    if pipe is not None:
                        await pipe.aclose()
        if reading.too_much:
            raise TooMuchOutputError
        return Ended(code, bytes(reading.output), bytes(reading.tail))

    async def _cut_short(self, process: trio.Process) -> None:
        """End the whole group, and leave no zombie."""
        _signal(process.pid, signal.SIGTERM)
        with trio.move_on_after(self.kill_after_s):
            await process.wait()
            await _gone(process.pid, self.kill_after_s)
        killed = _signal(process.pid, signal.SIGKILL)
        await process.wait()
        if killed:
            await _gone(process.pid, _KILLED_S)

    async def _feed(self, process: trio.Process) -> None:
        assert process.stdin is not None, "it is a pipe"
        with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):  # it need not read it
            async with process.stdin:
                await process.stdin.send_all(self.stdin)


class _Reading:
    """What a program writes, within bounds."""

    def __init__(self, output_bytes_max: int) -> None:
        self.output = bytearray()
        self.tail = bytearray()
        self.too_much = False
        self._output_bytes_max = output_bytes_max

    async def output_of(self, process: trio.Process) -> None:
        assert process.stdout is not None, "it is a pipe"
        while piece := await process.stdout.receive_some(_PIECE_BYTES):
            self.output += piece
            if len(self.output) > self._output_bytes_max:
                self.too_much = True
                _signal(process.pid, signal.SIGKILL)
                return

    async def complaint_of(self, process: trio.Process) -> None:
        assert process.stderr is not None, "it is a pipe"
        while piece := await process.stderr.receive_some(_PIECE_BYTES):
            self.tail += piece
            del self.tail[:-_TAIL_BYTES_MAX]


async def _gone(group: int, within_s: float) -> None:
    """Wait until nobody is left in a group, no longer than this: who ended and is not waited for still counts."""
    with trio.move_on_after(within_s):
        while _signal(group, None):  # noqa: ASYNC110 - the system tells of no such event
            await trio.sleep(_LOOK_AGAIN_S)


def _signal(group: int, number: signal.Signals | None) -> bool:
    """Send a signal to a group; without one, ask whether anybody is in it. False where nobody is."""
    try:
        os.killpg(group, number or 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return number is None  # who is left there has become somebody else
    return True
