"""`procession schemas`: the events and commands of the flows, as a list, as a document, as a file beside them."""

from __future__ import annotations

import argparse
from typing import Any

from procession.daemon.configuration import configured
from procession.daemon.exit_codes import UsageRefused
from procession.daemon.linkml import linkml_of
from procession.daemon.output import Output
from procession.daemon.schema_files import SchemaFolder, registry_named, schema_folders, write_schemas
from procession.daemon.yaml_text import yaml_text
from procession.laws.json_schema import json_schema_of
from procession.laws.schema_difference import differences, type_in_words
from procession.laws.schemas import entry_of, parse
from procession.primitives.event import Event
from procession.primitives.stored import stored_of


def run(options: argparse.Namespace, output: Output) -> int:
    """Print the schemas, or write them beside the flows."""
    if options.write and options.format != "list":
        raise UsageRefused(f"--write goes with no --format {options.format}", "leave one of them out")
    if options.format in ("openapi", "asyncapi"):
        output.json(_document(options))
        return 0
    folders = schema_folders(configured(options).settings, options.modules)
    messages = list(dict.fromkeys(cls for folder in folders for cls in folder.messages))
    if options.write:
        _write(folders, output)
    elif options.format == "jsonschema":
        output.json({"schemas": [json_schema_of(cls) for cls in messages]})
    elif options.format == "linkml":
        schema = linkml_of(messages)
        if output.as_json:
            output.json(schema)
        else:
            output.line(yaml_text(schema).rstrip("\n"))
    else:
        _list(folders, output)
    return 0


def _document(options: argparse.Namespace) -> dict[str, Any]:
    """What a running service answers at `/openapi.json` or `/asyncapi.json`, without one.

    Raises:
        UsageRefused: the extra is missing.
    """
    try:
        from procession.daemon.http.app import ROUTES  # noqa: PLC0415 - only where it is asked for
        from procession.daemon.http.asyncapi import asyncapi_of  # noqa: PLC0415 - as above
        from procession.daemon.http.openapi import openapi_of  # noqa: PLC0415 - as above
    except ModuleNotFoundError as missing:
        found = f"--format {options.format} needs the extra `http`"
        raise UsageRefused(found, "pip install 'procession[http]'") from missing
    settings = configured(options).settings
    registry = registry_named(settings, options.modules)
    return openapi_of(ROUTES, registry) if options.format == "openapi" else asyncapi_of(registry, settings.http.bind)


def _write(folders: list[SchemaFolder], output: Output) -> None:
    written = write_schemas(folders)
    if output.as_json:
        files = [
            {"path": str(path), "added": [{"name": entry.name, "version": entry.version} for entry in new]}
            for path, new in written
        ]
        output.json({"files": files})
        return
    for path, new in written:
        shown = ", ".join(f"{entry.name} {entry.version}" for entry in new)
        output.line(f"{path}: {f'{len(new)} new: {shown}' if new else 'nothing new'}")


def _list(folders: list[SchemaFolder], output: Output) -> None:
    found = [_row(folder, cls) for folder in folders for cls in folder.messages]
    if output.as_json:
        output.json({"types": found})
        return
    output.table(
        ("TYPE", "VERSION", "KIND", "IN THE FILE", "LIFTED TO", "FINGERPRINT", "FIELDS"),
        [
            (
                str(row["name"]),
                str(row["version"]),
                str(row["kind"]),
                str(row["recorded"]),
                "-" if row["lifted_to"] is None else "{name} {version}".format(**row["lifted_to"]),
                str(row["fingerprint"]),
                ", ".join(f"{field['name']}: {type_in_words(field['type'])}" for field in row["fields"]) or "-",
            )
            for row in found
        ],
    )


def _row(folder: SchemaFolder, cls: type) -> dict[str, Any]:
    entry = entry_of(cls)
    text = folder.text
    known = {} if text is None else {old.key: old for old in parse(str(folder.path), text)}
    old = known.get(entry.key)
    recorded = "no" if old is None else "changed" if differences(old.schema, entry.schema) else "yes"
    lift = folder.chains.step(cls) if issubclass(cls, Event) else None
    lifted_to = None if lift is None else stored_of(lift.new)
    return {
        "name": entry.name,
        "version": entry.version,
        "kind": entry.kind,
        "class": f"{cls.__module__}.{cls.__qualname__}",
        "site": stored_of(cls).site,
        "file": str(folder.path),
        "recorded": recorded,
        "lifted_to": None if lifted_to is None else {"name": lifted_to.name, "version": lifted_to.version},
        "fingerprint": entry.fingerprint,
        **entry.schema,
    }
