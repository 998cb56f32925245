"""Supervisors: they start actors, restart them by policy, and give up aloud. `except Exception` stands here only."""

from __future__ import annotations

import typing
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from typing import Generic, Literal, NamedTuple, TypeVar

import attrs
import trio

from procession.errors import RuntimeFailed

T = TypeVar("T")
ErrorT = TypeVar("ErrorT", bound=BaseException)
ActorState = Literal["starting", "running", "backing_off", "held", "paused", "ended", "failed"]


@attrs.frozen
class RestartPolicy:
    """How often an actor may fail: more than `restarts_max` times within `period_s` is given up."""

    restarts_max: int
    period_s: float
    backoff_initial_s: float
    backoff_max_s: float

    def backoff_s(self, failures: int, jitter: float) -> float:
        """How long to wait before the next start; `jitter` between 0 and 1 spreads it over the upper half."""
        whole = min(self.backoff_max_s, self.backoff_initial_s * 2.0 ** min(failures - 1, 30))
        return whole * (0.5 + jitter / 2)


@attrs.frozen
class ActorInfo:
    """One node of the supervision tree, for display."""

    name: str
    state: ActorState
    restarts: int
    children: tuple[ActorInfo, ...] = ()
    detail: str = ""


@attrs.define(eq=False)
class Supervised:
    """What a supervisor knows of one of its actors."""

    name: str
    state: ActorState = "starting"
    restarts: int = 0
    last_error: str = ""

    def info(self, children: tuple[ActorInfo, ...] = ()) -> ActorInfo:
        """This actor for display."""
        return ActorInfo(self.name, self.state, self.restarts, children, self.last_error)


class Result(NamedTuple, Generic[T]):
    """How a supervised call ended: a value, or the exception it raised."""

    value: T | None
    error: Exception | None


class CallResult(NamedTuple, Generic[T]):
    """How a call ended that nothing may come out of: a value, or whatever it raised."""

    value: T | None
    error: BaseException | None


async def supervise(
    actor: Supervised,
    start: Callable[[], Awaitable[None]],
    policy: RestartPolicy,
    *,
    jitter: Callable[[], float],
    on_failure: Callable[[Exception], None],
    fatal: tuple[type[Exception], ...] = (),
) -> None:
    """Run an actor until it ends of itself; start it again when it raises.

    Args:
        actor: gets state, restarts and the last error, for the tree.
        start: one life of the actor.
        jitter: a number between 0 and 1, drawn at each restart.
        on_failure: told of each failure, before the back-off.
        fatal: errors after which no start can help, also inside of groups: they are raised at once, as they are.

    Raises:
        RuntimeFailed: it failed more often than the policy allows.

    Cancellation: passes through to the actor, always.
    """
    failures: deque[float] = deque()
    while True:
        actor.state = "running"
        try:
            await start()
        except Exception as error:
            for leaf in leaves(error):
                if isinstance(leaf, fatal):
                    actor.state, actor.last_error = "failed", str(leaf)
                    raise leaf from error
            on_failure(error)
            found = next(leaves(error))
            actor.last_error = named(found)
            now = trio.current_time()
            failures.append(now)
            while failures and failures[0] < now - policy.period_s:
                failures.popleft()
            if len(failures) > policy.restarts_max:
                actor.state = "failed"
                raise RuntimeFailed(actor.name, actor.restarts, actor.last_error) from error
            actor.restarts += 1
            actor.state = "backing_off"
            await trio.sleep(policy.backoff_s(len(failures), jitter()))
        else:
            actor.state = "ended"
            return


def named(error: BaseException) -> str:
    """An error in words that can be written down; foreign code may fail even at that, and give half a character."""
    try:
        text = str(error)
    except Exception as fault:  # noqa: BLE001 - as above
        text = f"<it can't be shown: {type(fault).__name__}>"
    return f"{type(error).__name__}: {text}".encode("utf-8", "backslashreplace").decode()


def leaves(error: ErrorT) -> Iterator[ErrorT]:
    """The errors of a group, however deeply they are nested; one that is no group is its own leaf."""
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from typing.cast("Iterator[ErrorT]", leaves(inner))
    else:
        yield error


async def contained(call: Callable[[], Awaitable[T]]) -> Result[T]:
    """Await a call of foreign code; what it raises comes back as a value.

    Cancellation: passes through.
    """
    try:
        return Result(await call(), None)
    except Exception as error:  # noqa: BLE001 - foreign code: its supervisor decides what follows
        return Result(None, error)


class BrokeOut(Exception):  # noqa: N818 - it stands for what its cause is
    """Foreign code raised what is meant to end a process: for its supervisor a failure as any other."""


async def foreign(call: Callable[[], Awaitable[T]]) -> T:
    """Await a call of foreign code: an error comes out as it is, what is no `Exception` as the cause of one.

    Raises:
        BrokeOut: it raised `SystemExit` or its like.

    Cancellation and KeyboardInterrupt: as `contained_call`.
    """
    result = await contained_call(call)
    if result.error is None:
        return typing.cast("T", result.value)
    if isinstance(result.error, Exception):
        raise result.error
    found = next(leaves(result.error))
    raise BrokeOut(f"it raised {type(found).__name__}: {found}") from result.error


async def contained_call(call: Callable[..., Awaitable[T]], *arguments: object) -> CallResult[T]:
    """As `contained`, for a call that nothing may come out of: `SystemExit` and its like come back as values too.

    Cancellation and KeyboardInterrupt: pass through, without what was raised beside them.
    """
    try:
        return CallResult(await call(*arguments), None)
    except (trio.Cancelled, KeyboardInterrupt):
        raise
    except BaseExceptionGroup as group:
        passing = group.subgroup((trio.Cancelled, KeyboardInterrupt))
        if passing is not None:
            raise passing from None
        return CallResult(None, group)
    except BaseException as error:  # noqa: BLE001 - as around a turn: what user code raises ends no runtime
        return CallResult(None, error)
