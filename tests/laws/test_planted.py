"""The planted breaches: every turn runs, and what each layer finds is as the table says."""

from __future__ import annotations

from collections import Counter

import pytest

from procession import ProcessManager
from procession.engine.turn import Life, Turn, run_turn
from procession.errors import DefinitionError
from procession.primitives.definition import compile_definition
from procession.primitives.envelope import Envelope
from tests.laws.planted.breach import Breach
from tests.laws.planted.table import PLANTED

TURNS = [breach for breach in PLANTED if breach.kind == "turn"]
CLASSES = [breach for breach in PLANTED if breach.kind == "class"]
RAISES = {"event assigned to", "state assigned to", "failure returns a state"}
"""What Python, or the engine, does not let a turn do in any case."""


def no_envelope() -> Envelope:
    raise AssertionError("no planted flow asks for it")


def turns_of(process: object, breach: Breach) -> list[Turn]:
    assert isinstance(process, type)
    assert issubclass(process, ProcessManager)
    definition, state, turns = compile_definition(process), process(), list[Turn]()
    life: Life = "unstarted"
    for event in breach.history():
        turn = run_turn(definition, state, event, life, no_envelope, 100)
        state, life = turn.state, "active"
        turns.append(turn)
    return turns


def test_there_are_enough_of_each_law() -> None:
    counted = Counter(breach.code for breach in PLANTED)
    assert len(PLANTED) >= 45
    assert len({breach.name for breach in PLANTED}) == len(PLANTED)
    assert {code: counted[code] >= 4 for code in ("LAW01", "LAW02", "LAW03", "LAW04", "LAW06", "LAW08", "LAW10")} == (
        dict.fromkeys(("LAW01", "LAW02", "LAW03", "LAW04", "LAW06", "LAW08", "LAW10"), True)
    )


@pytest.mark.parametrize("breach", [b for b in TURNS if b.name not in RAISES], ids=lambda breach: breach.name)
def test_a_planted_flow_runs(breach: Breach) -> None:
    assert turns_of(breach.build(), breach)


@pytest.mark.parametrize("breach", TURNS, ids=lambda breach: breach.name)
def test_a_clean_twin_runs(breach: Breach) -> None:
    assert turns_of(breach.twin(), breach)


@pytest.mark.parametrize("breach", CLASSES, ids=lambda breach: breach.name)
def test_a_class_is_refused_and_its_twin_is_not(breach: Breach) -> None:
    breach.twin()
    with pytest.raises(DefinitionError):
        breach.build()
