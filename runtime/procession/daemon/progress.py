"""How far a long verb is: a bar on a terminal, else a line every few seconds. On stderr, without extras."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import IO

import attrs

from procession.daemon.durations import human

_DRAW_EVERY_S = 0.1
_LINE_EVERY_S = 5.0
_BAR_CHARS = 28


@attrs.define(eq=False)
class Progress:
    """One bar. `done` and `total` are in whatever measure tells how far it is; `count` is what people count."""

    title: str
    noun: str
    stream: IO[str]
    total: int | None = None
    """None: nobody knows how much there is."""
    clock: Callable[[], float] = time.perf_counter
    _began: float = attrs.field(init=False)
    _shown: float = attrs.field(init=False)
    _drawn: bool = False

    def __attrs_post_init__(self) -> None:
        """Start counting time."""
        self._began = self._shown = self.clock()

    def show(self, done: int, count: int, note: str = "", *, now: bool = False) -> None:
        """Say where it stands, if it is time to: often on a terminal, seldom elsewhere."""
        at = self.clock()
        on_terminal = self.stream.isatty()
        if not now and at - self._shown < (_DRAW_EVERY_S if on_terminal else _LINE_EVERY_S):
            return
        self._shown = at
        text = self._text(done, count, note, at - self._began, bar=on_terminal)
        if on_terminal:
            self.stream.write(f"\r\x1b[2K{text}")
            self._drawn = True
        else:
            self.stream.write(f"{text}\n")
        self.stream.flush()

    def clear(self) -> None:
        """Leave an empty line where the bar was."""
        if self._drawn:
            self.stream.write("\r\x1b[2K")
            self.stream.flush()
            self._drawn = False

    @property
    def elapsed_s(self) -> float:
        """Since it began."""
        return self.clock() - self._began

    def _text(self, done: int, count: int, note: str, elapsed_s: float, *, bar: bool) -> str:
        parts = [self.title]
        if self.total:
            share = min(1.0, done / self.total)
            filled = int(share * _BAR_CHARS)
            if bar:
                parts.append("█" * filled + "░" * (_BAR_CHARS - filled))
            parts.append(f"{share:4.0%}")
        parts.append(f"{count:,} {self.noun}")
        if elapsed_s > 0:
            parts.append(f"{count / elapsed_s:,.0f}/s")
        if self.total and 0 < done < self.total:
            parts.append(f"{human(elapsed_s * (self.total - done) / done)} left")
        if note:
            parts.append(note)
        return "  ".join(parts)
