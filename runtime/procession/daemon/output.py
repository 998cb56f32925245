"""What the command says: data on stdout, all else on stderr; for people or, by --json, for machines."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import IO, Literal

import attrs

from procession.errors import one_line

ColorChoice = Literal["auto", "always", "never"]
_STYLES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}
_STATUS_STYLES = {
    "active": "cyan",
    "ended": "green",
    "quarantined": "red",
    "cancelled": "yellow",
    "ok": "green",
    "warn": "yellow",
    "fail": "red",
}


@attrs.define(eq=False)
class Output:
    """Where one run of the command writes to, and how."""

    as_json: bool
    color: bool
    stdout: IO[str]
    stderr: IO[str]

    @property
    def on_terminal(self) -> bool:
        """Whether people read the data as it comes."""
        return self.stdout.isatty()

    def json(self, data: object) -> None:
        """One JSON document on stdout; the only thing that --json writes there."""
        indent = 2 if self.on_terminal else None
        print(json.dumps(data, ensure_ascii=False, indent=indent), file=self.stdout)

    def line(self, text: str = "") -> None:
        """A line of data."""
        print(text, file=self.stdout)

    def say(self, text: str) -> None:
        """A line for the person in front of it; never data."""
        print(text, file=self.stderr, flush=True)

    def styled(self, text: str, style: str) -> str:
        """The text in a colour, where colours are wanted."""
        code = _STYLES.get(style)
        return f"\x1b[{code}m{text}\x1b[0m" if self.color and code and text else text

    def number(self, number: int) -> str:
        """A number: in groups for people, plain for programs."""
        return f"{number:,}" if self.on_terminal else str(number)

    def status(self, word: str) -> str:
        """A status word in its colour."""
        return self.styled(word, _STATUS_STYLES.get(word, ""))

    def cell(self, text: str) -> str:
        """A text in one line, without what a terminal would obey: a key or an error may hold anything."""
        return one_line(text)

    def table(self, headers: Sequence[str], rows: Sequence[Sequence[str]], *, status_column: int = -1) -> None:
        """Rows under headers on a terminal; else lines with tabs between, without headers, for `cut` and `awk`.

        Nothing is ever truncated.
        """
        if not self.on_terminal:
            for row in rows:
                self.line("\t".join(map(self.cell, row)))
            return
        self.aligned([headers, *rows], header=True, status_column=status_column)

    def pairs(self, rows: Sequence[tuple[str, str]]) -> None:
        """Names and values."""
        if self.on_terminal:
            self.aligned([(self.styled(name, "dim"), value) for name, value in rows])
        else:
            self.table((), rows)

    def aligned(self, rows: Sequence[Sequence[str]], *, header: bool = False, status_column: int = -1) -> None:
        """Rows in columns, for people."""
        shown = [[cell if cell.startswith("\x1b") else self.cell(cell) for cell in row] for row in rows]
        widths = [max(len(row[column]) for row in shown) for column in range(len(shown[0]))] if shown else []
        for number, row in enumerate(shown):
            cells = [cell.ljust(width) for cell, width in zip(row[:-1], widths, strict=False)] + row[-1:]
            if header and number == 0:
                cells = [self.styled(cell, "dim") for cell in cells]
            elif status_column >= 0:
                padding = cells[status_column][len(row[status_column]) :]
                cells[status_column] = self.status(row[status_column]) + padding
            self.line("  ".join(cells).rstrip())


def output_for(*, as_json: bool, color: ColorChoice, environ: Mapping[str, str]) -> Output:
    """The output of this process; colour where a terminal shows it and nobody objects."""
    if color == "auto":
        plain = bool(environ.get("NO_COLOR")) or environ.get("TERM") == "dumb"
        wanted = sys.stdout.isatty() and not plain
    else:
        wanted = color == "always"
    return Output(as_json, wanted and not as_json, sys.stdout, sys.stderr)
