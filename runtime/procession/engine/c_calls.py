"""Calls of C functions that no audit hook hears of: the clock, chance, the environment. Watched in tests.

A profile function sees each call that Python code makes. Calls that C code makes (`map(time.time, …)`, a `partial` of
a C function) it does not see.
"""

from __future__ import annotations

import datetime
import functools
import logging
import os
import random
import sys
from collections.abc import Callable
from types import BuiltinFunctionType, CodeType, FrameType, ModuleType
from typing import Any, Protocol

import attrs

logger = logging.getLogger("procession.purity")


def words(text: str) -> frozenset[str]:
    """A set of names, written on one line."""
    return frozenset(text.split())


ALL = frozenset("*")
IMPURE: dict[str, frozenset[str]] = {
    "time": words(
        "time time_ns monotonic monotonic_ns perf_counter perf_counter_ns process_time process_time_ns thread_time"
        " thread_time_ns clock_gettime clock_gettime_ns sleep"
    ),
    "builtins": words("open input print"),
    "io": words("open open_code"),
    "_io": words("open open_code"),
    "posix": ALL,
    "nt": ALL,
    "_thread": words("start_new_thread start_new start_joinable_thread"),
    "_uuid": words("generate_time_safe"),
    "gc": words("get_objects get_referrers get_stats get_count"),
    **dict.fromkeys(
        words(
            "_socket select _ssl _sqlite3 sqlite3 _posixsubprocess _winapi fcntl termios _signal resource syslog pwd"
            " grp _multiprocessing _posixshmem _curses readline"
        ),
        ALL,
    ),
}
"""What turns must not call, by the module that holds it; `*` for all of it."""
PURE = words("fspath strerror _path_normpath _path_splitroot _path_splitroot_ex")
"""What of `os` is pure."""
_KNOWN_AS = {"posix": "os.", "nt": "os.", "_io": "io.", "_uuid": "uuid.", "_socket": "socket.", "builtins": ""}
_HANDLES = words("_io _socket socket _ssl sqlite3 _sqlite3")
"""Modules whose objects are open files, sockets and connections; but for those in memory."""
_IN_MEMORY = words("BytesIO StringIO IncrementalNewlineDecoder")
_ENVIRON: dict[CodeType, str] = {
    vars(type(os.environ))[name].__code__: "os.environ"
    for name in ("__getitem__", "__setitem__", "__delitem__", "__iter__", "__len__")
}
_SEED = random.Random.seed.__code__
_WHOLE_CHANCE: object = vars(random)["_inst"]
"""The generator behind the functions of the module."""


class Watcher(Protocol):
    """What hears of each call."""

    def saw(self, event: str, call: str, frame: FrameType) -> None:
        """Judge a call; may raise."""
        ...


@attrs.define(eq=False)
class CCalls:
    """Watches the calls of one turn after another. Steps aside where somebody else profiles."""

    _hook: Callable[[FrameType, str, Any], None] | None = None
    _seeded: list[object] = attrs.field(factory=list)
    """Generators that this turn made from a seed of its own: what they yield is no chance."""

    def start(self, watcher: Watcher) -> None:
        """A turn begins in this thread."""
        if sys.getprofile() is not None:
            _say_once()
            return
        self._seeded.clear()
        self._hook = functools.partial(self._called, watcher)
        sys.setprofile(self._hook)

    def stop(self) -> None:
        """The turn is over."""
        if self._hook is not None and sys.getprofile() in (self._hook, None):
            sys.setprofile(None)
        self._hook = None

    def _called(self, watcher: Watcher, frame: FrameType, event: str, called: Any) -> None:  # noqa: ANN401 - whatever is called
        if event == "c_call":
            name = self._impure(called, frame)
        elif event == "call":
            name = _ENVIRON.get(frame.f_code, "")
        else:
            return
        if name:
            watcher.saw(name, name if event == "call" else f"{name}()", frame)

    def _impure(self, called: BuiltinFunctionType, frame: FrameType) -> str:
        """The name of what is called, where a turn must not; else nothing."""
        owner, name = called.__self__, called.__name__
        if type(owner) is ModuleType:
            return _of_module(owner.__name__, name)
        if isinstance(owner, type):
            clock = name in ("now", "today", "utcnow") and issubclass(owner, datetime.date)
            return f"{owner.__name__}.{name}" if clock else ""
        if isinstance(owner, random.Random):
            return self._chance(owner, name, frame)
        kind = type(owner)
        handle = kind.__module__ in _HANDLES and kind.__name__ not in _IN_MEMORY
        return f"{kind.__name__}.{name}" if handle else ""

    def _chance(self, generator: object, name: str, frame: FrameType) -> str:
        """A generator that a turn seeds itself is pure; the module's own, and one from outside, are not."""
        if generator is _WHOLE_CHANCE:
            return f"random.{name}"
        if name == "seed":
            if frame.f_code is _SEED and frame.f_locals.get("a") is None:
                return "random.Random"
            self._seeded.append(generator)
        return "" if any(generator is seeded for seeded in self._seeded) else f"Random.{name}"


def _of_module(module: str, name: str) -> str:
    names = IMPURE.get(module)
    if names is None or (names is not ALL and name not in names) or (_KNOWN_AS.get(module) == "os." and _pure(name)):
        return ""
    return f"{_KNOWN_AS.get(module, f'{module}.')}{name}"


def _pure(name: str) -> bool:
    return name in PURE or name.startswith("W")


@functools.cache
def _say_once() -> None:
    logger.warning("another profiler is installed: calls of C functions in turns are not watched beside it")
