"""A checksum in a snapshot's fingerprint: one that was damaged differs, and is thrown away like an old one."""

from __future__ import annotations

from zlib import crc32

from procession.journal.rows import SnapshotRow

_BARE_CHARS_MAX = 32


def sealed(fingerprint: str, flow: int, version: int, state: str) -> str:
    """The fingerprint that a snapshot is stored under."""
    return f"{fingerprint}.{crc32(f'{flow} {version} {state}'.encode(errors='surrogatepass')):08x}"


def is_of(snapshot: SnapshotRow, fingerprint: str) -> bool:
    """Whether a snapshot is whole, and of the code with this fingerprint."""
    return snapshot.fingerprint == sealed(fingerprint, snapshot.flow, snapshot.version, snapshot.state)


def is_sealed(fingerprint: str, flow: int, version: int, state: str) -> bool:
    """Whether a snapshot is what was written, or of a time when fingerprints had no checksum."""
    before, dot, _ = fingerprint.rpartition(".")
    # A longer one had a dot, which was hit.
    return fingerprint == sealed(before, flow, version, state) if dot else len(fingerprint) <= _BARE_CHARS_MAX
