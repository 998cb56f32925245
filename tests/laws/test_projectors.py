"""What each layer finds of the planted projectors is what docs/projections.md says; no twin is accused."""

from __future__ import annotations

import re
import uuid
from collections import Counter
from pathlib import Path

import pytest

from procession import Attempt, Effects, ProcessManager, Projector, Store, Wiring, open_runtime, projects, starts
from procession.engine.guard import Guard, make_guard
from procession.errors import DefinitionError
from procession.journal.memory import MemoryJournal
from procession.laws.wiring_check import check_wiring
from procession.primitives.registration import gather
from procession.primitives.stored import stored_of
from procession.projection_errors import ProjectionError
from procession.projections.fold import Folder
from procession.projections.folder import in_memory
from procession.projections.generation import made
from procession.testing import project
from tests.laws.planted.breach import PLACED_AT, placed_and_paid
from tests.laws.planted.messages import Note, Noted, Notes, Paid, Placed
from tests.laws.planted.projectors import PROJECTORS, Counts, PlantedProjector
from tests.laws.planted.table import PLANTED

PAGE = Path(__file__).parents[2] / "docs" / "projections.md"
ROW = re.compile(
    r"^\| ([^|]+?) \| (LAW\d\d) \| (refused|found|missed) \| (refused|guarded|missed) \| ([^|]+?) \|$", re.MULTILINE
)
BY_CLASS = {"list on the class", "field of a projector"}
TOGETHER = {"one store for two", "one store by case"}


def name_of(breach: PlantedProjector) -> str:
    return breach.name


def of(*static: str, leaving: frozenset[str] = frozenset()) -> list[PlantedProjector]:
    return [b for b in PROJECTORS if b.static in static and b.name not in leaving | BY_CLASS]


def test_the_page_says_of_each_what_the_table_says() -> None:
    rows = ROW.findall(PAGE.read_text("utf-8"))
    assert rows == [(b.name, b.code, b.static, b.running, b.rebuilt) for b in PROJECTORS]


def test_there_are_enough_of_laws_5_7_and_9() -> None:
    found = Counter([breach.code for breach in PROJECTORS] + [b.code for b in PLANTED if b.code == "LAW07"])
    assert sum(found[code] for code in ("LAW05", "LAW07", "LAW09")) >= 12
    assert all(found[code] >= 4 for code in ("LAW05", "LAW07", "LAW09"))


# The static layer.


@pytest.mark.parametrize("breach", [b for b in PROJECTORS if b.name in BY_CLASS], ids=name_of)
def test_a_class_is_refused(breach: PlantedProjector) -> None:
    with pytest.raises(DefinitionError) as refused:
        breach.build()
    assert refused.value.code == breach.code


@pytest.mark.parametrize("breach", of("refused", "found"), ids=name_of)
def test_the_check_finds_it(breach: PlantedProjector) -> None:
    found = check_wiring(breach.wired(), whole=False)
    assert {finding.code for finding in found} == {breach.code}


@pytest.mark.parametrize("breach", PROJECTORS, ids=name_of)
def test_no_clean_twin_is_accused(breach: PlantedProjector) -> None:
    assert check_wiring(breach.twin_wired(), whole=False) == []


@pytest.mark.parametrize("breach", of("refused"), ids=name_of)
async def test_a_runtime_does_not_open_with_what_is_certain(breach: PlantedProjector) -> None:
    with pytest.raises(DefinitionError) as refused:
        async with open_runtime(MemoryJournal(), processes=[], projectors=breach.build()):
            pass
    assert refused.value.code == breach.code


@pytest.mark.parametrize("breach", of("refused", leaving=frozenset(TOGETHER)), ids=name_of)
def test_the_testing_kit_refuses_as_a_runtime_does(breach: PlantedProjector) -> None:
    with pytest.raises(DefinitionError) as refused:
        project(breach.build()[0])
    assert refused.value.code == breach.code


# While it runs.


