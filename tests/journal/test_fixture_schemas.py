"""The journal whose schemas have defaults and nested classes opens and folds equal, for ever; the first one too."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import pytest

from procession import Event, ProcessManager, open_runtime, starts
from procession.errors import SchemaChanged, UnknownInJournal
from procession.journal.sqlite import open_sqlite
from procession.journal.sqlite_reader import read_sqlite
from procession.primitives.schema import is_first_shape
from tests.fixtures.journals import crate_v2, parcel_v1
from tests.fixtures.journals.folding import fold_all

JOURNALS = Path(__file__).parent.parent / "fixtures" / "journals"
FOLDED = json.loads((JOURNALS / "crate_v2.json").read_text())


@pytest.fixture
def crates(tmp_path: Path) -> Path:
    return Path(shutil.copy(JOURNALS / "crate_v2.db", tmp_path / "crates.db"))


async def test_the_journal_folds_to_what_was_written_beside_it(crates: Path) -> None:
    reader = await read_sqlite(str(crates))
    try:
        folded = await fold_all(reader, [crate_v2.Crate], [crate_v2.Dockers()], [crate_v2.in_grams])
        faults = await reader.verify()
        shapes = [row.shape for row in await reader.types()]
    finally:
        await reader.close()

    assert folded == FOLDED
    assert faults == []
    assert shapes
    assert not any(map(is_first_shape, shapes))


async def test_a_runtime_goes_on_with_it(crates: Path) -> None:
    async with open_runtime(
        crates, processes=[crate_v2.Crate], gateways=[crate_v2.Dockers()], lifts=[crate_v2.in_grams]
    ) as runtime:
        again = await runtime.publish(crate_v2.CrateBuilt1("old-1", 3), id="old-1/0", source="yard")
        await runtime.publish(crate_v2.CrateBuilt1("early-4", 1))
        await runtime.publish(crate_v2.CrateMoved("early-4", stops=("harbour",)))
        outcome = await runtime.flow("crate", "early-4").wait_ended(timeout_s=10)

    assert again.duplicate
    assert outcome == "arrived"


async def test_what_this_version_writes_folds_as_it_does(tmp_path: Path) -> None:
    await crate_v2.write(tmp_path)

    journal = await open_sqlite(str(tmp_path / "crate_v2.db"), clock_us=lambda: time.time_ns() // 1000)
    try:
        folded = await fold_all(journal, [crate_v2.Crate], [crate_v2.Dockers()], [crate_v2.in_grams])
    finally:
        await journal.close()

    assert folded == FOLDED


async def test_it_is_refused_without_the_lift_that_its_live_flows_need(crates: Path) -> None:
    with pytest.raises(UnknownInJournal, match=r"1 steps of live flows of type 'crate\.built' version 1"):
        async with open_runtime(crates, processes=[crate_v2.Crate], gateways=[crate_v2.Dockers()]):
            pass


class CrateMoved(Event, name="crate.moved", extra_fields="ignore"):
    crate: str
    by: str = "ship"
    stops: tuple[str, ...] = ()
    seals: frozenset[int] = frozenset({1, 2, 3})


class Moving(ProcessManager, name="moving", key="crate"):
    @starts
    def moved(self, moved: CrateMoved) -> None: ...


async def test_another_default_or_type_is_refused_with_what_was_written(crates: Path) -> None:
    with pytest.raises(SchemaChanged) as refused:
        async with open_runtime(crates, processes=[Moving], since={"moving": "now"}):
            pass
    assert "field by was Literal['ship', 'train'] and is str" in refused.value.found
    assert "field seals had the default [1, 2] and has the default [1, 2, 3]" in refused.value.found


class ParcelScanned(Event, name="parcel.scanned"):
    parcel: str
    place: int


class Scanning(ProcessManager, name="scanning", key="parcel"):
    @starts
    def scanned(self, scanned: ParcelScanned) -> None: ...


async def test_the_first_journal_refuses_another_shape_by_what_it_says(tmp_path: Path) -> None:
    copy = Path(shutil.copy(JOURNALS / "parcel_v1.db", tmp_path / "parcel.db"))
    before = copy.read_bytes()
    with pytest.raises(SchemaChanged, match="field place was str and is int"):
        async with open_runtime(copy, processes=[Scanning], since={"scanning": "now"}):
            pass
    assert copy.read_bytes() == before


async def test_the_first_journal_takes_new_types_in_the_form_of_today(tmp_path: Path) -> None:
    copy = shutil.copy(JOURNALS / "parcel_v1.db", tmp_path / "parcel.db")
    for _ in range(2):
        async with open_runtime(
            copy, processes=[parcel_v1.Parcel], gateways=[parcel_v1.Couriers()], events=[crate_v2.CrateBuilt]
        ) as runtime:
            forms = {row.name: is_first_shape(row.shape) for row in await runtime.journal.types()}
    assert (forms["parcel.scanned"], forms["crate.built"]) == (True, False)
