"""A disk of its own for a test, in memory and of a size that is known."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest


class NothingMounted(Exception):  # noqa: N818 - it says what is so
    """This machine lets nobody mount a disk, or not this user; says why."""


@contextlib.contextmanager
def small_disk(folder: Path, size_bytes: int) -> Iterator[None]:
    """Mount it at a folder for as long as the block.

    Raises:
        NothingMounted: it can't be.
    """
    if os.geteuid() != 0:
        raise NothingMounted("only root may mount a disk")
    command = ["mount", "-t", "tmpfs", "-o", f"size={size_bytes}", "tmpfs", str(folder)]
    refused = subprocess.run(command, capture_output=True, text=True, check=False)
    if refused.returncode != 0:
        raise NothingMounted(f"this machine mounts no disk: {refused.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextlib.contextmanager
def mounted(folder: Path, size_bytes: int) -> Iterator[None]:
    """The same for a test, which is skipped where nothing can be mounted."""
    with contextlib.ExitStack() as mounting:
        try:
            mounting.enter_context(small_disk(folder, size_bytes))
        except NothingMounted as why:
            pytest.skip(str(why))
        yield
