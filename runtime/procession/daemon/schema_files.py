"""The `schemas.json` files beside the flow modules: one for each folder that holds some."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import attrs

from procession.laws.finding import Finding
from procession.laws.schemas import FILE, Entry, check_schemas, messages_of, updated
from procession.primitives.lifts import Chains
from procession.primitives.registry import gather
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


def schema_folders(settings: Settings) -> list[SchemaFolder]:
    """The folders of the modules that the settings name, in order.

    Raises:
        DefinitionError, WiringError: the modules can't work together.
    """
    modules = load_modules(settings, "testing")
    registry_of(combine([wiring for _, wiring in modules]))
    found: dict[Path, SchemaFolder] = {}
    for folder in {_folder(str(module.__file__)): None for module, _ in modules}:
        inside = combine([wiring for module, wiring in modules if _folder(str(module.__file__)) == folder])
        part = gather(inside.processes, inside.gateways, inside.events, inside.lifts)
        found[folder] = SchemaFolder(folder / FILE, messages_of(part), part.chains)
    return [found[folder] for folder in sorted(found)]


def schema_findings(settings: Settings) -> list[Finding]:
    """Every breach of law 8 that the files show; raises as `schema_folders`."""
    return [
        finding
        for folder in schema_folders(settings)
        for finding in check_schemas(folder.messages, str(folder.path), folder.text)
    ]


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


def _folder(file: str) -> Path:
    return Path(file).resolve().parent


def _replace(path: Path, text: str) -> None:
    """Whole or not at all: a half-written file would make the next look at it fail."""
    if path.exists() and path.read_text("utf-8") == text:
        return
    mode = path.stat().st_mode & 0o777 if path.exists() else 0o644
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, delete=False) as file:
        file.write(text)
    os.chmod(file.name, mode)  # noqa: PTH101 - a name, as tempfile gives it
    os.replace(file.name, path)  # noqa: PTH105 - as above
