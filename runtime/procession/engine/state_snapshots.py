"""When the state of a flow or of an aggregate is written down, and how large it may be: measured where it is encoded.

To encode a state at each step would be dear. A snapshot is due after so many steps; and after so many bytes of events
as a state may have: they are what it grows by.
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from procession.engine.stream import Stream
from procession.engine.turn import TurnFailed
from procession.errors import InvalidPayload
from procession.journal.rows import SnapshotRow
from procession.journal.snapshot_seal import sealed
from procession.primitives.codec import Codec, bytes_of
from procession.primitives.state import State
from procession.telemetry.names import Counters


@attrs.frozen
class StateSnapshots:
    """Of all flows, or of all aggregates."""

    codec: Codec
    counters: Counters
    fingerprints: Mapping[str, str]
    every: int
    """Steps from one snapshot to the next."""
    bytes_max: int
    setting: str
    """The name of that limit."""

    def due(self, stream: Stream, state: State, handler: str, steps: int) -> str | None:
        """What a snapshot of the new state will hold; None where none is due. Changes nothing.

        Empty where JSON can't hold it: it is a cache, and is folded from its steps.

        Args:
            stream: as it stands before; the bytes of its new events are counted.
            state: the new one.
            handler: whose turn or decision leads to it.
            steps: so many lead to it.

        Raises:
            TurnFailed: it is larger than a state may be.
        """
        if stream.version + steps - stream.snapshot_version < self.every and stream.unsaved_bytes < self.bytes_max:
            return None
        try:
            text = self.codec.state_to_json(state)
        except InvalidPayload:
            return ""
        size = bytes_of(text)
        if size > self.bytes_max:
            found = f"its state would have {size} bytes as JSON, at most {self.bytes_max} ({self.setting})"
            raise TurnFailed(handler, f"{found}; have it keep less, or raise the setting, start again and try again")
        return text

    def take(self, stream: Stream, text: str) -> SnapshotRow | None:
        """The snapshot of a stream as it stands now; None where JSON can't hold it."""
        stream.snapshot_version, stream.unsaved_bytes = stream.version, 0
        if not text:
            self.counters.snapshots_unwritable += 1
            return None
        self.counters.snapshots_taken += 1
        fingerprint = sealed(self.fingerprints[stream.process], stream.id, stream.version, text)
        return SnapshotRow(stream.id, stream.version, fingerprint, text)
