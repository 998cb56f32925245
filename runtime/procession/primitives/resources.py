"""Resources: what gateways and injectors are given by constructor. Who gets what is settled before any is opened."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from graphlib import CycleError, TopologicalSorter
from typing import Any, TypeVar

import attrs

from procession.errors import ProcessionError, WiringError
from procession.primitives.needs import Need, UnreadableError, needs_of

T = TypeVar("T")


@attrs.define
class ResourceFailed(ProcessionError):  # noqa: N818 - named for what happened
    """A resource can't be opened, failed while it was in use, or can't be closed. What was accepted stays accepted.

    Of one that can't be opened: nothing ran, and the journal was not touched. Mend the cause and start again.
    """

    resource: str
    found: str
    cure: str

    _says = "resource {0.resource!r} {0.found}; {0.cure}"


@attrs.frozen
class Taker:
    """A class whose fields are filled from the resources."""

    cls: type
    shown: str
    """`gateway Payments (flows/order.py:12)`."""
    needs: tuple[Need, ...]


@attrs.frozen
class Factory:
    """A resource that is opened: called with what it needs, it returns a context manager."""

    name: str
    open: Callable[..., Any]
    needs: tuple[Need, ...]


@attrs.frozen
class Plan:
    """What is opened in which order, and who gets what. Made by `plan_resources`; nothing is open yet."""

    values: Mapping[str, object]
    """Plain values, as they were given."""
    factories: tuple[Factory, ...]
    """In the order in which they are opened: each after what it needs."""
    takers: tuple[Taker, ...]

    def made(self, cls: type[T], ready: Mapping[str, object]) -> T:
        """An instance of a class, its fields filled.

        Args:
            cls: one of those that the plan was made for.
            ready: all resources by name: the plain ones, and the opened ones.

        Raises:
            WiringError: a resource was opened as something that the class does not take; or the class raised.
        """
        taker = next(taker for taker in self.takers if taker.cls is cls)
        given = arguments(taker.shown, taker.needs, ready)
        try:
            return cls(**given)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            found = f"{taker.shown} can't be made: {type(error).__name__}: {error}"
            raise WiringError(found, "mend how it is made") from error


def arguments(shown: str, needs: Iterable[Need], ready: Mapping[str, object]) -> dict[str, object]:
    """What is passed to whoever has these needs; a need with a default is filled where there is such a resource.

    Raises:
        WiringError: a resource is of another type than is needed.
    """
    found: dict[str, object] = {}
    for need in needs:
        if need.name in ready:
            value = ready[need.name]
            if not need.takes(value):
                raise WiringError(
                    f"{shown} takes {need.name}: {need.shown}, but resource {need.name!r} is a {type(value).__name__}",
                    f"give it {_article(need.shown)} {need.shown}, or a factory of one",
                )
            found[need.name] = value
    return found


def plan_resources(resources: Mapping[str, object], takers: Iterable[tuple[str, type, str]] = ()) -> Plan:
    """Settle who needs what, and refuse what can't be. Nothing is called.

    Args:
        resources: plain values, and factories, by name.
        takers: kind, class and site of all that are given as classes.

    Raises:
        WiringError: a dependency is missing, a resource is used by nobody, some need each other in a circle, a value
            is of another type than is needed, or the parameters of a factory can't be read.
    """
    factories = {name: _factory(name, given) for name, given in resources.items() if is_factory(given)}
    values = {name: given for name, given in resources.items() if name not in factories}
    taking = tuple(_taker(*taker) for taker in takers)
    for shown, needs in _all_needs(taking, factories.values()):
        for need in needs:
            if need.required and need.name not in resources:
                raise _missing(shown, need.name, resources)
    order = _order(factories)
    _refuse_unused(resources, factories, taking)
    for shown, needs in _all_needs(taking, factories.values()):
        arguments(shown, needs, values)
    return Plan(values, tuple(factories[name] for name in order), taking)


def resources_of(resources: Mapping[str, object], takers: Iterable[tuple[str, type, str]]) -> dict[str, object]:
    """The resources that these need: what is left where some of the takers are not run. Raises as `plan_resources`."""
    factories = {name: _factory(name, given) for name, given in resources.items() if is_factory(given)}
    used = _used(factories, [_taker(*taker) for taker in takers])
    return {name: given for name, given in resources.items() if name in used}


def is_factory(given: object) -> bool:
    """A function, a method or a class makes a resource; anything else is one."""
    return isinstance(given, type | functools.partial) or inspect.isroutine(given)


def combine_resources(all_of_them: Iterable[Mapping[str, object]]) -> dict[str, object]:
    """Those of several wirings as one.

    Raises:
        WiringError: one name stands for two objects.
    """
    found: dict[str, object] = {}
    for resources in all_of_them:
        for name, given in resources.items():
            if found.setdefault(name, given) is not given:
                raise WiringError(
                    f"two modules have a resource {name!r}: {_shown(found[name])} and {_shown(given)}",
                    "give both the same object, or one of them another name",
                )
    return found


def _taker(kind: str, cls: type, site: str) -> Taker:
    shown = f"{kind} {cls.__name__} ({site})"
    try:
        return Taker(cls, shown, needs_of(cls))
    except UnreadableError as error:
        raise WiringError(
            f"the constructor of {shown} can't be read: {error}", "let it take its fields by name"
        ) from error


def _factory(name: str, given: Any) -> Factory:  # noqa: ANN401 - whatever can be called
    shown = f"resource {name!r} ({_shown(given)})"
    function = given.func if isinstance(given, functools.partial) else given
    if inspect.iscoroutinefunction(function):
        raise WiringError(
            f"{shown} is an `async def`, which returns no context manager",
            "yield the resource from it, under @contextlib.asynccontextmanager",
        )
    if inspect.isasyncgenfunction(function) or inspect.isgeneratorfunction(function):
        decorator = "asynccontextmanager" if inspect.isasyncgenfunction(function) else "contextmanager"
        raise WiringError(f"{shown} yields, but is no context manager", f"put @contextlib.{decorator} over it")
    try:
        return Factory(name, given, needs_of(given))
    except UnreadableError as error:
        raise WiringError(
            f"the parameters of {shown} can't be read: {error}",
            "wrap it in a function that takes what it needs by name",
        ) from error


def _all_needs(takers: Iterable[Taker], factories: Iterable[Factory]) -> list[tuple[str, tuple[Need, ...]]]:
    return [
        *((taker.shown, taker.needs) for taker in takers),
        *((f"resource {factory.name!r} ({_shown(factory.open)})", factory.needs) for factory in factories),
    ]


def _missing(shown: str, name: str, resources: Mapping[str, object]) -> WiringError:
    import difflib  # noqa: PLC0415 - nobody needs it where nothing is missing

    near = difflib.get_close_matches(name, resources, n=1)
    meant = f"; did you mean {near[0]!r}?" if near else ""
    return WiringError(f"{shown} needs {name!r}, which is no resource", f"give resources={{{name!r}: …}}{meant}")


def _order(factories: Mapping[str, Factory]) -> list[str]:
    graph = {
        name: [need.name for need in factory.needs if need.name in factories] for name, factory in factories.items()
    }
    sorter = TopologicalSorter(graph)
    try:
        sorter.prepare()
    except CycleError as error:
        circle = " -> ".join(reversed(error.args[1]))
        raise WiringError(
            f"resources need each other in a circle: {circle}", "let one of them take a plain value, or make one of two"
        ) from error
    return list(_in_given_order(sorter, list(factories)))


def _in_given_order(sorter: TopologicalSorter[str], given: list[str]) -> Iterable[str]:
    """What is ready stands as it was given, so that the order is the same at every start."""
    while sorter.is_active():
        for name in sorted(sorter.get_ready(), key=given.index):
            yield name
            sorter.done(name)


def _refuse_unused(resources: Mapping[str, object], factories: Mapping[str, Factory], takers: Iterable[Taker]) -> None:
    used = _used(factories, takers)
    unused = [name for name in resources if name not in used]
    if unused:
        one = len(unused) == 1
        raise WiringError(
            f"{'resource' if one else 'resources'} {', '.join(map(repr, unused))} {'is' if one else 'are'} used by no"
            " gateway or injector that is given as a class",
            f"remove {'it' if one else 'them'}, or give the class whose field has this name",
        )


def _used(factories: Mapping[str, Factory], takers: Iterable[Taker]) -> set[str]:
    """The names that takers need, and those that what they need is opened with."""
    used: set[str] = set()
    due = [need.name for taker in takers for need in taker.needs]
    while due:
        name = due.pop()
        if name not in used:
            used.add(name)
            due += [need.name for need in factories[name].needs] if name in factories else ()
    return used


def _article(noun: str) -> str:
    return "an" if noun[:1].lower() in "aeiou" else "a"


def _shown(given: Any) -> str:  # noqa: ANN401 - whatever was given
    if isinstance(given, functools.partial):
        return f"partial of {_shown(given.func)}"
    name = getattr(given, "__qualname__", None) if is_factory(given) else None
    return f"a {type(given).__name__}" if name is None else f"{given.__module__}.{name}"
