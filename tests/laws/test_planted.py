"""The planted breaches: every turn runs, and the static layer finds of each what the table says."""

from __future__ import annotations

import re
from collections import Counter
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from types import FunctionType

import pytest

from procession import Event, ProcessManager, Runtime, Wiring, open_runtime
from procession.engine.turn import Life, Turn, run_turn
from procession.errors import DefinitionError, SchemaChanged
from procession.journal.memory import MemoryJournal
from procession.laws.finding import Finding
from procession.laws.wiring_check import check_test, check_wiring
from procession.primitives.definition import compile_definition
from procession.primitives.envelope import Envelope
from procession.testing import given
from tests.laws.planted.breach import Breach, Kind
from tests.laws.planted.messages import Notes
from tests.laws.planted.routes import Numbers
from tests.laws.planted.table import PLANTED

PAGE = Path(__file__).parent.parent.parent / "docs" / "laws.md"
RAISES = {"event assigned to", "state assigned to", "failure returns a state"}
"""What Python, or the engine, does not let a turn do in any case."""
REFUSED_ALONE = {
    "two shapes under one name and version",
    "decision that takes more",
    "command without the aggregate's key",
}
"""Refused by what registers classes, which nothing allows."""


def of(*kinds: Kind) -> list[Breach]:
    return [breach for breach in PLANTED if breach.kind in kinds]


def name_of(breach: Breach) -> str:
    return breach.name


def no_envelope() -> Envelope:
    raise AssertionError("no planted flow asks for it")


def process_of(made: object) -> type[ProcessManager]:
    assert isinstance(made, type)
    assert issubclass(made, ProcessManager)
    return made


def wiring_of(made: object) -> Wiring:
    """What was made, as the check takes it: one process with the gateways of all, or a whole wiring."""
    return made if isinstance(made, Wiring) else Wiring((process_of(made),), (Notes(), Numbers()))


def turns_of(process: type[ProcessManager], events: tuple[Event, ...]) -> list[Turn]:
    definition, state, turns = compile_definition(process), process(), list[Turn]()
    life: Life = "unstarted"
    for event in events:
        turn = run_turn(definition, state, event, life, no_envelope, 100)
        state, life = turn.state, "active"
        turns.append(turn)
    return turns


def laws_in(findings: list[Finding]) -> set[str]:
    return {finding.code for finding in findings if finding.code.startswith("LAW")}


def found_in(made: object) -> set[str]:
    """The laws that the check finds broken; faults of definitions are not what is planted."""
    if isinstance(made, FunctionType):
        return laws_in([suspect.finding for suspect in check_test(made)])
    return laws_in(check_wiring(wiring_of(made), whole=False))


# The table.


def test_there_are_enough_of_each_law() -> None:
    counted = Counter(breach.code for breach in PLANTED)
    enough = {code for code, number in counted.items() if number >= 4}
    assert len(PLANTED) >= 45
    assert len({breach.name for breach in PLANTED}) == len(PLANTED)
    assert enough >= {"LAW01", "LAW02", "LAW03", "LAW04", "LAW06", "LAW08", "LAW10"}


def test_the_page_says_of_each_what_the_table_says() -> None:
    rows = re.findall(r"^\| ([^|]+?) \| (LAW\d\d) \| (refused|found|missed) \|", PAGE.read_text("utf-8"), re.MULTILINE)
    assert rows == [(breach.name, breach.code, breach.static) for breach in PLANTED]


# They are what they say: real turns.


@pytest.mark.parametrize("breach", [breach for breach in of("turn") if breach.name not in RAISES], ids=name_of)
def test_a_planted_flow_runs(breach: Breach) -> None:
    assert turns_of(process_of(breach.build()), breach.history())


@pytest.mark.parametrize("breach", of("turn"), ids=name_of)
def test_a_clean_twin_runs(breach: Breach) -> None:
    assert turns_of(process_of(breach.twin()), breach.history())


# What the static layer makes of them.


@pytest.mark.parametrize("breach", of("class"), ids=name_of)
def test_a_class_is_refused_with_its_law_and_its_twin_is_not(breach: Breach) -> None:
    breach.twin()
    with pytest.raises(DefinitionError) as refused:
        breach.build()
    assert (refused.value.code, breach.static) == (breach.code, "refused")


@pytest.mark.parametrize("breach", of("turn", "wiring", "tests"), ids=name_of)
def test_the_check_finds_what_the_table_says(breach: Breach) -> None:
    found = found_in(breach.build())
    assert found == (set() if breach.static == "missed" else {breach.code})


@pytest.mark.parametrize("breach", of("turn", "wiring", "tests"), ids=name_of)
def test_no_clean_twin_is_accused(breach: Breach) -> None:
    assert found_in(breach.twin()) == set()


@pytest.mark.parametrize(
    "breach",
    [b for b in of("turn", "wiring") if b.static == "refused" and b.name not in REFUSED_ALONE],
    ids=name_of,
)
async def test_a_runtime_does_not_open_with_what_is_certain(breach: Breach) -> None:
    wiring = wiring_of(breach.build())
    with pytest.raises(DefinitionError) as refused:
        async with opened_in_memory(wiring):
            pass
    assert refused.value.code == breach.code
    assert f'@allows("{breach.code}"' in refused.value.cure


@pytest.mark.parametrize("breach", [b for b in of("turn") if b.static == "refused"], ids=name_of)
def test_a_scenario_is_refused_as_a_runtime_is(breach: Breach) -> None:
    with pytest.raises(DefinitionError) as refused:
        given(process_of(breach.build()))
    assert refused.value.code == breach.code


@pytest.mark.parametrize("breach", [b for b in of("turn", "wiring") if b.static != "refused"], ids=name_of)
async def test_a_runtime_opens_with_what_is_not_certain(breach: Breach) -> None:
    wiring = wiring_of(breach.build())
    async with opened_in_memory(wiring) as runtime:
        assert runtime.counters()


def opened_in_memory(wiring: Wiring) -> AbstractAsyncContextManager[Runtime]:
    return open_runtime(
        MemoryJournal(), processes=wiring.processes, gateways=wiring.gateways, aggregates=wiring.aggregates
    )


@pytest.mark.parametrize("breach", of("journal"), ids=name_of)
async def test_a_journal_refuses_a_changed_schema(breach: Breach, tmp_path: Path) -> None:
    before, after = before_and_after(breach.build())
    await opened(before, tmp_path / "orders.db")
    with pytest.raises(SchemaChanged, match="with another shape"):
        await opened(after, tmp_path / "orders.db")


@pytest.mark.parametrize("breach", of("journal"), ids=name_of)
async def test_a_journal_takes_a_new_version(breach: Breach, tmp_path: Path) -> None:
    before, after = before_and_after(breach.twin())
    await opened(before, tmp_path / "orders.db")
    assert await opened(after, tmp_path / "orders.db") == len(after.events)


def before_and_after(made: object) -> tuple[Wiring, Wiring]:
    assert isinstance(made, tuple)
    before, after = made
    assert isinstance(before, Wiring)
    assert isinstance(after, Wiring)
    return before, after


async def opened(wiring: Wiring, path: Path) -> int:
    """Open a runtime on a file and close it; how many of the wiring's events its journal knows."""
    names = {(event.__procession__.name, event.__procession__.version) for event in wiring.events}  # type: ignore[attr-defined]  # set by seal
    async with open_runtime(
        path, processes=wiring.processes, gateways=wiring.gateways, events=wiring.events
    ) as runtime:
        return len([row for row in await runtime.journal.types() if (row.name, row.version) in names])
