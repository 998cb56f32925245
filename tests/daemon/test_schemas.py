"""The verb `schemas`: lists, JSON Schema, LinkML, and the file beside the flows."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # it has no types, and its stubs are a package of their own
import pytest
import yaml  # type: ignore[import-untyped]  # as above

from procession.daemon.cli import main
from procession.daemon.schema_files import findings_in, schema_folders
from procession.settings import Settings
from procession.settings_file import load_settings
from tests.daemon.command import CONFIG, ROOT, run, run_json, written

FLOW = '''
"""A flow of its own."""
from procession import Event, ProcessManager, Settings, Wiring, ends, lifts, starts

class {prefix}Opened(Event, name="{prefix}.opened"):
    key: str
    amount: int = 0

class {prefix}Closed1(Event, name="{prefix}.closed"):
    key: str

class {prefix}Closed(Event, name="{prefix}.closed", version=2):
    key: str
    why: str

@lifts
def closed(old: {prefix}Closed1) -> {prefix}Closed:
    return {prefix}Closed(old.key, "unknown")

class {prefix}Flow(ProcessManager, name="{prefix}", key="key"):
    @starts
    def opened(self, opened: {prefix}Opened) -> None: ...
    @ends
    def closed(self, closed: {prefix}Closed) -> None: ...

def wire_testing(settings: Settings) -> Wiring:
    return Wiring(processes=({prefix}Flow,), gateways=(), lifts=(closed,))

wire_production = wire_testing
'''


class Here:
    """The verb in this process: starting one costs more than all that it does here."""

    def __init__(self, folder: Path, capture: pytest.CaptureFixture[str], patch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self._capture = capture
        self._patch = patch

    def run(self, *arguments: str | Path, code: int = 0) -> str:
        """What it says on stdout, or where it refuses, on stderr."""
        with self._patch.context() as patch:
            patch.chdir(self.folder)
            patch.setattr(sys, "path", [*sys.path])
            patch.setattr(sys, "dont_write_bytecode", True)
            patch.setattr(logging.getLogger(), "handlers", [logging.NullHandler()])
            for name in [name for name in sys.modules if name.split(".")[0] in ("first", "second")]:
                patch.delitem(sys.modules, name)
            assert main(["schemas", "--config", "flows.toml", *map(str, arguments)]) == code
        said = self._capture.readouterr()
        return said.err if code and "--json" not in arguments else said.out

    def json(self, *arguments: str | Path, code: int = 0) -> dict[str, Any]:
        """The same with --json."""
        found: dict[str, Any] = json.loads(self.run(*arguments, "--json", code=code))
        return found

    def path(self, *parts: str) -> Path:
        return self.folder.joinpath(*parts)


@pytest.fixture
def here(project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Here:
    return Here(project, capsys, monkeypatch)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Two folders of flows, and a configuration that names them."""
    for folder, prefix in (("first", "A"), ("second", "B")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / f"flow_{prefix}.py").write_text(FLOW.format(prefix=prefix))
    (tmp_path / "flows.toml").write_text('modules = ["first.flow_A", "second.flow_B"]\nimport_paths = ["."]\n')
    return tmp_path


def test_types_are_listed_with_what_the_file_knows_of_them(here: Here) -> None:
    found = here.json()["types"]
    assert [(row["name"], row["version"], row["kind"], row["recorded"]) for row in found] == [
        ("A.closed", 1, "event", "no"),
        ("A.closed", 2, "event", "no"),
        ("A.opened", 1, "event", "no"),
        ("B.closed", 1, "event", "no"),
        ("B.closed", 2, "event", "no"),
        ("B.opened", 1, "event", "no"),
    ]
    assert found[0]["lifted_to"] == {"name": "A.closed", "version": 2}
    assert found[2]["fields"] == [{"name": "key", "type": "str"}, {"name": "amount", "type": "int", "default": 0}]


def test_piped_a_type_is_a_line(project: Path) -> None:
    done = run("schemas", "first.flow_A", "--config", "flows.toml", cwd=project)
    assert [line.split("\t")[:5] for line in done.stdout.decode().splitlines()] == [
        ["A.closed", "1", "event", "no", "A.closed 2"],
        ["A.closed", "2", "event", "no", "-"],
        ["A.opened", "1", "event", "no", "-"],
    ]
    assert done.stdout.endswith(b"\tkey: str, amount: int\n")


def test_writing_makes_a_file_in_each_folder_and_writing_again_changes_nothing(here: Here) -> None:
    written = here.json("--write")["files"]
    files = [here.path(folder, "schemas.json") for folder in ("first", "second")]
    before = [file.read_bytes() for file in files]
    again = here.run("--write")

    assert [file["path"] for file in written] == [str(file) for file in files]
    assert written[1]["added"] == [
        {"name": "B.closed", "version": 1},
        {"name": "B.closed", "version": 2},
        {"name": "B.opened", "version": 1},
    ]
    assert again.splitlines() == [f"{file}: nothing new" for file in files]
    assert [file.read_bytes() for file in files] == before


