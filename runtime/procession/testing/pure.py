"""Turns held to purity: what is not pure fails, whatever the settings say."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from procession.engine.guard import STRICT


@contextmanager
def pure_turns() -> Iterator[None]:
    """Runtimes that are opened in this block raise where a turn is not pure, and watch calls of C functions too.

        @pytest.fixture(autouse=True)
        def pure() -> Iterator[None]:
            with pure_turns():
                yield

    A turn that looks at the clock, draws a number, reads the environment or does work fails, and its flow goes to
    quarantine. `given` does so by itself. Where another profiler is installed, calls of C functions are not watched
    beside it, and the log says so.
    """
    token = STRICT.set(True)
    try:
        yield
    finally:
        STRICT.reset(token)
