"""One run of the sweep: a short life in which one call fails, one without a fault after it, and the judgement.

strace is attached to the life before it does anything, and has the call fail: it counts the calls of each thread on
files of the journal. A journal that is opened again has new threads, which it would count anew; so a fault that passes
is lifted as soon as it was met, and one that lasts is set again, from the first call on.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from resource import RLIM_INFINITY, RLIMIT_FSIZE, prlimit

import attrs

from procession.journal.head_file import read_head
from procession.journal_errors import JournalDamaged
from tests.crash.checker import check, outcomes
from tests.crash.driver import differences
from tests.crash.lines import lines_of
from tests.crash.power_loss import LOGS
from tests.crash.short_life import FILES, JOURNAL, LIVES, OPENED, Running, forked, last_life, live, wait, words_of
from tests.crash.syncs import believed

_TRACE = "calls.txt"
_ATTACH_S_MAX = 30
_PASSING_S_MAX = 60
_LASTING_S = 0.6
_SYNCS_SEEN_S = 3.0
"""What a sync that failed is followed by is looked at for so long, where the life does not end before."""
_LIMIT_BYTES_MIN = 4_096
"""A smaller one would cut the logs of the lives as well."""
_SHOWN_BYTES = 72
"""Of what is written: a head file whole."""
_LOOK_S = 0.004
_LET_GO_S_MAX = 3
_EXTENT = re.compile(r"pwrite64\(\d+<[^>]*/([^/>]+)>.*, (\d+), (\d+)(?:\) += (\d+)| <unf)")
_ENDS = re.compile(r"(?:^|\W)(procession\.[\w.]+|[A-Za-z_][\w.]*(?:Error|Exception|Exit|Interrupt)\w*): ")


@attrs.frozen
class Kind:
    """What fails, how, in which life, and whether it goes on to fail."""

    life: str
    call: str
    error: str
    """Its name; `short` where a write says that it wrote nothing."""
    lasting: bool

    def injected(self, first: int) -> list[str]:
        """For strace: from this number on, or only that one."""
        how = "retval=0" if self.error == "short" else f"error={self.error}"
        return [] if self.call == "size" else ["-e", f"inject={self.call}:{how}:when={first}{'+' * self.lasting}"]

    @property
    def traced(self) -> str:
        """The calls to look at."""
        if self.call == "fdatasync":
            return "fdatasync,pwrite64,openat,write"
        return "pwrite64" if self.call == "size" else self.call

    def __str__(self) -> str:
        return f"{self.life} {self.call} {self.error} {'lasts' if self.lasting else 'passes'}"


@attrs.frozen
class Fault:
    """The n-th call of a kind."""

    kind: Kind
    number: int

    def __str__(self) -> str:
        return f"{self.kind}, number {self.number}"


@attrs.frozen
class Prepared:
    """What all runs begin with."""

    work: Path
    expected: dict[str, dict[str, tuple[object, ...]]]
    """By life: how its flows end."""
    limits: dict[str, list[int]]
    """By life: sizes of files, each of which is crossed by another write first."""


@attrs.frozen
class Outcome:
    """What became of one run."""

    met: bool
    ended: int | None
    """None where it had to be killed."""
    said: str
    breaches: list[str]


def prepare(work: Path) -> Prepared:
    """Live both lives with no fault."""
    for life in LIVES:
        folder = work / life
        folder.mkdir()
        for log in LOGS:
            (folder / log).touch()
    with forked(partial(live, work / "left", "left", ("dies",))) as running:
        running.let_go()
        assert wait(running, _PASSING_S_MAX), "it did not die"
        assert running.ended == -9, running.words
    expected, limits = {}, {}
    for life in LIVES:
        folder = work / f"calm-{life}"
        shutil.copytree(work / life, folder)
        with (
            forked(partial(live, folder, life, ())) as running,
            _strace(running, folder, Kind(life, "size", "", False), 0),
        ):
            running.let_go()
            assert wait(running, _PASSING_S_MAX), "a life without a fault does not end"
        assert running.ended == 0, running.words
        breaches = check(folder)
        assert not breaches, breaches
        expected[life], limits[life] = outcomes(folder), list(_limits(folder / _TRACE, work / life))
    return Prepared(work, expected, limits)


def _limits(trace: Path, before: Path) -> Iterator[int]:
    """Between each two sizes that the longest file had, in order; within the write that made it longer."""
    longest = max(file.stat().st_size for file in before.iterdir())
    for line in trace.read_text().splitlines():
        found = _EXTENT.search(line)
        if found is not None:
            offset, size = int(found[3]), int(found[2])
            if offset + size > longest:
                limit = (max(longest, offset) + offset + size) // 2
                longest = offset + size
                if limit > _LIMIT_BYTES_MIN:
                    yield limit


def run_one(prepared: Prepared, fault: Fault, options: Sequence[str] = ()) -> Outcome:
    """In a process that has no threads."""
    kind = fault.kind
    folder = prepared.work / f"{str(kind).replace(' ', '-')}-{fault.number}"
    shutil.copytree(prepared.work / kind.life, folder)
    try:
        limit = prepared.limits[kind.life][fault.number - 1] if kind.call == "size" else None
        with forked(partial(live, folder, kind.life, options), limit) as running:
            met = _live_with(running, folder, fault)
        said = _said(running, folder)
        told = _lines(folder)[len(_lines(prepared.work / kind.life)) :]
        head = read_head(str(prepared.work / kind.life / JOURNAL))
        durable = head.tail.position if head else 0
        breaches = [*_breaches_of(running, folder, kind), *believed(folder / _TRACE, folder, told, durable)]
        with forked(partial(last_life, folder, kind.life)) as last:
            last.let_go()
            ended = wait(last, _PASSING_S_MAX)
        if not ended or last.ended:
            breaches.append(f"the last life ended with {last.ended}: {words_of(last.words)}")
        else:
            breaches += check(folder) + differences(outcomes(folder), prepared.expected[kind.life])
        return Outcome(met, running.ended, said, breaches)
    finally:
        shutil.rmtree(folder)


def _lines(folder: Path) -> list[str]:
    return lines_of(folder / LOGS[0])


def _live_with(running: Running, folder: Path, fault: Fault) -> bool:
    """Live through the fault: whether it was met."""
    kind = fault.kind
    trace = folder / _TRACE
    with _strace(running, folder, kind, fault.number):
        running.let_go()
        met = _wait_met(running, trace)
        if met and not kind.lasting:
            wait(running, _SYNCS_SEEN_S if kind.call == "fdatasync" else 0)
    if met and kind.lasting and kind.call != "size":
        with _strace(running, folder, kind, 1, "more.txt"):
            wait(running, _LASTING_S)
    elif met and kind.lasting:
        wait(running, _LASTING_S)
    else:
        if kind.call == "size" and not running.has_ended():
            prlimit(running.pid, RLIMIT_FSIZE, (RLIM_INFINITY, RLIM_INFINITY))
        wait(running, _PASSING_S_MAX)
    return met


def _wait_met(running: Running, trace: Path) -> bool:
    until = time.monotonic() + _PASSING_S_MAX
    while time.monotonic() < until:
        ended = running.has_ended()
        text = trace.read_text()
        if "(INJECTED)" in text or "= -1 EFBIG" in text:
            return True
        if ended:
            return False
        time.sleep(_LOOK_S)
    return False


@contextmanager
def _strace(running: Running, folder: Path, kind: Kind, first: int, trace: str = _TRACE) -> Iterator[None]:
    """Attached for the block. `first` 0: nothing fails."""
    paths = [*(folder / name for name in FILES), folder]
    if kind.call == "fdatasync":
        paths.append(folder / LOGS[0])
    (folder / trace).touch()
    command = [
        *("strace", "-f", "-y", "-qq", "-x", "-s", str(_SHOWN_BYTES)),
        *("-e", "signal=none", "-e", f"trace={kind.traced}"),
        *(word for path in paths for word in ("-P", str(path))),
        *(kind.injected(first) if first else ()),
        *("-o", str(folder / trace), "-p", str(running.pid)),
    ]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as tracer:
        try:
            _wait_attached(running, tracer)
            yield
        finally:
            _let_go(tracer)


def _let_go(tracer: subprocess.Popen[bytes]) -> None:
    """End strace, so that the life goes on without it; where it does not, the kernel lets go of the life as it dies."""
    tracer.terminate()
    try:
        tracer.wait(_LET_GO_S_MAX)
    except subprocess.TimeoutExpired:
        tracer.kill()


def _wait_attached(running: Running, tracer: subprocess.Popen[bytes]) -> None:
    status, until = Path(f"/proc/{running.pid}/status"), time.monotonic() + _ATTACH_S_MAX
    while not running.has_ended() and "TracerPid:\t0\n" in status.read_text():
        if tracer.poll() is not None:
            return
        assert time.monotonic() < until, "strace does not attach"
        time.sleep(_LOOK_S / 2)
    if running.ended is not None:
        tracer.wait(_ATTACH_S_MAX)  # it finds nobody: told to end while it begins, it would leave a child behind


def _breaches_of(running: Running, folder: Path, kind: Kind) -> list[str]:
    """What is wrong with how the life ended."""
    words = words_of(running.words)
    if running.ended is None:
        return [] if kind.lasting else [f"it went on for {_PASSING_S_MAX} s after the fault had passed: {words}"]
    if running.ended == 0:
        return []
    name = _error_of(running.words)
    if not name.startswith("procession."):
        return [f"it ended with {running.ended} by no error of its own: {words}"]
    if name.endswith(f".{JournalDamaged.__name__}") and not kind.lasting:
        return [f"it took what passed for damage: {words}"]
    if _was_open(folder) and not kind.lasting and "the clean end is not recorded" not in words:
        return [f"it was open, and ended with {running.ended}: {words}"]
    return []


def _was_open(folder: Path) -> bool:
    lines = lines_of(folder / LOGS[1])
    return OPENED in lines[len(lines) - lines[::-1].index("life") :] if "life" in lines else False


def _error_of(lines: Sequence[str]) -> str:
    """The name of the last error that a traceback tells of."""
    found = [name for line in lines for name in _ENDS.findall(line)]
    return str(found[-1]) if found else ""


def _said(running: Running, folder: Path) -> str:
    """How it ended, for a table."""
    state = "open" if _was_open(folder) else "not yet open"
    if running.ended is None:
        return f"{state}: killed while the fault lasted"
    return f"{state}: ended with {running.ended} {_error_of(running.words)}"
