"""`procession dashboard`: a journal's file in a browser, read-only, with no runtime and no ownership."""

from __future__ import annotations

import argparse
import contextlib
import socket

import attrs

from procession.daemon.configuration import Configuration, configured
from procession.daemon.exit_codes import UsageRefused
from procession.daemon.output import Output
from procession.daemon.stopping import Stop, run_stoppable
from procession.errors import DefinitionError, WiringError
from procession.http_settings import bind_of
from procession.journal.sqlite_reader import read_sqlite
from procession.primitives.registry import Registry
from procession.wiring import load_wiring, registry_of

try:
    from procession.daemon.http.server import http_served, listening_at
    from procession.daemon.http.source import About, JournalFile, version
except ModuleNotFoundError as missing:
    raise UsageRefused("the dashboard needs the extra `http`", "pip install 'procession[http]'") from missing


def run(options: argparse.Namespace, output: Output) -> int:
    """Serve until somebody wants it to stop; 0 where it ended in order."""
    if options.file is not None:
        options.journal = options.file
    configuration = configured(options)
    journal = configuration.existing_journal()
    bind_of(options.bind)
    registry, no_classes = _classes(configuration)
    with contextlib.closing(listening_at(options.bind)) as listening:
        return run_stoppable(
            lambda stop: _Showing(configuration, journal, registry, no_classes, output).run(listening, stop)
        )


@attrs.frozen
class _Showing:
    configuration: Configuration
    journal: str
    registry: Registry
    no_classes: str
    output: Output

    async def run(self, listening: socket.socket, stop: Stop) -> int:
        """Open, serve, close."""
        reader = await read_sqlite(self.journal)
        try:
            about = About("file", reader.path, reader.immutable, self.no_classes, version())
            position = (await reader.heads()).position
            source = JournalFile(reader, self.registry, self.configuration.settings, position, about)
            async with http_served(source, listening) as address:
                self._tell(address, about)
                await stop.asked.wait()
        finally:
            await reader.close()
        return 0

    def _tell(self, address: str, about: About) -> None:
        if self.output.as_json:
            self.output.json({"address": address, **attrs.asdict(about)})
        else:
            self.output.line(f"{address}/")
            self.output.say(f"{about.journal} is shown there, read-only, until Ctrl-C")
            if about.immutable:
                self.output.say("its folder can't be written: what another process writes from now on is not seen")
            if about.no_classes:
                self.output.say(f"states and what-ifs are not available: {about.no_classes}")
        self.output.stdout.flush()


def _classes(configuration: Configuration) -> tuple[Registry, str]:
    """The classes that the configuration names; none, and why, where they can't be had: the rest is shown all the same.

    Only their shape is needed: nothing that they wire is opened.
    """
    if not configuration.settings.modules:
        return Registry(), "no configuration names the modules of the flows; name one by --config FILE"
    try:
        return registry_of(load_wiring(configuration.settings)), ""
    except (DefinitionError, WiringError) as error:
        return Registry(), f"the modules of the flows can't be loaded: {error}"
