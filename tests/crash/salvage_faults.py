"""Salvages that are built wrong, each in one way: what is planted replaces a part of the product for one test."""

# What is replaced is no name for users.
# ruff: noqa: SLF001

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NoReturn

import pytest

from procession.journal import salvage_copy, salvage_judge
from procession.journal.proven_chain import Grave, ProvenChain, Row
from procession.journal.row_crc import SEALED
from procession.journal.salvage_judge import LeftOut

Patch = pytest.MonkeyPatch
Plant = Callable[[Patch], None]


def believes_every_event(patch: Patch) -> None:
    """Its checksums are made anew, whatever the row says."""

    def walk(chain: ProvenChain, rows: Iterable[Row], _: Iterable[Grave], __: tuple[int, int] | None) -> Iterator[Row]:
        chain.crc = chain.start
        for place, _crc, values in rows:
            chain.last, chain.crc = place, chain.crc_of(values, chain.crc, "surrogateescape")
            yield place, chain.crc, values

    patch.setattr(ProvenChain, "walk", walk)


def believes_every_row(patch: Patch) -> None:
    def proved(table: str, row: tuple[Any, ...]) -> tuple[Any, ...]:
        return (*row[:-1], SEALED[table].crc_of(row[:-1]))

    patch.setattr(salvage_copy, "_proved", proved)


def keeps_half_a_history(patch: Patch) -> None:
    def take_out(*_: object) -> list[LeftOut]:
        return []

    patch.setattr(salvage_judge, "_take_out", take_out)


def is_silent_on_what_it_leaves_out(patch: Patch) -> None:
    take_out = salvage_judge._take_out

    def silent(new: sqlite3.Connection, indexed: Any) -> list[LeftOut]:  # noqa: ANN401 - it is passed on
        take_out(new, indexed)
        return []

    patch.setattr(salvage_judge, "_take_out", silent)
    patch.setattr(salvage_judge, "_never_seen", lambda *_: [])


def makes_no_deadline_anew(patch: Patch) -> None:
    patch.setattr(salvage_judge, "rebuild_timers", lambda *_, **__: (0, []))


def does_not_look_for_what_became_of_events(patch: Patch) -> None:
    patch.setattr(salvage_judge, "_find_unaccounted", lambda *_: None)


def believes_what_stands_alone(patch: Patch) -> None:
    patch.setattr(salvage_judge, "_drop_what_stands_alone", lambda *_: None)


def leaves_checksums_that_do_not_fit(patch: Patch) -> None:
    def seal(_: sqlite3.Connection) -> dict[str, int]:
        return {}

    patch.setattr(salvage_judge, "seal", seal)


def gives_up_at_the_first_bad_row(patch: Patch) -> None:
    def refuse(*_: object) -> NoReturn:
        raise ValueError("this row is bad")

    patch.setattr(ProvenChain, "_close", refuse)