def folded(projector: type[Projector], guard: Guard) -> list[tuple[object, ...]]:
    """The rows that a projector makes of the planted history, whatever the static layer says."""
    registry = gather((), (), (Placed, Paid), projectors=[projector])
    (projection,) = registry.projections.values()
    folder, generation = Folder(projection, registry, guard), made(in_memory(), projection, bytes(16), 100)
    rows = []
    for number, event in enumerate(placed_and_paid()):
        stored = stored_of(type(event))
        known = {
            "position": number + 1,
            "type": stored.name,
            "version": stored.version,
            "id": uuid.UUID(int=number).bytes,
            "payload": registry.codec.encode(event).decode(),
            "keys": "{}",
            "recorded_us": int(PLACED_AT.timestamp() * 1_000_000),
        }
        rows.append(tuple(known.get(name) for name in folder.columns))
    try:
        generation.place = folder.fold(generation.store, generation.place, rows, len(rows), 60)
        return generation.answer(lambda reading: reading.execute("select * from seen"), lambda: True)
    finally:
        generation.retire()


def running(projector: type[Projector]) -> str:
    found: list[int] = []
    try:
        folded(projector, make_guard("report", lambda: found.append(1)))
    except ProjectionError:
        return "refused"
    return "guarded" if found else "missed"


ALONE = of("refused", "found", leaving=frozenset(TOGETHER))


@pytest.mark.parametrize("breach", ALONE, ids=name_of)
def test_what_runs_finds_what_the_table_says(breach: PlantedProjector) -> None:
    assert running(breach.build()[0]) == breach.running


@pytest.mark.parametrize("breach", ALONE, ids=name_of)
def test_no_clean_twin_is_stopped_while_it_runs(breach: PlantedProjector) -> None:
    assert running(breach.twin()[0]) == "missed"


@pytest.mark.parametrize("breach", [b for b in ALONE if b.rebuilt in ("the same", "differs")], ids=name_of)
def test_a_rebuild_finds_what_the_table_says(breach: PlantedProjector) -> None:
    first, second = (folded(breach.build()[0], make_guard("off")) for _ in range(2))
    assert ("the same" if first == second else "differs") == breach.rebuilt


def test_a_twin_is_rebuilt_the_same() -> None:
    assert folded(Counts, make_guard("off")) == folded(Counts, make_guard("off")) == [("o1", 0)]


# Definitions.


def test_an_async_handler_is_refused() -> None:
    with pytest.raises(DefinitionError, match="is async") as refused:

        class Waits(Projector, name="waits"):
            tables = Counts.tables

            @projects
            async def placed(self, placed: Placed, store: Store) -> None: ...

    assert refused.value.code == "LAW04"


def test_a_handler_that_takes_more_is_refused() -> None:
    with pytest.raises(DefinitionError, match="has the parameter 'attempt'") as refused:

        class Takes(Projector, name="takes"):
            tables = Counts.tables

            @projects
            def placed(self, placed: Placed, store: Store, attempt: Attempt) -> None: ...

    assert refused.value.code == "LAW03"


@pytest.mark.parametrize("annotation", [Note, str, None])
def test_what_is_no_event_is_refused(annotation: object) -> None:
    def handler(self: object, event: object, store: Store) -> None: ...

    handler.__annotations__["event"] = annotation
    with pytest.raises(DefinitionError, match="which is no event type"):
        type("Unknown", (Projector,), {"tables": Counts.tables, "handler": projects(handler)}, name="unknown")


def test_an_event_that_is_projected_is_no_orphan() -> None:
    class Bare(ProcessManager, name="bare", key="order_id"):
        @starts
        def placed(self, placed: Placed) -> Effects:
            yield Note(placed.order_id, "x")

    class Noting(Projector, name="noting"):
        tables = Counts.tables

        @projects
        def noted(self, noted: Noted, store: Store) -> None: ...

    wiring = Wiring((Bare,), (Notes(),), projectors=(Noting,))
    assert "Noted" not in {finding.subject for finding in check_wiring(wiring)}
