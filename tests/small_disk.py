"""A disk of its own for a test, in memory and of a size that is known."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest


@contextlib.contextmanager
def mounted(folder: Path, size_bytes: int) -> Iterator[None]:
    """Mount it at a folder for as long as the block; where this machine lets nobody mount, the test is skipped."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount a disk")
    command = ["mount", "-t", "tmpfs", "-o", f"size={size_bytes}", "tmpfs", str(folder)]
    refused = subprocess.run(command, capture_output=True, text=True, check=False)
    if refused.returncode != 0:
        pytest.skip(f"this machine mounts no disk: {refused.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
