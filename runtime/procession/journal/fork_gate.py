"""A fork waits until no thread of ours is inside SQLite.

SQLite has locks of its own for the whole process. A child that is forked while another thread holds one has a lock that
nobody will ever let go, and hangs when it opens its first database. So each thread holds a gate of its own while it is
inside, and whoever forks takes all gates first; nobody else waits for them.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
_PATIENCE_S = 5.0
"""The longest wait for one thread; after it the fork goes on as it would without gates: a disk that hangs must not
hang who forks."""
_gates: weakref.WeakSet[threading.RLock] = weakref.WeakSet()
_listed = threading.Lock()
"""Held while the gates are listed, or one is added."""
_taken: list[threading.RLock] = []


class _Gate(threading.local):
    def __init__(self) -> None:
        self.gate = threading.RLock()
        with _listed:
            _gates.add(self.gate)


_own = _Gate()


def inside(work: Callable[[], T]) -> T:
    """Run what goes into SQLite; no fork happens meanwhile, for a commit on a slow disk up to five seconds."""
    with _own.gate:
        return work()


def _take_all() -> None:
    patience_s = _PATIENCE_S
    _listed.acquire()
    for gate in list(_gates):
        if gate.acquire(timeout=patience_s):
            _taken.append(gate)
        else:
            patience_s = 0.0


def _let_go() -> None:
    while _taken:
        _taken.pop().release()
    _listed.release()


os.register_at_fork(before=_take_all, after_in_parent=_let_go, after_in_child=_let_go)
