"""What `Runtime` and `FlowHandle` offer, `embed` offers asyncio and synchronous programs: nothing is forgotten."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator

import pytest

from procession import AggregateHandle, FlowHandle, Runtime, embed

MIRRORS = [
    (Runtime, embed.BlockingRuntime),
    (Runtime, embed.AwaitedRuntime),
    (FlowHandle, embed.BlockingFlow),
    (FlowHandle, embed.AwaitedFlow),
    (AggregateHandle, embed.BlockingAggregate),
    (AggregateHandle, embed.AwaitedAggregate),
]
WITHIN_ONLY = frozenset({"journal"})
"""What is reached by `call` alone."""
VALUES = frozenset(
    {
        "counters",
        "gateway_limits",
        "gateways",
        "histograms",
        "observe",
        "paused_processes",
        "projections",
        "reload_gateways",
        "tree",
    }
)
"""Methods that do not wait, and whose results do not either."""
BY_HAND = frozenset({"aggregate", "flow"})
"""Methods whose results wait: each mirror returns a mirror of its own."""


def public(cls: type) -> frozenset[str]:
    return frozenset(name for name in dir(cls) if not name.startswith("_"))


def waits(method: object) -> bool:
    return inspect.iscoroutinefunction(method) or inspect.isasyncgenfunction(method)


def says_that_it_waits(method: Callable[..., object]) -> bool:
    """Also where it is a plain `def` with overloads, which returns a coroutine."""
    return waits(method) or str(inspect.signature(method).return_annotation).startswith("Coroutine[")


def methods() -> Iterator[tuple[type, type, str]]:
    for original, mirror in MIRRORS:
        for name in sorted(public(original) & public(mirror) - WITHIN_ONLY):
            if inspect.isfunction(getattr(original, name)):
                yield original, mirror, name


@pytest.mark.parametrize(("original", "mirror"), MIRRORS)
def test_a_mirror_has_all_that_its_original_has(original: type, mirror: type) -> None:
    missing = public(original) - public(mirror) - WITHIN_ONLY
    assert missing == set(), f"{mirror.__name__} lacks {sorted(missing)}: add them as the others are"


@pytest.mark.parametrize(("original", "mirror", "name"), list(methods()))
def test_a_mirrored_method_takes_what_its_original_takes(original: type, mirror: type, name: str) -> None:
    theirs, ours = (inspect.signature(getattr(cls, name)).parameters for cls in (original, mirror))
    assert list(ours.values())[1:] == list(theirs.values())[1:]


@pytest.mark.parametrize("original", [Runtime, FlowHandle, AggregateHandle])
def test_what_a_plain_method_returns_is_known_to_be_a_value_or_has_a_mirror(original: type) -> None:
    plain = {
        name
        for name in public(original)
        if inspect.isfunction(method := getattr(original, name)) and not says_that_it_waits(method)
    }
    unknown = plain - VALUES - BY_HAND
    assert unknown == set(), f"does the result of {sorted(unknown)} wait? mirror it as flow() is, or add it to VALUES"


ON_ASYNCIO = [(original, mirror, name) for original, mirror, name in methods() if issubclass(mirror, original)]


@pytest.mark.parametrize(("original", "mirror", "name"), ON_ASYNCIO)
def test_a_method_waits_on_asyncio_where_it_waits_on_trio(original: type, mirror: type, name: str) -> None:
    assert says_that_it_waits(getattr(original, name)) == waits(getattr(mirror, name))


@pytest.mark.parametrize(("original", "mirror"), [MIRRORS[1], MIRRORS[3], MIRRORS[5]])
def test_nothing_of_an_asyncio_mirror_is_that_of_trio(original: type, mirror: type) -> None:
    assert [name for name in public(original) if getattr(mirror, name) is getattr(original, name)] == []


def test_the_names_of_the_door_are_sorted_and_there() -> None:
    assert embed.__all__ == sorted(embed.__all__)
    assert all(hasattr(embed, name) for name in embed.__all__)
