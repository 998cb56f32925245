"""Ids of 16 bytes that sort by time: fresh ones (UUIDv7) and derived ones, the same at every retry."""

from __future__ import annotations

import os
from collections.abc import Callable
from hashlib import blake2b

from procession.engine.clock import Clock

_RANDOM_BYTES = 4096
_COUNTER_MAX = 0xFFF
_DERIVED_BYTES = 10
_FIXED_BITS = 0x8000_80_00000000000000
"""Of a derived id after its time: version 8, and the variant."""
_RANDOM_BITS = 0x0FFF_3F_FFFFFFFFFFFFFF


class Ids:
    """One per runtime.

    A derived id is a hash under the journal's id, led by the time of the id that it derives from (UUIDv8 by
    RFC 9562), so that it is the same after every crash and still appends to an index nearly in order.
    """

    def __init__(self, clock: Clock, journal_id: bytes, entropy: Callable[[int], bytes] = os.urandom) -> None:
        self._clock = clock
        self._journal_id = journal_id
        self._entropy = entropy
        self._pool = b""
        self._at = 0
        self._ms = 0
        self._counter = 0

    def now_us(self) -> int:
        """The time that fresh ids are led by."""
        return self._clock.now_us()

    def fresh(self) -> bytes:
        """A UUIDv7; strictly increasing within this runtime, also when the clock goes back."""
        ms = self._clock.now_us() // 1000
        if ms > self._ms:
            self._ms, self._counter = ms, 0
        else:
            self._counter += 1
            if self._counter > _COUNTER_MAX:
                self._ms, self._counter = self._ms + 1, 0
        if self._at + 8 > len(self._pool):
            self._pool, self._at = self._entropy(_RANDOM_BYTES), 0
        random = int.from_bytes(self._pool[self._at : self._at + 8])
        self._at += 8
        low = (0b10 << 62) | (random >> 2)
        return (self._ms << 16 | 0x7000 | self._counter).to_bytes(8) + low.to_bytes(8)

    def command(self, event_id: bytes, process: str, key: str, index: int) -> bytes:
        """Id of the command that effect `index` of a turn asks for."""
        return self._derived(event_id, b"c", process, key, index)

    def timer(self, event_id: bytes, process: str, key: str, index: int) -> bytes:
        """Id of the timer that effect `index` of a turn arms."""
        return self._derived(event_id, b"t", process, key, index)

    def fact(self, event_id: bytes, process: str, key: str, index: int) -> bytes:
        """Id of the event that effect `index` of a turn records."""
        return self._derived(event_id, b"r", process, key, index)

    def answer(self, command_id: bytes, index: int) -> bytes:
        """Id of the event with which a command was answered."""
        return self._derived(command_id, b"a", "", "", index)

    def given_up(self, command_id: bytes, times: int) -> bytes:
        """Id of the event that says that a command was given up, after it was sent again so many times."""
        return self._derived(command_id, b"g", "", "", times)

    def deadline(self, timer_id: bytes) -> bytes:
        """Id of the event that a timer becomes."""
        return self._derived(timer_id, b"d", "", "", 0)

    def alert(self, process: str, key: str, invariant: str) -> bytes:
        """Id of the event that says that an invariant is broken in a flow: one for all time, so led by none."""
        return self._derived(bytes(6) + invariant.encode(), b"i", process, key, 0)

    def _derived(self, origin: bytes, kind: bytes, process: str, key: str, index: int) -> bytes:
        named = b"%s%s|%s|%s\x00%s|%d" % (self._journal_id, kind, origin, process.encode(), key.encode(), index)
        digest = int.from_bytes(blake2b(named, digest_size=_DERIVED_BYTES).digest())
        return origin[:6] + (digest & _RANDOM_BITS | _FIXED_BITS).to_bytes(_DERIVED_BYTES)
