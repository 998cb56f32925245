"""Calls of C functions in a turn: the clock, chance, the environment and work are found; pure calls are not."""

from __future__ import annotations

import datetime
import io
import logging
import math
import os
import random
import secrets
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import attrs
import pytest

from procession import Effects, Event, ProcessManager, starts
from procession.engine.c_calls import CCalls
from procession.engine.guard import strict_guard
from procession.engine.turn import TurnFailed, run_turn
from procession.primitives.definition import compile_definition
from procession.primitives.envelope import Envelope

OUTSIDE = random.Random(421)
STARTED = datetime.datetime(2026, 3, 1, tzinfo=datetime.UTC)


class Begun(Event, name="c_calls.begun"):
    key: str


def no_envelope() -> Envelope:
    raise AssertionError("nobody asks for it")


def run(act: Callable[[], object]) -> None:
    class Acting(ProcessManager, name="acting", key="key"):
        @starts
        def begun(self, begun: Begun) -> Effects:
            act()
            yield from ()

    run_turn(compile_definition(Acting), Acting(), Begun("a"), "unstarted", no_envelope, 10, strict_guard())


IMPURE: list[tuple[Callable[[], object], str]] = [
    (time.time, "time.time"),
    (time.monotonic_ns, "time.monotonic_ns"),
    (lambda: datetime.datetime.now(datetime.UTC), "datetime.now"),
    (datetime.date.today, "date.today"),
    (random.random, "random.random"),
    (lambda: random.randint(1, 6), "random.getrandbits"),
    (lambda: random.seed(1), "random.seed"),
    (random.Random, "random.Random"),
    (OUTSIDE.random, "Random.random"),
    (lambda: secrets.token_hex(4), "os.urandom"),
    (uuid.uuid4, "os.urandom"),
    (lambda: os.environ["HOME"], "os.environ"),
    (lambda: os.getenv("HOME"), "os.environ"),
    (lambda: "HOME" in os.environ, "os.environ"),
    (os.getpid, "os.getpid"),
    (Path.cwd().exists, "os.stat"),
    (Path(os.devnull).read_bytes, "io.open"),
    (socket.gethostname, "socket.gethostname"),
    (print, "print"),
    (threading.Thread(target=len).start, "_thread.start"),
]


@pytest.mark.parametrize(("act", "name"), IMPURE, ids=[name for _, name in IMPURE])
def test_what_no_event_says_is_found(act: Callable[[], object], name: str) -> None:
    with pytest.raises(TurnFailed, match=f"Acting.begun called {name}"):
        run(act)


PURE: list[Callable[[], object]] = [
    lambda: random.Random(421).random(),
    lambda: random.Random("order/421").choice([1, 2, 3]),
    lambda: STARTED + datetime.timedelta(days=1),
    STARTED.isoformat,
    lambda: datetime.datetime.fromisoformat("2026-03-01"),
    lambda: time.gmtime(0),
    lambda: uuid.uuid5(uuid.NAMESPACE_OID, "421"),
    lambda: os.fspath("orders"),
    lambda: os.path.normpath("a/../b"),
    lambda: io.StringIO().write("a"),
    lambda: io.BytesIO(b"a").read(),
    lambda: sorted([3, 1, 2]),
    lambda: math.sqrt(2),
    lambda: logging.getLogger("orders").warning("placed"),
]


@pytest.mark.parametrize("act", PURE)
def test_what_is_pure_is_let_pass(act: Callable[[], object]) -> None:
    run(act)


def test_nothing_is_watched_after_the_turn() -> None:
    run(lambda: None)
    assert sys.getprofile() is None
    assert time.time() > 0


def test_nothing_is_watched_after_a_turn_that_failed() -> None:
    with pytest.raises(TurnFailed):
        run(time.time)
    assert sys.getprofile() is None


@attrs.define
class Heard:
    """Keeps what it hears."""

    calls: list[str] = attrs.field(factory=list)

    def saw(self, event: str, call: str, frame: FrameType) -> None:
        self.calls.append(call)


def profiler(frame: FrameType, event: str, argument: object) -> None:
    """Somebody else's."""


def test_another_profiler_is_left_alone_and_that_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    program = """
import sys, time
from procession.engine.c_calls import CCalls
from tests.engine.test_c_calls import Heard, profiler
heard, calls = Heard(), CCalls()
sys.setprofile(profiler)
for _ in range(2):
    calls.start(heard)
    time.time()
    calls.stop()
print(sys.getprofile() is profiler, heard.calls)
"""
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True, cwd=".")
    assert done.stdout.strip() == "True []"
    assert done.stderr.count("another profiler is installed") == 1


def test_a_turn_that_is_watched_runs_under_a_tracer() -> None:
    """As coverage and debuggers are."""
    traced: list[str] = []
    before = sys.gettrace()

    def trace(frame: FrameType, event: str, argument: object) -> None:
        traced.append(event)

    sys.settrace(trace)
    try:
        with pytest.raises(TurnFailed):
            run(time.time)
    finally:
        sys.settrace(before)
    assert "call" in traced


def test_only_the_thread_of_the_turn_is_watched() -> None:
    heard, calls, go = Heard(), CCalls(), threading.Event()
    times: list[float] = []

    def look() -> None:
        go.wait()
        times.append(time.time())

    other = threading.Thread(target=look)
    other.start()
    calls.start(heard)
    try:
        go.set()
        other.join()
    finally:
        calls.stop()
    assert (len(times), heard.calls) == (1, [])
