"""The tasks of this process over HTTP: who started whom, and where in the code each waits."""

from __future__ import annotations

from collections.abc import Iterator

import attrs
import trio

from procession.daemon.http.routes import Call, Route

_TASKS_MAX = 1_000
_CHILDREN_MAX = 100
"""Shown of one task; the others are counted."""
_FRAMES_MAX = 4
_CHARS_MAX = 200


@attrs.frozen
class TaskInfo:
    """One task of trio."""

    depth: int
    """Of the first task 0; of those that a task started one more. Each stands behind the one that started it."""
    name: str
    waits_at: tuple[str, ...]
    """The innermost places in the code first, `module.function:line`; within trio only what was called of it. Empty
    where it runs right now."""
    children: int
    """Tasks that it started and that have not ended."""
    children_left_out: int
    """So many of them are not told."""


@attrs.frozen
class TaskTree:
    """The tasks at one moment, each behind the one that started it."""

    tasks: tuple[TaskInfo, ...]
    total: int
    """Of this process; some may be left out."""


async def show_tasks(_: Call) -> TaskTree:
    """Trio's own view of this process, from its first task down."""
    root = trio.lowlevel.current_root_task()
    assert root is not None, "this is asked within a run of trio"
    total = trio.lowlevel.current_statistics().tasks_living
    return TaskTree(tuple(_told(root)), total)


def _told(root: trio.lowlevel.Task) -> Iterator[TaskInfo]:
    """Depth first; a stack, because tasks may be nested deeper than calls may be."""
    left, waiting = _TASKS_MAX, [(0, root)]
    while waiting:
        depth, task = waiting.pop()
        children = [child for nursery in task.child_nurseries for child in nursery.child_tasks]
        shown = sorted(children, key=lambda child: child.name)[: min(_CHILDREN_MAX, left - len(waiting) - 1)]
        left -= 1
        yield TaskInfo(depth, task.name[:_CHARS_MAX], _places(task), len(children), len(children) - len(shown))
        waiting.extend((depth + 1, child) for child in reversed(shown))


def _places(task: trio.lowlevel.Task) -> tuple[str, ...]:
    if task is trio.lowlevel.current_task():
        return ()
    frames = [(frame.f_globals.get("__name__", "?"), frame.f_code, line) for frame, line in task.iter_await_frames()]
    while len(frames) > 1 and _is_trios(frames[-1][0]) and _is_trios(frames[-2][0]):
        frames.pop()  # what of trio was called says more than where within trio that waits
    named = [f"{module}.{code.co_qualname}:{line}"[-_CHARS_MAX:] for module, code, line in frames]
    return tuple(reversed(named))[:_FRAMES_MAX]


def _is_trios(module: str) -> bool:
    return module.partition(".")[0] == "trio"


ROUTES = (Route("GET", "/v1/runtime/tasks", "reader", "The tasks, and where each waits.", TaskTree, show_tasks),)
