"""The guard of turns: an audit hook of the interpreter, armed only while a turn runs and only for what runs it.

One hook for the process, installed when the first guarded turn needs it; it can't be removed, and is inert outside of
turns. It is no security boundary: an extension written in C may go around it. It sees work (files, sockets, programs,
threads from Python 3.12 on, `id`) and misses the clock, chance, the environment and the order of hashes; for these
there are `c_calls` in tests, and shadow replay.
"""

from __future__ import annotations

import functools
import gc
import inspect
import logging
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from threading import get_ident
from types import FrameType
from typing import Any, Literal, Protocol

import attrs

from procession.engine.c_calls import CCalls, words
from procession.errors import ImpureTurn
from procession.primitives.allowance import allows_impurity
from procession.primitives.telling import told

logger = logging.getLogger("procession.purity")

Mode = Literal["report", "raise", "off"]

WORK_FAMILIES = words(
    "ctypes fcntl ftplib gc glob http imaplib mmap msvcrt nntplib os pathlib poplib pty resource shutil signal smtplib"
    " socket sqlite3 subprocess syslog telnetlib tempfile urllib webbrowser winreg _posixshmem _thread _winapi"
)
"""Audit events of these families mean work, or a look at what no event says. Others are the interpreter's own:
`compile`, `object.__getattr__`, `sys._getframe` are seen in pure code too."""
WORK = words("open import builtins.input time.sleep sys._current_frames sys._current_exceptions")
IMPORT_SYSTEM = words("importlib _frozen_importlib _frozen_importlib_external zipimport zoneinfo encodings")
"""What these open, they open for the interpreter: reported, never raised (the first `strptime` imports)."""
BYSTANDERS = words("bdb pdb coverage debugpy pydevd _pydevd_bundle _pydevd_frame_eval logging warnings linecache")
"""What these do inside of a turn is let pass: debuggers, coverage, and how a log line or a warning is written."""

_CALL_CHARS_MAX = 60
_SEEN_MAX = 1_000


class Guarded(Protocol):
    """A handler: of a flow, or of a projector."""

    @property
    def method(self) -> Callable[..., Any]:
        """What runs."""
        ...


@attrs.define(eq=False)
class Guard:
    """Watches the turns of one runtime, or of one scenario; these run in one thread.

    What it finds is kept until the turn is over, so that a handler that catches everything hides nothing.
    """

    mode: Mode = "off"
    on_impure: Callable[[], object] = int
    """Told of each turn that was not pure."""
    c_calls: CCalls | None = None
    """Also watches calls of C functions; for tests, since each call of a turn then costs a microsecond."""
    process: type | None = None
    handler: Guarded | None = None
    """What runs now, or ran last, and of which process."""
    found: ImpureTurn | None = None
    """The first thing that this turn must not do; None while it is pure."""
    _seen: set[tuple[str, str]] = attrs.field(factory=set)

    def enter(self, process: type) -> Guard | None:
        """A turn begins in this thread; returns the guard of the turn around it, which there is in no runtime."""
        self.process = process
        if self.c_calls is not None:
            self.c_calls.start(self)
        thread = get_ident()
        around = RUNNING.get(thread)
        RUNNING[thread] = self
        return around

    def leave(self, around: Guard | None) -> None:
        """The turn is over; what was found stays until `settle`."""
        RUNNING[get_ident()] = around
        if self.c_calls is not None:
            self.c_calls.stop()

    def settle(self) -> ImpureTurn | None:
        """The turn is over: count and forget what was found; returns that for which it fails."""
        found, self.found = self.found, None
        self.on_impure()
        return found if self.mode == "raise" else None

    def saw(self, event: str, call: str, frame: FrameType, *, audited: bool = False) -> None:
        """Judge what a turn does; `frame` is the Python code that does it.

        Raises:
            ImpureTurn: in mode `raise`, unless the import system or zoneinfo does it.
        """
        if self.handler is None:
            return  # no code of the user has run yet
        if frame.f_globals.get("__name__") == _STORE:
            return
        frames = list(_frames_of_turn(frame))
        names = {_top_name(inner) for inner in frames}
        if names & BYSTANDERS or _collects(frames) or self._is_allowed(frames):
            return  # what is said below is written by `logging`, too
        if event == "import" or names & IMPORT_SYSTEM:
            if audited:
                self._say("a turn imports, or looks up a time zone, while it runs", event, call, frame)
            return
        impure = self._note(call, frame)
        if self.mode == "raise":
            raise impure
        self._say("a turn is not pure", event, call, frame)

    def _is_allowed(self, frames: Sequence[FrameType]) -> bool:
        """Whether the author allowed it: of the class, of the handler, or of a function that it calls."""
        assert self.handler is not None, "what is guarded is a handler that runs"
        return allows_impurity(self.process, self.handler.method, *map(_function_of, frames))

    def refuse(self, call: str, frame: FrameType) -> ImpureTurn:
        """The error for a call of the runtime, which is refused in every mode."""
        return self._note(call, frame)

    def _note(self, call: str, frame: FrameType) -> ImpureTurn:
        impure = self._impure(call, frame)
        if self.found is None:
            self.found = impure
        return impure

    def _impure(self, call: str, frame: FrameType) -> ImpureTurn:
        assert self.handler is not None, "what is guarded is a handler that runs"
        return ImpureTurn(_where(frame, self.handler), _title(self.handler), call)

    def _say(self, what: str, event: str, call: str, frame: FrameType) -> None:
        """Once for each handler and call."""
        impure = self._impure(call, frame)
        seen = (impure.handler, event)
        if seen not in self._seen and len(self._seen) < _SEEN_MAX:
            self._seen.add(seen)
            logger.warning("%s: %s", what, impure)


