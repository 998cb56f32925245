"""The garbage collector of a process that serves."""

from __future__ import annotations

import gc

_NEW_MAX = 10_000
"""What the commits under way hold is about as much: with Python's own 700 it is walked over before it can go."""


def collect_seldom() -> None:
    """Let what is there now stay without being looked at again, and look at what is new less often.

    A full collection would hold the loop for 50 ms, again and again.
    For a process of our own only: a host's collector is the host's.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_NEW_MAX)
