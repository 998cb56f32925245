"""The second process of a shadow replay: `python -m procession.engine.shadow_child`, JSON lines in and out.

Each turn runs twice: at two times, and from a state and an event that are read anew. It ends with its input.
"""

from __future__ import annotations

import ctypes
import datetime
import functools
import gc
import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from procession.engine.guard import make_guard
from procession.engine.second_process import envelope_from, imported_class, private_streams
from procession.engine.shadow import Answer, ClassName, Job, Reply, Unshadowed, answer_of, state_text
from procession.engine.turn import TurnFailed, refold, run_turn
from procession.errors import InvalidPayload, ProcessionError
from procession.primitives.codec import Codec, from_json, to_json
from procession.primitives.definition import Definition, compile_definition
from procession.primitives.event import Event
from procession.primitives.process import ProcessManager

SHIFTS_S = (400 * 86_400 + 5 * 3_600 + 7 * 60 + 11.25, -(9_000 * 86_400 + 9 * 3_600 + 31 * 60 + 42.75))
"""How far the clocks of the two runs are ahead: more than a year, and before any event."""


def main() -> None:
    """Answer each line until the input ends."""
    lines, answers = private_streams()
    clock = Clock()
    clock.install()
    random.seed(f"shadow {os.environ.get('PYTHONHASHSEED')}")
    bench = Bench(clock)
    for line in lines:
        answers.write(to_json(bench.replay(from_json(line))) + b"\n")
        answers.flush()


class Clock:
    """Every clock that Python code can read is wrong, by an amount that can be changed."""

    def __init__(self) -> None:
        self.shift_s = SHIFTS_S[0]

    def install(self) -> None:
        """Put it in the place of the real ones; before any module of the user is imported."""
        for name in ("time", "monotonic", "perf_counter"):
            setattr(time, name, functools.partial(self._seconds, getattr(time, name), wall=name == "time"))
            setattr(
                time,
                f"{name}_ns",
                functools.partial(self._nanoseconds, getattr(time, f"{name}_ns"), wall=name == "time"),
            )
        for name in ("localtime", "gmtime", "ctime"):
            setattr(time, name, functools.partial(_at_now, getattr(time, name)))
        for name, argument in (("asctime", 0), ("strftime", 1)):
            setattr(time, name, functools.partial(_of_now, getattr(time, name), argument))
        self._install_datetime()

    def _install_datetime(self) -> None:
        """`datetime.now` reads the system's clock in C. Its type's own namespace can be reached by the collector."""
        (namespace,) = gc.get_referents(datetime.datetime.__dict__)
        namespace["now"] = classmethod(lambda cls, tz=None: cls.fromtimestamp(time.time(), tz))
        namespace["utcnow"] = classmethod(lambda cls: cls.fromtimestamp(time.time(), datetime.UTC).replace(tzinfo=None))
        ctypes.pythonapi.PyType_Modified(ctypes.py_object(datetime.datetime))

    def _seconds(self, read: Callable[[], float], *, wall: bool) -> float:
        return read() + (self.shift_s if wall else abs(self.shift_s))

    def _nanoseconds(self, read: Callable[[], int], *, wall: bool) -> int:
        return read() + int((self.shift_s if wall else abs(self.shift_s)) * 1e9)


def _at_now(make: Callable[[float], Any], seconds: float | None = None) -> Any:  # noqa: ANN401 - as the real one
    return make(time.time() if seconds is None else seconds)


def _of_now(make: Callable[..., str], argument: int, *given: Any) -> str:  # noqa: ANN401 - as the real one
    return make(*given) if len(given) > argument else make(*given, time.localtime())


class _Everything(dict[bytes, bytes]):
    """An environment in which every variable is set, and says nothing."""

    def __getitem__(self, _: bytes) -> bytes:
        return b"shadow"


@contextmanager
def _other_environment() -> Iterator[None]:
    """While a turn runs, `os.environ` is another; modules are imported under the real one."""
    environ: Any = os.environ
    real, environ._data = environ._data, _Everything()  # noqa: SLF001 - modules hold the object itself
    try:
        yield
    finally:
        environ._data = real  # noqa: SLF001 - as above


class Bench:
    """Runs turns, with the classes that it has imported."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._codec = Codec()
        self._guard = make_guard("raise")
        self._definitions: dict[ClassName, Definition] = {}
        self._classes: dict[ClassName, type] = {}

    def replay(self, job: Job) -> Reply:
        """Both runs of a turn, or why there are none."""
        try:
            definition = self._definition(job["process"])
            self._codec.register(self._class(job["event"], Event))
            for held in job["held"]:
                self._codec.register(self._class(held, object))
            runs, changed = [], ""
            for shift_s in SHIFTS_S:
                self._clock.shift_s = shift_s
                answer, changed = self._run(definition, job)
                runs.append(answer)
        except Unshadowed as error:
            return Reply(unshadowed=str(error))
        return Reply(runs=runs, changed=changed)

    def _run(self, definition: Definition, job: Job) -> tuple[Answer, str]:
        """One run, and what it changed in place."""
        state, event = self._begin(definition, job)
        written = self._codec.encode(event)
        try:
            with _other_environment():
                turn = run_turn(
                    definition,
                    state,
                    event,
                    job["life"],
                    lambda: envelope_from(job["envelope"]),
                    job["effects_max"],
                    self._guard,
                )
                before, again = self._begin(definition, job)
                folded = refold(definition.reaction(again), before, again, self._guard)
        except TurnFailed as failed:
            return Answer(failed=str(failed)), ""
        answer = answer_of(turn, self._codec)
        if state_text(self._codec, state) != job["state"]:
            return answer, "state"
        if not self._still(event, written):
            return answer, "event"
        # A reaction has no say over the state: what the fold made of it is what the turn ends with.
        return answer, "" if state_text(self._codec, turn.state) == state_text(self._codec, folded) else "state"

    def _begin(self, definition: Definition, job: Job) -> tuple[ProcessManager, Event]:
        """State and event, read anew."""
        event_class = self._class(job["event"], Event)
        try:
            state = self._codec.state_from_json(definition.cls, job["state"])
            event: Event = self._codec.decode(event_class, job["payload"])
        except ProcessionError as error:
            raise Unshadowed(f"what the turn begins with can't be read again: {error}") from error
        if state_text(self._codec, state) != job["state"]:
            raise Unshadowed(f"the state of {definition.cls.__name__} is another when it is read from JSON")
        return state, event

    def _still(self, event: Event, written: bytes) -> bool:
        try:
            return self._codec.encode(event) == written
        except InvalidPayload:
            return False  # it was changed into what its type does not allow

    def _definition(self, name: ClassName) -> Definition:
        key = (name[0], name[1])
        if key not in self._definitions:
            cls = self._class(name, ProcessManager)
            try:
                self._definitions[key] = compile_definition(cls)
            except ProcessionError as error:
                raise Unshadowed(str(error)) from error
        return self._definitions[key]

    def _class(self, name: ClassName, kind: type) -> Any:  # noqa: ANN401 - a class below `kind`
        key = name[0], name[1]
        if key not in self._classes:
            self._classes[key] = imported_class(name, kind)
        return self._classes[key]


if __name__ == "__main__":
    main()
