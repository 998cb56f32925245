"""How large the data of one message may be; and which messages are large and fit, told once for each type."""

from __future__ import annotations

import logging

from procession.settings import IntakeSettings

logger = logging.getLogger("procession.payloads")


class Payloads:
    """Of one runtime. A flood of large messages is one line in its log; the others are counted."""

    def __init__(self, bytes_max: int, bytes_warn: int, large: dict[str, int]) -> None:
        """More than `bytes_max` is not taken; what has more than `bytes_warn` is counted in `large`, by type."""
        self.bytes_max = bytes_max
        self._bytes_warn = min(bytes_warn, bytes_max)
        self._large = large

    def fit(self, name: str, size: int) -> bool:
        """Whether so many bytes of data are taken of a message of this type; one that is large is noted."""
        if size > self._bytes_warn:
            if size > self.bytes_max:
                return False
            self._note(name, size)
        return True

    def _note(self, name: str, size: int) -> None:
        seen = self._large.get(name, 0)
        self._large[name] = seen + 1
        if not seen:
            logger.warning(
                "%s has %d bytes of data, more than %d (intake.payload_bytes_warn; %d are taken): keep what is large"
                " elsewhere and name it in the message; others of its type are counted and not told",
                name,
                size,
                self._bytes_warn,
                self.bytes_max,
            )


def payloads_of(limits: IntakeSettings, large: dict[str, int]) -> Payloads:
    """As the settings say."""
    return Payloads(limits.payload_bytes_max, limits.payload_bytes_warn, large)
