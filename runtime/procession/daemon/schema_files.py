"""The `schemas.json` files beside the flow modules: one for each folder that holds some."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import ModuleType

import attrs

from procession.daemon.exit_codes import UsageRefused
from procession.daemon.flow_modules import load_flow_module
from procession.laws.finding import Finding
from procession.laws.schemas import FILE, Entry, check_schemas, messages_of, updated
from procession.primitives.lifts import Chains
from procession.primitives.registration import gather
from procession.primitives.registry import Registry
from procession.primitives.wiring import Wiring
from procession.settings import Settings
from procession.wiring import combine, load_modules, registry_of


@attrs.frozen
class SchemaFolder:
    """A folder of flow modules, and the events and commands that these bring into a runtime."""

    path: Path
    """Of its `schemas.json`."""
    messages: tuple[type, ...]
    chains: Chains

    @property
    def text(self) -> str | None:
        """What the file holds; None where it is not there."""
        return self.path.read_text("utf-8") if self.path.exists() else None


def schema_folders(settings: Settings, named: Sequence[str] = ()) -> list[SchemaFolder]:
    """The folders of the modules that the settings name, or of these modules and files, in order.

    Raises:
        DefinitionError, WiringError: the modules can't work together.
        UsageRefused: one that is named can't be imported, or wires nothing.
    """
    modules = _modules(settings, named)
    registry_of(combine([wiring for _, wiring in modules]))
    return folders_of(modules)


def registry_named(settings: Settings, named: Sequence[str] = ()) -> Registry:
    """All that these modules bring into a runtime; arguments and errors as of `schema_folders`."""
    return registry_of(combine([wiring for _, wiring in _modules(settings, named)]))


def folders_of(modules: Sequence[tuple[ModuleType, Wiring]]) -> list[SchemaFolder]:
    """The folders of these modules, in order; raises as `gather`."""
    inside: dict[Path, list[Wiring]] = {}
    for module, wiring in modules:
        inside.setdefault(Path(str(module.__file__)).resolve().parent, []).append(wiring)
    found = []
    for folder, wirings in sorted(inside.items()):
        both = combine(wirings)
        part = gather(both.processes, both.gateways, both.events_named, both.lifts, both.aggregates, both.projectors)
        found.append(SchemaFolder(folder / FILE, messages_of(part), part.chains))
    return found


def findings_in(folders: Iterable[SchemaFolder]) -> list[Finding]:
    """Every breach of law 8 that the files show."""
    return [finding for folder in folders for finding in check_schemas(folder.messages, str(folder.path), folder.text)]


def write_schemas(folders: list[SchemaFolder]) -> list[tuple[Path, tuple[Entry, ...]]]:
    """Add what is new to each file; the files, each with what was new. Nothing is written where one is refused.

    Raises:
        SchemaChanged: a class has another schema than a file has.
        SchemaFileUnreadable: a file is none.
    """
    texts = [(folder.path, *updated(folder.messages, str(folder.path), folder.text)) for folder in folders]
    for path, text, _ in texts:
        _replace(path, text)
    return [(path, new) for path, _, new in texts]


def _modules(settings: Settings, named: Sequence[str]) -> list[tuple[ModuleType, Wiring]]:
    return [_named(name, settings) for name in named] if named else load_modules(settings, "testing")


def _named(name: str, settings: Settings) -> tuple[ModuleType, Wiring]:
    found = load_flow_module(name, settings, "testing")
    if not found.whole:
        raise UsageRefused(f"module {name} wires nothing", "define wire_testing(settings) -> Wiring in it")
    return found.module, found.wiring


def _replace(path: Path, text: str) -> None:
    """Whole or not at all: a half-written file would make the next look at it fail."""
    if path.exists() and path.read_text("utf-8") == text:
        return
    mode = path.stat().st_mode & 0o777 if path.exists() else 0o644
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, delete=False) as file:
        file.write(text)
    os.chmod(file.name, mode)  # noqa: PTH101 - a name, as tempfile gives it
    os.replace(file.name, path)  # noqa: PTH105 - as above
