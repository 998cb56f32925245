"""What each layer finds of the planted breaches is what docs/laws.md says, misses included; no twin is accused."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import attrs
import pytest

from procession import ProcessManager
from procession.engine.c_calls import CCalls
from procession.engine.guard import Guard, make_guard
from procession.engine.turn import Life, TurnFailed, run_turn
from procession.primitives.definition import compile_definition
from procession.primitives.envelope import Envelope
from procession.testing import shadow
from tests.laws.planted import elsewhere, routes
from tests.laws.planted.breach import Breach
from tests.laws.planted.table import PLANTED

PAGE = Path(__file__).parents[2] / "docs" / "laws.md"
ROW = re.compile(
    r"^\| (?P<name>[^|]+) \| LAW\d\d \| (?P<static>[^|]+) \|(?P<rest>[^|]+\|[^|]+\|[^|]+)\|$", re.MULTILINE
)
TURNS = [breach for breach in PLANTED if breach.kind == "turn"]
ORDER_OF_HASHES = frozenset(
    {
        "order of a set in the state",
        "order of a set literal",
        "order of a set through a list comprehension",
    }
)
"""An order may be the same by chance: these run in eight processes, each with a hash seed of its own."""
LAYERS = ("audit hook", "profile hook", "shadow replay")

Finding = Literal["found", "reported", "missed", "raises", "not run"]


def table() -> dict[str, tuple[str, ...]]:
    """The last three cells of each row of the page, by the name of the breach."""
    rows = ROW.finditer(PAGE.read_text("utf-8"))
    return {row["name"].strip(): tuple(cell.strip() for cell in row["rest"].split("|")) for row in rows}


def expected(cell: str) -> tuple[str, ...]:
    """What a cell says for this Python."""
    since = re.fullmatch(r"found from 3\.(\d+) on", cell)
    here = "found" if since is not None and sys.version_info >= (3, int(since[1])) else "missed"
    return {"by chance": ("found", "missed")}.get(cell, (cell if since is None else here,))


@attrs.define(eq=False)
class Messages(logging.Handler):
    """What a guard says in the log."""

    said: list[str] = attrs.field(factory=list)

    def __attrs_pre_init__(self) -> None:
        super().__init__()

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(record.getMessage())


@pytest.fixture
def messages() -> Iterator[Messages]:
    handler = Messages()
    logging.getLogger("procession.purity").addHandler(handler)
    yield handler
    logging.getLogger("procession.purity").removeHandler(handler)


@pytest.fixture(autouse=True)
def as_at_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is imported or cached from another test."""
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)
    for thing in [*vars(elsewhere).values(), *vars(routes).values()]:
        getattr(thing, "cache_clear", int)()


def no_envelope() -> Envelope:
    raise AssertionError("no planted flow asks for it")


def found_by(guard: Guard, found: list[int], messages: Messages, process: object, breach: Breach) -> Finding:
    assert isinstance(process, type)
    assert issubclass(process, ProcessManager)
    definition, state, life = compile_definition(process), process(), "unstarted"
    try:
        for event in breach.history():
            state = run_turn(definition, state, event, _life(life), no_envelope, 100, guard).state
            life = "active"
    except TurnFailed:
        return "raises"
    return "found" if found else "reported" if messages.said else "missed"


def _life(life: str) -> Life:
    return "unstarted" if life == "unstarted" else "active"


def by_audit_hook(messages: Messages, process: object, breach: Breach) -> Finding:
    found: list[int] = []
    return found_by(make_guard("report", lambda: found.append(1)), found, messages, process, breach)


def by_profile_hook(messages: Messages, process: object, breach: Breach) -> Finding:
    found: list[int] = []
    return found_by(Guard("off", lambda: found.append(1), CCalls()), found, messages, process, breach)


def by_shadow_replay(messages: Messages, process: object, breach: Breach) -> Finding:
    assert isinstance(process, type)
    assert issubclass(process, ProcessManager)
    try:
        seen = shadow(process, *breach.history(), processes=8 if breach.name in ORDER_OF_HASHES else 1)
    except AssertionError:
        return "raises"
    return "found" if seen.differences else "not run" if seen.unshadowed else "missed"


IN_PROCESS: list[tuple[int, Callable[[Messages, object, Breach], Finding]]] = [(0, by_audit_hook), (1, by_profile_hook)]


def test_the_page_has_a_row_for_each_breach() -> None:
    assert table().keys() == {breach.name for breach in PLANTED}


@pytest.mark.parametrize("breach", [b for b in PLANTED if b.kind != "turn"], ids=lambda breach: breach.name)
def test_only_turns_can_be_run(breach: Breach) -> None:
    assert table()[breach.name] == ("–", "–", "–")  # noqa: RUF001 - as the page has it


@pytest.mark.parametrize("layer", IN_PROCESS, ids=lambda layer: LAYERS[layer[0]])
@pytest.mark.parametrize("breach", TURNS, ids=lambda breach: breach.name)
def test_a_hook_finds_what_the_page_says(
    breach: Breach, layer: tuple[int, Callable[[Messages, object, Breach], Finding]], messages: Messages
) -> None:
    assert layer[1](messages, breach.build(), breach) in expected(table()[breach.name][layer[0]])


@pytest.mark.parametrize("layer", IN_PROCESS, ids=lambda layer: LAYERS[layer[0]])
@pytest.mark.parametrize("breach", TURNS, ids=lambda breach: breach.name)
def test_no_hook_accuses_a_clean_twin(
    breach: Breach, layer: tuple[int, Callable[[Messages, object, Breach], Finding]], messages: Messages
) -> None:
    assert layer[1](messages, breach.twin(), breach) in ("missed", "reported")


@pytest.mark.slow
@pytest.mark.parametrize("breach", TURNS, ids=lambda breach: breach.name)
def test_shadow_replay_finds_what_the_page_says(breach: Breach, messages: Messages) -> None:
    assert by_shadow_replay(messages, breach.build(), breach) in expected(table()[breach.name][2])


@pytest.mark.slow
@pytest.mark.parametrize("breach", TURNS, ids=lambda breach: breach.name)
def test_shadow_replay_accuses_no_clean_twin(breach: Breach, messages: Messages) -> None:
    assert by_shadow_replay(messages, breach.twin(), breach) in ("missed", "not run")