def test_a_changed_type_is_refused_and_no_file_is_touched(here: Here) -> None:
    here.run("--write")
    flow = here.path("second", "flow_B.py")
    flow.write_text(flow.read_text().replace("amount: int = 0", "amount: int = 1"))
    here.path("first", "schemas.json").unlink()

    refused = here.json("--write", code=9)
    listed = here.json("second/flow_B.py")["types"]

    assert "BOpened is 'B.opened' version 1 with another schema" in refused["error"]
    assert "field amount had the default 0 and has the default 1; schemas never change" in refused["error"]
    assert not here.path("first", "schemas.json").exists()
    assert [row["recorded"] for row in listed] == ["yes", "yes", "changed"]


def test_a_file_that_is_none_is_refused(here: Here) -> None:
    here.path("first", "schemas.json").write_text("{")
    refused = here.json("--write", code=2)
    assert refused["kind"] == "SchemaFileUnreadable"
    assert here.path("first", "schemas.json").read_text() == "{"


def test_each_type_is_printed_as_json_schema(here: Here) -> None:
    schemas = here.json("--format", "jsonschema")["schemas"]
    for schema in schemas:
        jsonschema.Draft202012Validator.check_schema(schema)
    assert [schema["$id"] for schema in schemas][:2] == [
        "urn:procession:event:A.closed:1",
        "urn:procession:event:A.closed:2",
    ]


def test_all_types_are_printed_as_one_linkml_schema(here: Here) -> None:
    as_json = here.json("--format", "linkml")
    assert yaml.safe_load(here.run("--format", "linkml")) == as_json
    assert as_json["classes"]["AOpened"]["attributes"]["key"] == {"range": "string", "required": True}


def test_an_event_that_names_an_older_schema_is_published_as_that_and_lifted(project: Path) -> None:
    event: dict[str, object] = {"specversion": "1.0", "id": "1", "source": "till", "type": "A.closed"}
    event["data"] = {"key": "1"}
    begun = event | {"id": "0", "type": "A.opened"}
    older = event | {"dataschema": "urn:procession:event:A.closed:1"}
    new = run_json("publish", written(project / "a", [begun, event]), "--config", "flows.toml", cwd=project, code=2)
    run_json("publish", written(project / "b", [begun, older]), "--config", "flows.toml", cwd=project)

    assert "required field missing @ $.why" in new["error"]
    (flow,) = run_json("ls", "--config", "flows.toml", cwd=project)["flows"]
    assert flow["status"] == "ended"


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (["--write", "--format", "linkml"], "--write goes with no --format linkml"),
        (["first.nothing"], "module first.nothing can't be imported"),
        (["first/none.py"], "there is no file first/none.py"),
        (["first/plain.py"], "module first/plain.py wires nothing"),
    ],
)
def test_what_cannot_be_done_is_told_in_one_sentence(arguments: list[str], found: str, here: Here) -> None:
    here.path("first", "plain.py").write_text(FLOW.format(prefix="C").partition("def wire_")[0])
    said = here.run(*arguments, code=2)
    assert found in said
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    "configuration", [CONFIG, ROOT / "runtime" / "procession" / "daemon" / "starter" / "config" / "procession.toml"]
)
def test_the_schemas_of_what_we_ship_are_recorded(configuration: Path, tmp_path: Path) -> None:
    listed = run_json("schemas", "--config", configuration, cwd=tmp_path)["types"]
    assert {row["recorded"] for row in listed} == {"yes"}


def test_the_reference_flows_break_no_schema() -> None:
    assert findings_in(schema_folders(load_settings(CONFIG, {}))) == []


def test_a_folder_brings_what_its_modules_name() -> None:
    (folder,) = schema_folders(Settings(modules=("flows.order_fulfilment",), import_paths=(str(ROOT),)))
    assert folder.path == ROOT / "flows" / "schemas.json"
    assert "OrderPlaced" in [cls.__name__ for cls in folder.messages]
    assert json.loads(folder.text or "")["format"] == 1


@pytest.mark.parametrize(("kind", "version"), [("openapi", "3.1.0"), ("asyncapi", "3.0.0")])
def test_documents_of_the_facade_come_without_a_service(here: Here, kind: str, version: str) -> None:
    document = json.loads(here.run("flows.order_fulfilment", "--format", kind))
    assert document[kind] == version
    assert "event.order.placed.1" in document["components"]["schemas"]
