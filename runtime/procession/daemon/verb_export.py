"""`procession export` and `procession import`: one flow as JSON lines, out of a journal and into a new one."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import trio

from procession.daemon.configuration import configured
from procession.daemon.durations import now_us
from procession.daemon.exit_codes import NoSuchFile, UsageRefused
from procession.daemon.output import Output
from procession.daemon.verb_show import flow_name
from procession.errors import ProcessionError
from procession.journal.rows import FlowRow
from procession.journal.sqlite_reader import read_sqlite
from procession.reading.flow_contents import forked, read_contents
from procession.reading.flow_file import FlowFile, flow_lines, read_flow_file
from procession.reading.flow_journal import write_flow_journal


def run(options: argparse.Namespace, output: Output) -> int:
    """Export a flow, or import one."""
    if options.verb == "import":
        return _import(options, output)
    process, key = flow_name(options.flow)
    file = trio.run(_read, configured(options).existing_journal(), process, key, options.at)
    if options.file == "-":
        sys.stdout.buffer.writelines(flow_lines(file))
        return 0
    _write(Path(options.file), flow_lines(file))
    _say(output, options.file, file.flow, "exported to")
    return 0


def _import(options: argparse.Namespace, output: Output) -> int:
    target = Path(options.target)
    if target.exists():
        raise UsageRefused(
            f"{target} is there already", "a flow is imported into a journal of its own: name a new file"
        )
    try:
        with Path(options.file).open("rb") as lines:
            file = read_flow_file(lines)
    except FileNotFoundError:
        raise NoSuchFile(options.file, "name a file that `procession export` wrote") from None
    trio.run(_make, target, file)
    _say(output, str(target), file.flow, "imported into")
    return 0


async def _read(journal: str, process: str, key: str, at: int | None) -> FlowFile:
    reader = await read_sqlite(journal)
    try:
        contents = await read_contents(reader, process, key)
        return FlowFile(reader.id, contents if at is None else forked(contents, at))
    finally:
        await reader.close()


async def _make(target: Path, file: FlowFile) -> None:
    """A new journal with that flow; none where it can't be written."""
    whole = False
    try:
        await write_flow_journal(target, file, now_us)
        whole = True
    except ProcessionError as error:
        raise UsageRefused(f"the flow does not fit together: {error}", "export it again") from error
    finally:
        if not whole:
            for ending in ("", "-wal", "-shm", "-head", ".lock"):
                with suppress(FileNotFoundError):
                    os.remove(f"{target}{ending}")  # noqa: PTH107 - a name with an ending


def _write(target: Path, lines: Iterable[bytes]) -> None:
    try:
        with target.open("xb") as file:
            file.writelines(lines)
    except FileExistsError:
        raise UsageRefused(f"{target} is there already", "name a new file") from None


def _say(output: Output, path: str, flow: FlowRow, how: str) -> None:
    name = f"{flow.process}/{flow.key}"
    if output.as_json:
        output.json({"flow": name, "steps": flow.version, "file": path})
    else:
        output.line(f"{output.cell(name)}, {flow.version} steps, {how} {output.cell(path)}")
