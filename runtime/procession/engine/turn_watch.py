"""A turn that never returns is named while it runs, by a thread; and known to the next start, by a file.

The loop of a runtime runs user code in turns and decisions. One that loops for ever stops every flow, and with it
all that could say so. A thread looks at what runs now. What runs too long it names in the log, with where it is, and
in a file beside the journal; what returns is taken off the file. What a process was ended over is still on it: the
next start sets that flow aside before anything of it runs, and gives a command up whose decision it was.

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
Name = tuple[str, str, str, str]
"""Process, key, command, who asked; the last two are empty where it is a flow."""


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
    command: str = ""
    """Its stored name, where one is decided."""
    asker: str = ""
    """The flow that asked for it; empty: it came from outside."""


@attrs.frozen
class Suspect:
    """A flow or aggregate whose code did not return."""

    process: str
    key: str
    position: int
    """Of the event, which may not have been durable yet; 0: it is an aggregate, which decided a command."""
    place: str
    """Where the code was."""
    command: str = ""
    """Stored name of the command that was decided; neither it nor who asked may have been durable yet."""
    asker: str = ""
    """The flow that asked for it, or nothing where it came from outside."""

    @property
    def name(self) -> Name:
        """Process and key, and of a decision the command and who asked."""
        return self.process, self.key, self.command, self.asker

    def __str__(self) -> str:
        at = f"the event at position {self.position}" if self.position else f"the command {self.command}"
        at += f" of {self.asker}" if self.asker else ""
        return f"{self.process}/{self.key}, at {at}, in {self.place}"


@attrs.define(eq=False)
class Suspects:
    """What is set aside when it comes again: flows, and commands of aggregates; in the file until that is durable."""

    path: str | None = None
    """None: there is no file."""
    found: dict[Name, Suspect] = attrs.field(factory=dict)
    _refused: set[Name] = attrs.field(factory=set)
    """Those that are refused for as long as this process runs, and not by the next start."""
    _lock: threading.Lock = attrs.field(factory=threading.Lock)

    def of(self, process: str, key: str, command: str = "", asker: str = "") -> Suspect | None:
        """What was found of a flow, or of a command of an aggregate; None: nothing."""
        return self.found.get((process, key, command, asker)) if self.found else None

    def settle(self, suspect: Suspect) -> None:
        """It was set aside."""
        with self._lock:
            self.found.pop(suspect.name, None)
            self._write(None)

    def refused(self, suspect: Suspect) -> None:
        """Its sender has heard: it is refused again and again, until the next start."""
        with self._lock:
            if suspect.name not in self._refused:
                self._refused.add(suspect.name)
                self._write(None)

    def write(self, running: Suspect | None) -> None:
        """Those found before, and the one whose turn runs."""
        with self._lock:
            self._write(running)

    def _write(self, running: Suspect | None) -> None:
        if self.path is None:
            return
        found = {name: one for name, one in self.found.items() if name not in self._refused}
        rows = [attrs.asdict(one) for one in {**found, **({running.name: running} if running else {})}.values()]
        if rows:
            with open(f"{self.path}.new", "w", encoding="utf-8") as file:  # noqa: PTH123 - a thread may wait
                json.dump(rows, file)
            os.replace(f"{self.path}.new", self.path)  # noqa: PTH105 - as above
        else:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.path)  # noqa: PTH108 - as above


def read_suspects(path: str) -> dict[Name, Suspect]:
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
    command, asker = str(row.get("command", "")), str(row.get("asker", ""))
    return Suspect(str(row["process"]), str(row["key"]), int(row["position"]), str(row["place"]), command, asker)


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
        at_work = self._at_work
        count, what = at_work.count, at_work.what
        looks = self._seen[1] + 1 if count == self._seen[0] and what is not None else 0
        self._seen = (count, looks)
        if looks < _LOOKS_PER_PERIOD:
            self._returned()
        elif self._named is None and what is not None:
            place = _place_of(sys._current_frames().get(self._thread))  # noqa: SLF001 - the documented way
            decided = ("", "") if at_work.position else (at_work.command, at_work.asker)
            self._name(Suspect(what.process, what.key, at_work.position, place, *decided))

    def _name(self, suspect: Suspect) -> None:
        self._named = suspect
        logger.error(
            "%s: this does not return, and nothing else runs until it does. If it never does, mend it and end the"
            " process: the next start %s first",
            suspect,
            "sets that flow aside" if suspect.position else "refuses that command",
            extra={"flow": f"{suspect.process}/{suspect.key}"},
        )
        try:
            self._suspects.write(suspect)
        except OSError as error:
            logger.error("%s can't be written: %s", self._suspects.path, error)  # noqa: TRY400 - it is a sentence

    def _returned(self) -> None:
        if self._named is None:
            return
        flow = f"{self._named.process}/{self._named.key}"
        what = "turn" if self._named.position else "decision"
        logger.warning("%s: that %s returned after all", flow, what, extra={"flow": flow})
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
