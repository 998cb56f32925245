"""Law 10 in users' tests: what is checked is one function of a module of tests."""

from __future__ import annotations

from types import FunctionType

from tests.laws.planted import behaviour_tests, state_tests
from tests.laws.planted.breach import Breach


def _pair(name: str, function: str) -> Breach:
    def find(module: object) -> FunctionType:
        found = vars(module)[function]
        assert isinstance(found, FunctionType)
        return found

    return Breach(name, "LAW10", "found", lambda: find(state_tests), lambda: find(behaviour_tests), "tests")


UNIT_TESTS = (
    _pair("a test that builds the state", "test_builds_the_state"),
    _pair("a test that calls a fold", "test_calls_a_fold"),
    _pair("a test that folds by the engine", "test_folds_by_the_engine"),
    _pair("a test that reaches into the kit", "test_reaches_into_the_kit"),
    _pair("a test that builds the state by another name", "test_builds_the_state_by_another_name"),
    _pair("a test that asks a helper for the state", "test_asks_a_helper_for_the_state"),
)
