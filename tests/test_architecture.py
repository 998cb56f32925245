"""The architecture, held by reading the source: layers, purity, homes of libraries, cycles, sizes, names.

Each check takes the files of a tree and returns one sentence a breach, with the cure. The second half plants each
breach in a small tree of its own and sees it found.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Callable, Iterator, Sequence
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import attrs
import pytest

ROOT = Path(__file__).parent.parent

LAYERS: dict[str, frozenset[str]] = {
    "errors": frozenset(),
    "telemetry": frozenset({"errors"}),
    "settings": frozenset({"errors"}),
    "primitives": frozenset({"errors"}),
    "actors": frozenset({"errors", "telemetry"}),
    "journal": frozenset({"errors", "settings"}),
    "laws": frozenset({"errors", "primitives", "journal"}),
}
"""Each part of the package, and the parts it may import beside itself; what is not said here follows."""

_UP_TO_ENGINE = frozenset(LAYERS)
LAYERS["engine"] = _UP_TO_ENGINE
LAYERS["reading"] = LAYERS["gateways"] = LAYERS["injectors"] = frozenset({*_UP_TO_ENGINE, "engine"})
LAYERS["projections"] = LAYERS["reading"]
LAYERS["facade"] = LAYERS["reading"] | {"reading", "projections"}
LAYERS["embed"] = LAYERS["facade"] | {"facade"}
LAYERS["human"] = LAYERS["facade"] | {"facade"}
LAYERS["wiring"] = LAYERS["facade"] | {"facade", "gateways", "human", "injectors", "embed"}
LAYERS["testing"] = LAYERS["wiring"] | {"wiring"}
LAYERS["daemon"] = LAYERS["testing"] | {"testing"}
LAYERS["__main__"] = frozenset({"daemon"})

PART_OF = {
    "aggregate_handle": "facade",
    "archiving": "facade",
    "asking": "facade",
    "exporting": "facade",
    "facades": "facade",
    "flow_handle": "facade",
    "hosting": "facade",
    "http_settings": "settings",
    "injecting": "facade",
    "journal_errors": "errors",
    "knob": "settings",
    "mask": "errors",
    "measuring": "facade",
    "operating": "facade",
    "projection_errors": "errors",
    "publishing": "facade",
    "search_errors": "errors",
    "send_errors": "errors",
    "sending": "facade",
    "settings_file": "settings",
    "telemetry_settings": "settings",
}
"""Modules that belong to a part of another name."""

PURE = ("procession.primitives", "procession.laws")
IMPURE_LIBRARIES = frozenset({"os", "random", "socket", "time", "trio", "uuid"})

HOMES: dict[str, tuple[str, ...]] = {
    "aiosqlite": ("procession.journal",),
    "asyncio": ("procession.journal", "procession.embed"),
    "cattrs": ("procession.primitives.converters",),
    "cronsim": ("procession.injectors.schedule",),
    "h11": ("procession.daemon.http",),
    "hypercorn": ("procession.daemon.http",),
    "hypothesis": ("procession.testing",),
    "opentelemetry": ("procession.telemetry",),
    "prometheus_client": ("procession.daemon.http",),
    "pytest": ("procession.testing",),
    "requests": ("procession.telemetry.otlp",),
    "rich": ("procession.daemon",),
    "starlette": ("procession.daemon.http",),
    # A projection's store is folded in a thread of its own, whole batches at a time: nothing of it is awaited.
    "sqlite3": ("procession.journal", "procession.projections"),
}

FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 70
NAMES_THAT_SAY_NOTHING = frozenset({"base", "common", "core", "helpers", "manager", "misc", "utils"})
FRONT_DOORS = frozenset({"procession", "procession.embed", "procession.testing"})


@attrs.frozen
class Source:
    """One file of the tree."""

    path: str
    module: str
    text: str

    @functools.cached_property
    def tree(self) -> ast.Module:
        """Parsed where a check needs it: those of tests are not."""
        return ast.parse(self.text)

    @functools.cached_property
    def nodes(self) -> tuple[ast.AST, ...]:
        """All of it, for the checks that look for something anywhere."""
        return tuple(ast.walk(self.tree))

    @property
    def is_package(self) -> bool:
        return self.path.endswith("__init__.py")

    @property
    def is_starter(self) -> bool:
        """It is the project of a user, which the package carries as data."""
        return "starter" in self.path.split("/")[:-1]

    @property
    def part(self) -> str:
        """The part of the package that it belongs to; empty for the front door and all outside."""
        names = self.module.split(".")
        if names[0] != "procession" or len(names) == 1:
            return ""
        return PART_OF.get(names[1], names[1])


@attrs.frozen
class Import:
    """One import, with the module that it reaches."""

    line: int
    target: str


@functools.lru_cache(maxsize=1)
def read_tree(root: Path) -> tuple[Source, ...]:
    """Every Python file of `runtime`, `flows` and `tests`."""
    found = []
    for top, base in (("runtime", root / "runtime"), ("flows", root), ("tests", root)):
        for file in sorted((root / top).rglob("*.py")):
            module = ".".join(file.relative_to(base).with_suffix("").parts).removesuffix(".__init__")
            text = file.read_text("utf-8")
            found.append(Source(file.relative_to(root).as_posix(), module, text))
    return tuple(found)


def shipped(sources: Sequence[Source]) -> Iterator[Source]:
    """The files whose structure is held: the package and the flows."""
    return (source for source in sources if not source.path.startswith("tests/"))


def imports_of(source: Source, modules: frozenset[str]) -> Iterator[Import]:
    """All imports of a file, those inside of functions too; `from a import b` reaches `a.b` where that is a module."""
    for node in source.nodes:
        if isinstance(node, ast.Import):
            yield from (Import(node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            origin = "." * node.level + (node.module or "")
            for alias in node.names:
                inner = f"{origin}.{alias.name}"
                yield Import(node.lineno, inner if inner in modules else origin)


def module_names(sources: Sequence[Source]) -> frozenset[str]:
    return frozenset(source.module for source in sources)


# The checks.


def layers(sources: Sequence[Source]) -> list[str]:
    """Imports point down, by full name, to the exact module."""
    modules, packages = module_names(sources), {source.module for source in sources if source.is_package}
    return [
        f"{source.path}:{reached.line} {breach}"
        for source in shipped(sources)
        for reached in imports_of(source, modules)
        if (breach := _layer_breach(source, reached.target, packages))
    ]


def _layer_breach(source: Source, target: str, packages: set[str]) -> str:
    if target.startswith("."):
        return f"imports {target}: write the full name"
    top = target.partition(".")[0]
    if source.is_starter or source.module.partition(".")[0] == "flows":
        doors = FRONT_DOORS if source.is_starter else {"procession"}
        inside = top == "procession" and target not in doors
        return f"imports {target}: a flow imports the front door only, `from procession import …`" if inside else ""
    if top == "flows":
        return f"imports {target}: the package never knows the flows, name them in the configuration"
    if top != "procession" or not source.part:
        return ""
    return f"imports the package {target}: import the exact module" if target in packages else _upward(source, target)


def _upward(source: Source, target: str) -> str:
    name = target.split(".")[1]
    if source.part not in LAYERS:
        return f"belongs to no layer: give {source.part} its place in LAYERS of tests/test_architecture.py"
    if PART_OF.get(name, name) in {source.part, *LAYERS[source.part]}:
        return ""
    allowed = ", ".join(sorted(LAYERS[source.part])) or "nothing"
    return f"imports {target}: {source.part} may import {allowed}; hand it in as an argument, or move it down"


def no_hidden_imports(sources: Sequence[Source]) -> list[str]:
    """No TYPE_CHECKING block: annotations are resolved at run time, and the block hides cycles."""
    return [
        f"{source.path}:{node.lineno} uses TYPE_CHECKING: import it plainly, two that need each other want a third"
        for source in shipped(sources)
        for node in source.nodes
        if (isinstance(node, ast.Name) and node.id == "TYPE_CHECKING")
        or (isinstance(node, ast.Attribute) and node.attr == "TYPE_CHECKING")
    ]


def purity(sources: Sequence[Source]) -> list[str]:
    """Nothing pure reaches the clock, chance, the system or the network; the type `uuid.UUID` is a value."""
    return [
        f"{source.path}:{line} uses {library}: take time, ids and chance as data, and do work in a gateway"
        for source in shipped(sources)
        if source.module.startswith(PURE) or _holds_processes(source)
        for line, library in _impure(source)
    ]


def _holds_processes(source: Source) -> bool:
    return source.is_starter or (source.path.startswith("flows/") and source.path.count("/") == 1)


def _impure(source: Source) -> Iterator[tuple[int, str]]:
    nodes = list(source.nodes)
    free = _free_lines(nodes) if _holds_processes(source) else frozenset()
    values = {id(node.value) for node in nodes if isinstance(node, ast.Attribute) and node.attr == "UUID"}
    for node in nodes:
        if not isinstance(node, ast.Import | ast.ImportFrom) or node.lineno in free:
            continue
        for alias in node.names:
            library = (node.module or "" if isinstance(node, ast.ImportFrom) else alias.name).split(".")[0]
            if library not in IMPURE_LIBRARIES:
                continue
            if isinstance(node, ast.ImportFrom) and (library, alias.name) == ("uuid", "UUID"):
                continue
            bound = alias.asname or alias.name.split(".")[0]
            uses = [use for use in nodes if isinstance(use, ast.Name) and use.id == bound]
            stray = [use for use in uses if use.lineno not in free and not (library == "uuid" and id(use) in values)]
            if stray or not uses:
                yield (stray[0].lineno if stray else node.lineno), library


def _free_lines(nodes: Sequence[ast.AST]) -> frozenset[int]:
    """The lines of gateways and of `wire_…` functions, where work may be done."""
    free: set[int] = set()
    for node in nodes:
        gateway = isinstance(node, ast.ClassDef) and any("Gateway" in ast.unparse(base) for base in node.bases)
        wiring = isinstance(node, ast.FunctionDef) and node.name.startswith("wire_")
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and (gateway or wiring):
            free.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return frozenset(free)


def homes(sources: Sequence[Source]) -> list[str]:
    """Each library is known in its places: one, or one for each of two different purposes."""
    return [
        f"{source.path}:{reached.line} imports {library}: only {_homes_of(library)} it, ask there"
        for source in shipped(sources)
        if not source.is_starter
        for reached in imports_of(source, frozenset())
        if (library := reached.target.split(".")[0]) in HOMES
        and not f"{source.module}.".startswith(tuple(f"{home}." for home in HOMES[library]))
    ]


def _homes_of(library: str) -> str:
    return " and ".join(HOMES[library]) + (" knows" if len(HOMES[library]) == 1 else " know")


def cycles(sources: Sequence[Source]) -> list[str]:
    """No two modules need each other."""
    modules = module_names(sources)
    graph = {
        source.module: {reached.target for reached in imports_of(source, modules)} & modules
        for source in shipped(sources)
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return [f"{' -> '.join(error.args[1])} is a cycle: a third module is missing, move there what both need"]
    return []


def sizes(sources: Sequence[Source]) -> list[str]:
    """A file is a noun, a function fits a screen."""
    found = []
    for source in shipped(sources):
        lines = len(source.text.splitlines())
        if lines > FILE_LINES_MAX:
            found.append(
                f"{source.path} has {lines} lines, at most {FILE_LINES_MAX}: it holds a second noun, move it out"
            )
        for node in source.nodes:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > FUNCTION_LINES_MAX:
                    cure = f"at most {FUNCTION_LINES_MAX}: name its parts"
                    found.append(f"{source.path}:{node.lineno} {node.name} has {lines} lines, {cure}")
    return found


def plain_packages(sources: Sequence[Source]) -> list[str]:
    """An inner `__init__` is one docstring: what re-exports makes cycles."""
    return [
        f"{source.path} holds more than its docstring: move that to a module, and import it from there"
        for source in shipped(sources)
        if source.is_package and source.module not in FRONT_DOORS
        if len(source.tree.body) != 1 or not ast.get_docstring(source.tree)
    ]


def names(sources: Sequence[Source]) -> list[str]:
    """A file is called after what it defines."""
    return [
        f"{source.path} is called {part}, which says nothing: call it after what it defines"
        for source in sources
        for part in Path(source.path).with_suffix("").parts
        if part.removeprefix("test_").strip("_") in NAMES_THAT_SAY_NOTHING
    ]


CHECKS: tuple[Callable[[Sequence[Source]], list[str]], ...] = (
    layers,
    no_hidden_imports,
    purity,
    homes,
    cycles,
    sizes,
    plain_packages,
    names,
)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_tree_keeps(check: Callable[[Sequence[Source]], list[str]]) -> None:
    sources = read_tree(ROOT)
    assert len(sources) > 1
    assert "\n".join(check(sources)) == ""


# The checks find what they look for.


def tree_of(root: Path, files: dict[str, str]) -> tuple[Source, ...]:
    packages = {f"runtime/procession/{name}/__init__.py": '"""A package."""\n' for name in ("primitives", "engine")}
    for path, text in ({"runtime/procession/__init__.py": ""} | packages | files).items():
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")
    return read_tree(root)


PLANTED = [
    (layers, "primitives/a.py", "import procession.engine.b", "primitives may import errors"),
    (layers, "errors.py", "def late():\n    from procession.settings import x", "errors may import nothing"),
    (layers, "engine/a.py", "from procession.facade import Runtime", "or move it down"),
    (layers, "journal/a.py", "from procession.actors.mailbox import Mailbox", "journal may import errors, settings"),
    (layers, "engine/a.py", "from . import b", "write the full name"),
    (layers, "engine/a.py", "from procession.primitives import Event", "import the exact module"),
    (layers, "engine/a.py", "from procession import Event", "import the exact module"),
    (layers, "engine/a.py", "from flows.order import Order", "name them in the configuration"),
    (layers, "novelty.py", "from procession.errors import NotFound", "give novelty its place in LAYERS"),
    (layers, "/flows/order.py", "from procession.primitives.event import Event", "front door only"),
    (layers, "/flows/order.py", "import procession.testing", "front door only"),
    (layers, "daemon/starter/flow.py", "from procession.facade import Runtime", "front door only"),
    (
        no_hidden_imports,
        "engine/a.py",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    x = 1",
        "import it plainly",
    ),
    (purity, "primitives/a.py", "import os", "uses os"),
    (purity, "primitives/a.py", "from time import time\ntime()", "uses time"),
    (purity, "primitives/a.py", "import uuid\nx = uuid.UUID(int=0)\ny = uuid.uuid4()", "a.py:3 uses uuid"),
    (purity, "laws/a.py", "def law():\n    import random", "uses random"),
    (purity, "/flows/order.py", "import trio\nclass Order(ProcessManager):\n    x = trio.sleep", "uses trio"),
    (purity, "/flows/order.py", "class Order(ProcessManager):\n    import socket", "uses socket"),
    (homes, "engine/a.py", "import cattrs", "only procession.primitives.converters knows it"),
    (homes, "primitives/b.py", "from cattrs.preconf import json", "only procession.primitives.converters knows it"),
    (homes, "facade.py", "import asyncio", "only procession.journal and procession.embed know it"),
    (homes, "engine/a.py", "import sqlite3", "only procession.journal and procession.projections know it"),
    (homes, "/flows/order.py", "from opentelemetry import trace", "only procession.telemetry knows it"),
    (sizes, "engine/a.py", "x = 1\n" * 401, "has 401 lines, at most 400"),
    (sizes, "engine/a.py", "async def f():\n" + "    x = 1\n" * 70, "f has 71 lines, at most 70"),
    (
        plain_packages,
        "engine/__init__.py",
        '"""Engine."""\nfrom procession.engine.a import x',
        "more than its docstring",
    ),
    (plain_packages, "engine/__init__.py", "", "more than its docstring"),
    (names, "engine/utils.py", "", "is called utils"),
    (names, "engine/common/a.py", "", "is called common"),
    (names, "/tests/engine/test_helpers.py", "", "is called test_helpers"),
]


@pytest.mark.parametrize(("check", "path", "text", "breach"), PLANTED)
def test_a_breach_is_found_with_its_cure(
    tmp_path: Path, check: Callable[[Sequence[Source]], list[str]], path: str, text: str, breach: str
) -> None:
    file = path[1:] if path.startswith("/") else f"runtime/procession/{path}"
    found = check(tree_of(tmp_path, {file: text}))
    assert len(found) == 1
    assert found[0].startswith(file)
    assert breach in found[0]


def test_a_cycle_is_found_also_inside_of_functions(tmp_path: Path) -> None:
    files = {
        "runtime/procession/engine/a.py": "from procession.engine.b import x",
        "runtime/procession/engine/b.py": "def later():\n    from procession.engine import a",
    }
    (found,) = cycles(tree_of(tmp_path, files))
    assert "procession.engine.a" in found
    assert "procession.engine.b" in found
    assert "a third module is missing" in found


ALLOWED = [
    (layers, "engine/a.py", "from procession.primitives.event import Event\nfrom procession.engine.b import x"),
    (layers, "daemon/starter/flow.py", "from procession import Event\nfrom procession.testing import scenario"),
    (layers, "flow_handle.py", "from procession.publishing import x\nfrom procession.engine.engine import Engine"),
    (purity, "primitives/a.py", "import uuid as _uuid\nfrom uuid import UUID\nx: _uuid.UUID"),
    (purity, "engine/a.py", "import os, time, trio"),
    (purity, "/flows/simulated/post.py", "import trio"),
    (
        purity,
        "/flows/order.py",
        "import trio\nclass Post(Gateway):\n    wait = trio.sleep\ndef wire_production(s):\n    import os",
    ),
    (homes, "journal/sqlite.py", "import aiosqlite, asyncio"),
    (homes, "projections/store.py", "import sqlite3"),
    (homes, "embed/host.py", "import asyncio"),
    (homes, "testing/strategies.py", "import hypothesis.strategies as st"),
    (plain_packages, "testing/__init__.py", '"""Kit."""\nfrom procession.testing.scenario import given'),
    (sizes, "engine/a.py", "x = 1\n" * 400),
]


@pytest.mark.parametrize(("check", "path", "text"), ALLOWED)
def test_what_is_allowed_is_left_alone(
    tmp_path: Path, check: Callable[[Sequence[Source]], list[str]], path: str, text: str
) -> None:
    file = path[1:] if path.startswith("/") else f"runtime/procession/{path}"
    assert check(tree_of(tmp_path, {file: text})) == []
