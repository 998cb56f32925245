"""A real daemon for tests: `procession run` as a process, with a service manager that listens to it."""

from __future__ import annotations

import contextlib
import json
import queue
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs

from tests.daemon.command import arguments_of, environment

_PATIENCE_S = 40.0
_END = b"END"

FLOWS = """
import queue
import time

import trio

from procession import Attempt, Command, Effects, Event, Gateway, ProcessManager, Wiring, ends, on, starts


class Asked(Event, name="errand.asked"):
    errand: str


class Ran(Event, name="errand.ran"):
    errand: str


class Run(Command, name="errand.run"):
    errand: str


class Errand(ProcessManager, name="errand", key="errand"):
    @starts
    def go(self, asked: Asked) -> Effects:
        yield Run(asked.errand)

    @ends
    def back(self, ran: Ran) -> None: ...


class Legs(Gateway, name="legs", timeout_s=60):
    async def run(self, command: Run, attempt: Attempt) -> Ran:
        if command.errand.startswith("endless"):
            await trio.sleep(50)
        if command.errand.startswith("blocking"):
            time.sleep(1.5)  # as a fault would: the whole loop stands still
        return Ran(command.errand)


def wire_production(settings: object) -> Wiring:
    return Wiring((Errand,), (Legs(),))


wire_testing = wire_production
"""


def project(folder: Path, configuration: str = "") -> Path:
    """A folder with flows and a configuration."""
    (folder / "config").mkdir()
    (folder / "errands.py").write_text(FLOWS)
    configure(folder, configuration)
    return folder


def configure(folder: Path, configuration: str) -> None:
    text = f'modules = ["errands"]\nimport_paths = [".."]\n{configuration}'
    (folder / "config" / "procession.toml").write_text(text)


def asked(errand: str) -> dict[str, object]:
    """The event that starts an errand."""
    data = {"errand": errand}
    return {"specversion": "1.0", "id": f"{errand}/0", "source": "test", "type": "errand.asked", "data": data}


@attrs.define(eq=False)
class Daemon:
    """One run of it."""

    folder: Path
    process: subprocess.Popen[bytes]
    heard: queue.SimpleQueue[tuple[float, str]]
    told: list[tuple[float, dict[str, str]]] = attrs.field(factory=list)
    """What the manager heard, with the time of a monotonic clock."""

    @property
    def lock(self) -> dict[str, Any]:
        """What the lock file says."""
        found: dict[str, Any] = json.loads((self.folder / "procession.db.lock").read_bytes())
        return found

    @property
    def logged(self) -> list[dict[str, Any]]:
        """What it wrote to standard error so far."""
        return [json.loads(line) for line in (self.folder / "stderr").read_text().splitlines()]

    def listen(self, until: str, patience_s: float = _PATIENCE_S) -> dict[str, str]:
        """Hear what it tells until a field of this name comes."""
        give_up_at = time.monotonic() + patience_s
        while True:
            try:
                at, text = self.heard.get(timeout=max(0.01, give_up_at - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"no {until} was told; {self.told}; {self.logged}") from None
            fields = dict(line.split("=", 1) for line in text.splitlines())
            self.told.append((at, fields))
            if until in fields:
                return fields

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Signal it, and wait for its end."""
        self.process.send_signal(number)
        return self.process.wait(_PATIENCE_S)


@contextlib.contextmanager
def serving(folder: Path, environ: Mapping[str, str] | None = None) -> Iterator[Daemon]:
    """A daemon in this folder that is ready, and is killed at the end where it still runs."""
    address = Path(tempfile.mkdtemp(prefix="procession-")) / "notify.sock"  # a socket's path must be short
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager, (folder / "stderr").open("wb") as stderr:
        manager.bind(str(address))
        variables = environment({"NOTIFY_SOCKET": str(address), **(environ or {})})
        with subprocess.Popen(arguments_of("run"), cwd=folder, env=variables, stderr=stderr) as process:
            daemon = Daemon(folder, process, queue.SimpleQueue())
            listener = threading.Thread(target=_hear, args=(manager, daemon.heard))
            listener.start()
            try:
                daemon.listen("READY")
                yield daemon
            finally:
                if process.poll() is None:
                    process.kill()
                with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as last:
                    last.sendto(_END, str(address))
                listener.join()


def _hear(manager: socket.socket, heard: queue.SimpleQueue[tuple[float, str]]) -> None:
    """Note when each datagram came, whatever the test does meanwhile."""
    while (received := manager.recv(8192)) != _END:
        heard.put((time.monotonic(), received.decode()))
