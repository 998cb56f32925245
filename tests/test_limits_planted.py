"""The checks of limits find one that is off by one, one that nobody heeds, and one that nobody tries."""

from __future__ import annotations

import re

import attrs
import pytest

from procession import publishing
from procession.engine import router
from procession.errors import TooLarge
from procession.knob import Knob
from procession.settings import IntakeSettings, knobs
from tests.test_limits import AT_HOME, REFUSING, all_are_tested, holds, is_there

INTAKE = [limit for limit in REFUSING if limit.startswith("intake.")]
FAR = 7


@pytest.mark.parametrize(
    ("by", "found"),
    [
        (1, r"assert \[True, True, True\] =="),
        (-1, r"assert \[True, False, False\] ==|assert \[\('intake\.\w+', 2\)\] in"),
        (FAR, r"assert \[True, True, True\] =="),
    ],
    ids=["takes one more", "refuses at the limit", "heeds another"],
)
@pytest.mark.parametrize("limit", REFUSING)
async def test_a_limit_that_is_elsewhere_is_found(limit: str, by: int, found: str) -> None:
    tried, at = REFUSING[limit]

    async def planted(size: int, said: int) -> bool:
        return await tried(size, said + by)

    with pytest.raises(AssertionError, match=found):
        await holds(planted, at)


@pytest.mark.parametrize("limit", INTAKE)
async def test_a_limit_that_nobody_heeds_is_found(monkeypatch: pytest.MonkeyPatch, limit: str) -> None:
    encode_all, name = publishing.encode_all, limit.partition(".")[2]
    top = next(knob.high for path, knob in knobs() if ".".join(path) == limit)

    def heedless(registry: object, limits: IntakeSettings, *given: object) -> object:
        return encode_all(registry, attrs.evolve(limits, **{name: int(top)}), *given)  # type: ignore[arg-type]  # as given

    monkeypatch.setattr("procession.facade.encode_all", heedless)
    tried, at = REFUSING[limit]
    with pytest.raises(AssertionError, match=re.escape("assert [True, True, True] == [True, True, False]")):
        await holds(tried, at)


@pytest.mark.parametrize("said", [{"setting": "intake.other_max"}, {"size": 0}, {"size_max": 0}], ids=str)
@pytest.mark.parametrize("limit", INTAKE)
async def test_a_refusal_that_does_not_say_its_limit_and_the_size_is_found(
    monkeypatch: pytest.MonkeyPatch, limit: str, said: dict[str, object]
) -> None:
    def another(what: str, size: int, size_max: int, setting: str) -> TooLarge:
        return TooLarge(**{"what": what, "size": size, "size_max": size_max, "setting": setting} | said)  # type: ignore[arg-type]  # as given

    for module in (publishing, router):
        monkeypatch.setattr(module, "TooLarge", another)
    tried, at = REFUSING[limit]
    with pytest.raises(AssertionError, match=r"assert \[\('intake\.\w+', -?\d+\)\] in \(\[\], "):
        await holds(tried, at)


def test_a_new_limit_that_nobody_tries_is_found() -> None:
    new = (("intake", "wishes_max"), Knob(int, "So many wishes.", 3, 1, 9))
    with pytest.raises(AssertionError, match=r"write a test at the boundary of each(.|\n)*intake.wishes_max"):
        all_are_tested([*knobs(), new])


def test_a_test_of_a_limit_that_is_gone_is_found() -> None:
    with pytest.raises(AssertionError, match=r"they are no limits any more(.|\n)*timers.loaded_max"):
        all_are_tested([(path, knob) for path, knob in knobs() if path != ("timers", "loaded_max")])


def test_a_test_that_is_not_where_it_is_said_to_be_is_found() -> None:
    with pytest.raises(AssertionError, match="'test_of_old' in"):
        is_there(f"{AT_HOME['timers.loaded_max'].partition('::')[0]}::test_of_old")
