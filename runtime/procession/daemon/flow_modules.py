"""Modules that the command line names: imported, and what they hold for a check; or one clear sentence why not."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import TypeVar

import attrs

from procession.daemon.exit_codes import UsageRefused
from procession.errors import DefinitionError, WiringError
from procession.laws.inner_state import is_test
from procession.mask import without_credentials
from procession.primitives.aggregate import Aggregate
from procession.primitives.event import Event
from procession.primitives.gateway import Gateway
from procession.primitives.injector import Injector
from procession.primitives.invariant import Invariant
from procession.primitives.process import ProcessManager
from procession.primitives.projector import Projector
from procession.primitives.wiring import Wiring
from procession.settings import Settings
from procession.wiring import Kind, load_file, wiring_of

T = TypeVar("T")


@attrs.frozen
class FlowModule:
    """What one module holds."""

    module: ModuleType
    wiring: Wiring
    whole: bool
    """It wires its flows; else these are only the classes that it defines, and nobody knows their gateways."""
    tests: int


def load_flow_module(name: str, settings: Settings, kind: Kind) -> FlowModule:
    """Import a module by its full name or its file, and find what it wires, defines and tests.

    Raises:
        DefinitionError: one of its classes is refused.
        UsageRefused: it can't be imported, or holds nothing to check.
        WiringError: what it wires is no wiring.
    """
    for folder in [str(Path.cwd()), *(str(Path(folder).resolve()) for folder in settings.import_paths)][::-1]:
        if folder not in sys.path:
            sys.path.insert(0, folder)
    module = _imported(name)
    tests = sum(is_test(key, thing, module.__name__) for key, thing in vars(module).items())
    wirings = [wire for wire in ("production", "testing") if callable(getattr(module, f"wire_{wire}", None))]
    if wirings:
        wiring = _checked(_wired(module, settings, kind), f"{module.__name__}.wire_{kind}")
        return FlowModule(module, wiring, whole=True, tests=tests)
    processes, aggregates = tuple(_classes(module, ProcessManager)), tuple(_classes(module, Aggregate))
    projectors = tuple(_classes(module, Projector))
    if not processes and not aggregates and not projectors and not tests:
        raise UsageRefused(
            f"module {name} has no wiring, no process, no aggregate, no projector and no test",
            "define wire_production(settings) -> Wiring in it, or name a module that does",
        )
    return FlowModule(
        module, Wiring(processes, (), aggregates=aggregates, projectors=projectors), whole=False, tests=tests
    )


def _imported(name: str) -> ModuleType:
    try:
        return _from_file(Path(name)) if name.endswith(".py") else importlib.import_module(name)
    except (DefinitionError, UsageRefused):
        raise
    except WiringError as error:
        raise UsageRefused(error.found, error.cure) from error
    except (Exception, SystemExit) as error:  # the user's code: whatever its import raises, there is no module
        said = without_credentials(f"{type(error).__name__}: {' '.join(str(error).split())}")
        cure = "mend it, or name a module of the import path or a .py file"
        raise UsageRefused(f"module {name} can't be imported ({said})", cure) from error


def _from_file(path: Path) -> ModuleType:
    """A file as the module that other modules import it as, where its folders are packages; else as a module alone."""
    if not path.is_file():
        raise UsageRefused(f"there is no file {path}", "name a .py file that is there, or a module by its full name")
    place = path.resolve()
    root, names = place.parent, [place.stem]
    while (root / "__init__.py").is_file():
        names.insert(0, root.name)
        root = root.parent
    if len(names) == 1:
        return load_file(path)
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    module = importlib.import_module(".".join(names))
    return module if Path(str(module.__file__)).resolve() == place else load_file(path)


def _wired(module: ModuleType, settings: Settings, kind: Kind) -> Wiring:
    try:
        return wiring_of(module, settings, kind)
    except (WiringError, DefinitionError):
        raise
    except Exception as error:  # the user's code, which may look for systems that are not here
        said = without_credentials(f"{type(error).__name__}: {' '.join(str(error).split())}")
        other = "testing" if kind == "production" else "production"
        raise UsageRefused(
            f"{module.__name__}.wire_{kind} raised {said}", f"mend it, or check the other wiring: --wiring {other}"
        ) from error


def _checked(wiring: Wiring, where: str) -> Wiring:
    """Refuse what is no process, no gateway, no event, no invariant."""
    processes: Sequence[object] = wiring.processes
    for process in processes:
        if not (isinstance(process, type) and issubclass(process, ProcessManager) and "__process__" in vars(process)):
            raise UsageRefused(
                f"{where} names {_shown(process)} as a process, which is no process manager",
                "name classes that derive from ProcessManager",
            )
    _check_classes(where, "aggregate", wiring.aggregates, Aggregate)
    _check_classes(where, "projector", wiring.projectors, Projector)
    kinds: tuple[tuple[str, Sequence[object], type, str], ...] = (
        ("gateway", wiring.gateways, Gateway, "give one instance of each gateway class, or the class"),
        ("injector", wiring.injectors, Injector, "give injector classes, or instances of them"),
        ("invariant", wiring.invariants, Invariant, "name functions that are marked @invariant(...)"),
    )
    for kind, things, cls, cure in kinds:
        for thing in things:
            classes = cls in (Gateway, Injector)
            given = isinstance(thing, type) and issubclass(thing, cls) and thing is not cls
            if not (isinstance(thing, cls) or (classes and given)):
                raise UsageRefused(f"{where} names {_shown(thing)} as {_an(kind)}, which is none", cure)
    events: Sequence[object] = wiring.events
    for event in events:
        if not (isinstance(event, type) and issubclass(event, Event) and "__procession__" in vars(event)):
            raise UsageRefused(f"{where} names {_shown(event)} as an event, which is none", "name event classes")
    return wiring


def _check_classes(where: str, kind: str, things: Sequence[object], base: type) -> None:
    for thing in things:
        if not (isinstance(thing, type) and issubclass(thing, base) and thing is not base):
            raise UsageRefused(
                f"{where} names {_shown(thing)} as {_an(kind)}, which is none",
                f"name classes that derive from {base.__name__}",
            )


def _an(kind: str) -> str:
    return f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}"


def _shown(thing: object) -> str:
    return thing.__qualname__ if isinstance(thing, type) else f"{thing!r:.60}"


def _classes(module: ModuleType, kind: type[T]) -> Iterator[type[T]]:
    for thing in vars(module).values():
        # By its type: an object that stands for another one may not be asked which class it has.
        if issubclass(type(thing), type) and issubclass(thing, kind) and thing.__module__ == module.__name__:
            yield thing