RUNNING: dict[int, Guard | None] = {}
"""The guard of the turn that runs in a thread, by the thread's number. A turn is synchronous, so that what runs in its
thread meanwhile is the turn. A context variable costs as much, and is not safe here: Python 3.11 collects garbage
inside of `ContextVar.set`, and what a finaliser then makes our hook read is freed a moment later."""

UNGUARDED = Guard()
"""For turns whose purity is somebody else's business: nothing is watched."""

STRICT: ContextVar[bool] = ContextVar("procession_strict_turns", default=False)
"""Guards made in this context raise and watch C calls, whatever the settings say."""


def make_guard(mode: Mode, on_impure: Callable[[], object] = int) -> Guard:
    """A guard for the turns of one runtime; installs the hook where there is none."""
    if STRICT.get():
        return strict_guard(on_impure)
    if mode != "off":
        _install()
    return Guard(mode, on_impure)


def strict_guard(on_impure: Callable[[], object] = int) -> Guard:
    """A guard as tests want it: it raises, and watches calls of C functions too."""
    _install()
    return Guard("raise", on_impure, CCalls())


@functools.cache
def _install() -> None:
    """Install the hook, once for the process; it can't be removed."""
    with _INSTALLING:
        if not _HOOKED:
            gc.callbacks.append(_on_collection)
            sys.addaudithook(_make_hook())
            sys.audit(_PROBE)
            if not _HOOKED:
                logger.error("an audit hook that was here before refuses ours: turns are not guarded")


def _make_hook() -> Callable[[str, tuple[Any, ...]], None]:
    """The hook, with all that it needs in its closure: it outlives this module's names when Python ends."""
    get, thread = RUNNING.get, get_ident
    frame_of = sys._getframe  # noqa: SLF001 - the hook must know who called
    hooked = _HOOKED

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        guard = get(thread())
        if guard is None:
            if event == _PROBE:
                hooked.append(event)
            return
        if guard.mode == "off":
            return
        if event.partition(".")[0] in WORK_FAMILIES or event in WORK:
            kind = "import" if event == "open" and _is_zone(arguments[0]) else event
            guard.saw(kind, _shown(event, arguments, guard, frame_of(1)), frame_of(1), audited=True)
        elif event == "builtins.id" and _calls_itself(guard, frame_of(1)):
            guard.saw(event, "id()", frame_of(1), audited=True)

    return hook


