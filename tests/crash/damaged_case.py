"""The journal of a real run that is damaged: how it is made, and all that stands in it."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import attrs

from procession import Settings, open_runtime
from procession.journal.sqlite_reader import read_sqlite
from procession.journal.sqlite_schema import uri_of
from procession.settings import FlowsSettings, JournalSettings
from tests.crash.damages import Moment, lay
from tests.fixtures.journals.folding import fold_all
from tests.fixtures.journals.parcel_v1 import Couriers, Parcel, ParcelPosted, ParcelScanned

Tables = dict[str, tuple[dict[str, object], ...]]


async def make(path: Path, parcels: int, moments: list[Moment] | None = None) -> None:
    """A journal of parcels that were delivered, lost, returned, set aside, not yet fetched, and never posted.

    Args:
        path: of the new file.
        parcels: how many.
        moments: takes the file and its write-ahead log as they are after each parcel.
    """
    settings = Settings(flows=FlowsSettings(snapshot_every_steps=5), journal=JournalSettings(wal_pages_max=100))
    async with open_runtime(path, processes=[Parcel], gateways=[Couriers()], settings=settings) as runtime:
        for number in range(parcels):
            key = f"{('shut', 'lost', 'home', 'stray', 'quiet')[number % 5]}-{number}"
            await runtime.publish(ParcelPosted(key, Decimal("1.50"), ("a",)), id=f"{key}/0", source="post")
            await runtime.publish([ParcelScanned(key, place) for place in ("hub", "van")])
            end = {"stray": "nowhere", "quiet": "hub"}.get(key.partition("-")[0], "door")
            await runtime.publish(ParcelScanned(key, end), id=f"{key}/1", source="post")
            await runtime.publish(ParcelScanned(f"never-{number}", "hub"), id=f"never/{number}", source="post")
            if moments is not None:
                await runtime.drain()
                moments.append(Moment.of(path))
        await runtime.drain()


@attrs.define
class Case:
    """A journal, all its rows, and what its flows fold to."""

    content: bytes
    rows: Tables
    folded: dict[str, object]
    wal: bytes | None = None
    moments: Sequence[Moment] = ()
    """Earlier ones of the same journal."""
    head: bytes | None = None

    @classmethod
    async def of(cls, path: Path, moments: Sequence[Moment] = ()) -> Case:
        """As it stands, closed."""
        return cls(path.read_bytes(), rows_of(path), await folded_of(path), None, moments)

    @classmethod
    async def killed(cls, path: Path, moments: Sequence[Moment]) -> Case:
        """As it was at the last moment, when its owner ran; `path` is where it is laid out."""
        last = moments[-1]
        lay(path, *last)
        return cls(last.content, rows_of(path), await folded_of(path), last.wal, moments[:-1], last.head)


def rows_of(path: Path) -> Tables:
    """Every row of every table, in order.

    Raises:
        sqlite3.Error: something can't be read.
    """
    with closing(sqlite3.connect(uri_of(str(path), "mode=ro"), uri=True)) as connection:
        connection.row_factory = sqlite3.Row
        connection.text_factory = lambda content: content.decode(errors="surrogateescape")
        names = [row[0] for row in connection.execute("select name from sqlite_schema where type = 'table'")]
        try:
            found = {name: [dict(row) for row in connection.execute(f"select * from {name}")] for name in names}
        except UnicodeDecodeError as error:  # of the name of a column
            raise sqlite3.DatabaseError("malformed database schema") from error
    return {name: tuple(sorted(rows, key=repr)) for name, rows in found.items()}


async def folded_of(path: Path) -> dict[str, object]:
    reader = await read_sqlite(path)
    try:
        found: dict[str, object] = (await fold_all(reader, [Parcel], [Couriers()]))["flows"]
        return found
    finally:
        await reader.close()
