"""Settings and flow modules to a Runtime: the only place that chooses."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Literal

import attrs

from procession.engine.opening import Since
from procession.engine.turn import describe
from procession.errors import ProcessionError, WiringError
from procession.facade import Runtime
from procession.hosting import open_runtime, takers_of
from procession.journal.journal import Journal
from procession.journal.ownership import HeldJournal
from procession.primitives.registration import build_registry
from procession.primitives.registry import Registry
from procession.primitives.resources import combine_resources, plan_resources, resources_of
from procession.primitives.wiring import Wiring
from procession.settings import Settings

Kind = Literal["production", "testing"]


def load_wiring(settings: Settings, kind: Kind = "production") -> Wiring:
    """Import the modules that the settings name, and put what they wire into one.

    Raises:
        WiringError: a module can't be imported, or has no `wire_production` / `wire_testing`.
    """
    return combine([wiring for _, wiring in load_modules(settings, kind)])


def load_modules(settings: Settings, kind: Kind = "production") -> list[tuple[ModuleType, Wiring]]:
    """Each module that the settings name, with what it wires; raises as `load_wiring`."""
    if not settings.modules:
        raise WiringError(
            "the settings name no modules", 'write modules = ["flows.order_fulfilment"] into the settings'
        )
    for folder in reversed(settings.import_paths):
        path = str(Path(folder).resolve())
        if path not in sys.path:
            sys.path.insert(0, path)
    modules = [_import(name, settings.import_paths) for name in settings.modules]
    return [(module, wiring_of(module, settings, kind)) for module in modules]


def wiring_of(module: ModuleType, settings: Settings, kind: Kind = "production") -> Wiring:
    """What one flow module wires.

    Raises:
        WiringError: it has no wiring function, or that returns something else.
    """
    name = f"wire_{kind}"
    wire = getattr(module, name, None)
    if not callable(wire):
        raise WiringError(f"module {module.__name__} has no {name}", f"define {name}(settings) -> Wiring")
    try:
        wiring = wire(settings)
    except SystemExit as error:
        raise WiringError(f"{module.__name__}.{name} raised {describe(error)}", "return a Wiring") from error
    if not isinstance(wiring, Wiring):
        raise WiringError(f"{module.__name__}.{name} returned {type(wiring).__name__}", "return a Wiring")
    return wiring


def load_file(path: Path) -> ModuleType:
    """A flow module from a file of its own, whatever stands on the import path.

    Raises:
        WiringError: it can't be loaded.
    """
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise WiringError(f"{path} is no Python file", "name a file that ends in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # annotations are resolved through it
    try:
        spec.loader.exec_module(module)
    except (ImportError, OSError, SyntaxError, SystemExit) as error:
        del sys.modules[spec.name]
        raise WiringError(f"{path} can't be loaded: {error}", "mend the file") from error
    return module


def combine(wirings: Sequence[Wiring]) -> Wiring:
    """Several wirings as one; classes and gateways that come twice are refused when a runtime opens.

    Raises:
        WiringError: two have different resources of one name.
    """
    return Wiring(
        tuple(process for wiring in wirings for process in wiring.processes),
        tuple(gateway for wiring in wirings for gateway in wiring.gateways),
        tuple(event for wiring in wirings for event in wiring.events),
        tuple(rule for wiring in wirings for rule in wiring.invariants),
        tuple(dict.fromkeys(lift for wiring in wirings for lift in wiring.lifts)),
        tuple(injector for wiring in wirings for injector in wiring.injectors),
        combine_resources(wiring.resources for wiring in wirings),
        tuple(aggregate for wiring in wirings for aggregate in wiring.aggregates),
        projectors=tuple(projector for wiring in wirings for projector in wiring.projectors),
    )


def registry_of(wiring: Wiring) -> Registry:
    """All classes of a wiring; raises as `build_registry`."""
    return build_registry(
        wiring.processes,
        wiring.gateways,
        wiring.events_named,
        wiring.lifts,
        wiring.invariants,
        wiring.aggregates,
        wiring.projectors,
    )


def refuse_unwired(wiring: Wiring) -> None:
    """Refuse what the start would: a class without its resource, a resource that nobody takes. Opens nothing.

    Raises:
        WiringError: names it, and the cure.
    """
    plan_resources(wiring.resources, takers_of(wiring.gateways, wiring.injectors))


@contextlib.asynccontextmanager
async def open_wired(
    wiring: Wiring,
    settings: Settings,
    *,
    journal: str | Path | HeldJournal | Journal | None = None,
    since: Mapping[str, Since] | None = None,
    injecting: bool = True,
) -> AsyncIterator[Runtime]:
    """A runtime over a wiring, on the journal that the settings name, or on this one; raises as `open_runtime`.

    Args:
        wiring: all that it runs.
        settings: how it runs.
        journal: default: the one that the settings name.
        since: as `open_runtime` takes it.
        injecting: run the injectors, and open what they need. Without it nothing comes in but what is published.
    """
    resources = wiring.resources
    if not injecting:
        refuse_unwired(wiring)  # what can't work is refused all the same
        resources = resources_of(resources, takers_of(wiring.gateways, ()))
    async with open_runtime(
        settings.journal.path if journal is None else journal,
        processes=wiring.processes,
        gateways=wiring.gateways,
        events=wiring.events_named,
        lifts=wiring.lifts,
        invariants=wiring.invariants,
        projectors=wiring.projectors,
        injectors=wiring.injectors if injecting else (),
        resources=resources,
        aggregates=wiring.aggregates,
        settings=settings,
        since=since,
    ) as runtime:
        yield runtime


def with_journal(settings: Settings, path: str | Path) -> Settings:
    """The same settings on another journal."""
    return attrs.evolve(settings, journal=attrs.evolve(settings.journal, path=str(path)))


def _import(name: str, import_paths: Sequence[str]) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        searched = ", ".join(import_paths) or "the import path"
        raise WiringError(
            f"module {name!r} can't be imported ({error}) from {searched}",
            "mend modules or import_paths in the settings",
        ) from error
    except ProcessionError:
        raise
    except (Exception, SystemExit) as error:  # the user's module: whatever it raises, it can't be used
        raise WiringError(f"module {name!r} can't be imported ({describe(error)})", "mend the module") from error