def _is_zone(path: object) -> bool:
    """Whether a file is a time zone's: zoneinfo opens it in C, so no frame tells."""
    zones = sys.modules.get("zoneinfo")
    return zones is not None and isinstance(path, str) and path.startswith(tuple(zones.TZPATH))


def _collects(frames: Sequence[FrameType]) -> bool:
    """Whether the garbage collector runs, by chance: what it finalises and calls is not the turn's doing."""
    if get_ident() in _COLLECTING:
        return True
    told = {getattr(callback, "__code__", None) for callback in gc.callbacks}
    return any(frame.f_code in told for frame in frames)


def _on_collection(phase: str, _: dict[str, int]) -> None:
    if phase == "start":
        _COLLECTING.add(get_ident())
    else:
        _COLLECTING.discard(get_ident())


def _calls_itself(guard: Guard, frame: FrameType) -> bool:
    """Whether the user's own code calls `id`: `copy.deepcopy` and each generated `__repr__` do it too, and are pure."""
    return not frame.f_code.co_filename.startswith("<") and _is_own(frame, guard.handler)


def _is_own(frame: FrameType, handler: Guarded | None) -> bool:
    return handler is not None and _top_name(frame) == handler.method.__module__.partition(".")[0]


def _frames_of_turn(frame: FrameType) -> Iterator[FrameType]:
    """From the code that calls out to the handler; not what runs the turn."""
    inner: FrameType | None = frame
    while inner is not None and inner.f_globals.get("__name__") not in _RUNS_HANDLERS:
        yield inner
        inner = inner.f_back


def _function_of(frame: FrameType) -> object:
    """The function that runs in a frame, where its module tells it by its name."""
    found: object = frame.f_globals.get(frame.f_code.co_qualname.partition(".")[0])
    for name in frame.f_code.co_qualname.split(".")[1:]:
        found = vars(found).get(name) if isinstance(found, type) else None
    return inspect.unwrap(found) if callable(found) else None


def _top_name(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0]


def _where(frame: FrameType, handler: Guarded) -> str:
    """The innermost line of the user's package, or the line that left the handler."""
    last = frame
    for inner in _frames_of_turn(frame):
        last = inner
        if _is_own(inner, handler) and not inner.f_code.co_filename.startswith("<"):
            break
    return f"{last.f_code.co_filename.rsplit('/', maxsplit=1)[-1]}:{last.f_lineno}"


def _title(handler: Guarded) -> str:
    return handler.method.__qualname__.rpartition("<locals>.")[2]


def _shown(event: str, arguments: tuple[Any, ...], guard: Guard, frame: FrameType) -> str:
    """The call in short, without secrets. Only plain values are shown: showing others would run foreign code."""
    plain = [repr(value) for value in arguments[:2] if type(value) in (str, bytes, int)]
    if plain:
        hands = tuple(_in_hand(guard, frame))
        plain = [told(text, *hands) for text in plain]
    return f"{event}({', '.join(plain):.{_CALL_CHARS_MAX}})"


def _in_hand(guard: Guard, frame: FrameType) -> Iterator[object]:
    """What the handler, and what it calls, were given: the state and the message, whose secrets the call may show."""
    handler = guard.handler
    for inner in _frames_of_turn(frame):
        code = inner.f_code
        yield from (inner.f_locals.get(name) for name in code.co_varnames[: code.co_argcount])
        if handler is not None and code is getattr(handler.method, "__code__", None):
            return


_RUNS_HANDLERS = frozenset({"procession.engine.turn", "procession.projections.fold"})
_STORE = "procession.projections.store"
"""The one place where a projector's handler may do work: its own store."""
_PROBE = "procession.guard.installed"
_INSTALLING = threading.Lock()
_HOOKED: list[str] = []
"""Not empty once the hook has seen itself installed."""
_COLLECTING: set[int] = set()
"""The threads in which the garbage collector runs now."""
