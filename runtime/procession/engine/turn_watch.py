"""A turn that never returns is named while it runs, by a thread; and known to the next start, by a file.

The loop of a runtime runs user code in turns and decisions. One that loops for ever stops every flow, and with it
all that could say so. A thread looks at what runs now. What runs too long it names in the log, with where it is, and
in a file beside the journal; what returns is taken off the file. What a process was ended over is still on it: the
next start sets that flow aside before anything of it runs. An aggregate is only named.

Not seen: code that holds the interpreter's lock while it does not return (a C extension), and what kills the process
sooner than a look. Those are found by the careful start, after a second unclean end.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sys
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any, Protocol

import attrs

from procession.engine import turn

logger = logging.getLogger("procession.watch")
SUFFIX = ".suspect"
_LOOKS_PER_PERIOD = 2
_ENGINE = os.path.dirname(turn.__file__) + os.sep  # noqa: PTH120 - as frames write it
_PLACE_CHARS_MAX = 500


class Named(Protocol):
    """A flow, or an aggregate."""

    @property
    def process(self) -> str:
        """The process, or the aggregate's name."""
        ...

    @property
    def key(self) -> str:
        """Which one of it."""
        ...


@attrs.define(eq=False)
class AtWork:
    """What the loop runs now: set by it with plain assignments, read by the thread."""

    count: int = 0
    """Turns and decisions begun: two looks that find the same number see the same one."""
    what: Named | None = None
    """None between turns."""
    position: int = 0
    """Of the event in hand; 0 where a command is decided."""


@attrs.frozen
class Suspect:
    """A flow or aggregate whose code did not return."""

    process: str
    key: str
    position: int
    """Of the event, which may not have been durable yet; 0: it is an aggregate, which decided a command."""
    place: str
    """Where the code was."""

    @property
    def name(self) -> tuple[str, str]:
        """Process and key."""
        return self.process, self.key

    def __str__(self) -> str:
        at = f"the event at position {self.position}" if self.position else "a command"
        return f"{self.process}/{self.key}, at {at}, in {self.place}"


@attrs.define(eq=False)
class Suspects:
    """Flows that are set aside when anything comes for them; in the file until that is durable."""

    path: str | None = None
    """None: there is no file."""
    found: dict[tuple[str, str], Suspect] = attrs.field(factory=dict)
    _lock: threading.Lock = attrs.field(factory=threading.Lock)

    def settle(self, name: tuple[str, str]) -> None:
        """It was set aside."""
        with self._lock:
            self.found.pop(name, None)
            self._write(None)

    def write(self, running: Suspect | None) -> None:
        """Those found before, and the one whose turn runs."""
        with self._lock:
            self._write(running)

    def _write(self, running: Suspect | None) -> None:
        if self.path is None:
            return
        rows = [attrs.asdict(one) for one in {**self.found, **({running.name: running} if running else {})}.values()]
        if rows:
            with open(f"{self.path}.new", "w", encoding="utf-8") as file:  # noqa: PTH123 - a thread may wait
                json.dump(rows, file)
            os.replace(f"{self.path}.new", self.path)  # noqa: PTH105 - as above
        else:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.path)  # noqa: PTH108 - as above


def read_suspects(path: str) -> dict[tuple[str, str], Suspect]:
    """What the file of an earlier run names; nothing where there is none, or none that can be read."""
    try:
        with open(path, encoding="utf-8") as file:  # noqa: PTH123 - before anything runs
            found = [_suspect_of(row) for row in json.load(file)]
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, KeyError) as error:
        logger.warning("%s can't be read and is not heeded: %s; delete it", path, error)
        return {}
    return {suspect.name: suspect for suspect in found}


def _suspect_of(row: dict[str, Any]) -> Suspect:
    return Suspect(str(row["process"]), str(row["key"]), int(row["position"]), str(row["place"]))


@contextlib.contextmanager
def turns_watched(at_work: AtWork, suspects: Suspects, blocked_s: float) -> Iterator[None]:
    """Watch the turns of the thread that enters, for as long as the block."""
    watch = _Watch(at_work, suspects, blocked_s, threading.get_ident())
    thread = threading.Thread(target=watch.run, name="procession turn watch", daemon=True)
    thread.start()
    try:
        yield
    finally:
        watch.stop()
        thread.join()


class _Watch:
    """What the thread does."""

    def __init__(self, at_work: AtWork, suspects: Suspects, blocked_s: float, thread: int) -> None:
        self._at_work = at_work
        self._suspects = suspects
        self._period_s = blocked_s / _LOOKS_PER_PERIOD
        self._thread = thread
        self._stopped = threading.Event()
        self._seen = (0, 0)
        """The turn that ran at the last look, and at how many looks it did."""
        self._named: Suspect | None = None

    def stop(self) -> None:
        self._stopped.set()

    def run(self) -> None:
        while not self._stopped.wait(self._period_s):
            self._look()
        self._returned()

    def _look(self) -> None:
        count, what, position = self._at_work.count, self._at_work.what, self._at_work.position
        looks = self._seen[1] + 1 if count == self._seen[0] and what is not None else 0
        self._seen = (count, looks)
        if looks < _LOOKS_PER_PERIOD:
            self._returned()
        elif self._named is None and what is not None:
            self._name(Suspect(what.process, what.key, position, _place_of(sys._current_frames().get(self._thread))))  # noqa: SLF001 - the documented way

    def _name(self, suspect: Suspect) -> None:
        self._named = suspect
        logger.error(
            "%s: this does not return, and nothing else runs until it does. If it never does, mend it and end the"
            " process%s",
            suspect,
            ": the next start sets that flow aside first" if suspect.position else "",
            extra={"flow": f"{suspect.process}/{suspect.key}"},
        )
        if not suspect.position:
            return  # an aggregate has no quarantine: its command is decided again
        try:
            self._suspects.write(suspect)
        except OSError as error:
            logger.error("%s can't be written: %s", self._suspects.path, error)  # noqa: TRY400 - it is a sentence

    def _returned(self) -> None:
        if self._named is None:
            return
        flow = "{}/{}".format(*self._named.name)
        logger.warning("%s: that turn returned after all", flow, extra={"flow": flow})
        self._named = None
        try:
            self._suspects.write(None)
        except OSError as error:
            logger.error("%s can't be written: %s", self._suspects.path, error)  # noqa: TRY400 - it is a sentence


def _place_of(frame: FrameType | None) -> str:
    """The user's function that the engine called, and how far inside of it the code is."""
    inside: list[str] = []
    while frame is not None and not frame.f_code.co_filename.startswith(_ENGINE):
        inside.append(f"{frame.f_code.co_name} ({frame.f_code.co_filename}:{frame.f_lineno})")
        frame = frame.f_back
    shown = " > ".join((inside[-1], inside[0]) if len(inside) > 1 else inside) if frame is not None else ""
    return (shown or "no function of Python")[:_PLACE_CHARS_MAX]
