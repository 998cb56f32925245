"""A folder with a journal and a configuration, and the daemons that live in it one after another, at one address."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import attrs
import trio

from procession.journal.sqlite_reader import read_sqlite
from tests.crash.served import COMMIT_MS
from tests.crash.served_flows import EFFECTS, LATENCY_MS
from tests.daemon.command import ROOT, environment
from tests.ports import free_port

READY_S_MAX = 60.0
END_S_MAX = 60.0
_CONFIGURATION = """
modules = ["tests.crash.served_flows"]
journal.path = "{journal}"
journal.careful_after = 1000000
http.bind = "127.0.0.1:{port}"
"""


@attrs.define(eq=False)
class Lab:
    """Where daemons live; made by `lab`."""

    folder: Path
    journal: Path
    """The journal's file."""
    port: int
    fault: str
    latency_ms: float
    commit_ms: float
    manager: socket.socket
    """What daemons tell that they are ready."""

    def arguments(self, *options: str) -> list[str]:
        """The command line of a daemon."""
        return [sys.executable, "-m", "tests.crash.served", self.fault, "run", "--config", "lab.toml", *options]

    @property
    def environ(self) -> dict[str, str]:
        """The variables of a daemon."""
        paths = os.pathsep.join([str(ROOT), environment()["PYTHONPATH"]])
        slow = {COMMIT_MS: str(self.commit_ms)} if self.commit_ms else {}
        return environment(
            {
                "PYTHONPATH": paths,
                "NOTIFY_SOCKET": str(self.manager.getsockname()),
                EFFECTS: str(self.folder / "effects.log"),
                LATENCY_MS: str(self.latency_ms),
                **slow,
            }
        )

    @contextlib.contextmanager
    def life(
        self,
        *,
        tracer: Sequence[str] = (),
        environ: Mapping[str, str] | None = None,
        before: Callable[[], None] | None = None,
        stderr: int | None = None,
    ) -> Iterator[subprocess.Popen[bytes]]:
        """A daemon, killed at the end where it still runs.

        Args:
            tracer: a command that runs it.
            environ: further variables.
            before: what its process does before it is the daemon.
            stderr: a descriptor for its log; default: the file of that name.
        """
        with (
            (self.folder / "stderr").open("ab") as log,
            subprocess.Popen(
                [*tracer, *self.arguments()],
                cwd=self.folder,
                env=self.environ | dict(environ or {}),
                stderr=log if stderr is None else stderr,
                preexec_fn=before,  # noqa: PLW1509 - this program has one thread when it is given
            ) as process,
        ):
            try:
                yield process
            finally:
                process.kill()

    def wait_ready(self, process: subprocess.Popen[bytes]) -> bool:
        """Wait until it takes work; False where it ended before."""
        give_up_at = time.monotonic() + READY_S_MAX
        while time.monotonic() < give_up_at:
            try:
                told = self.manager.recv(8192).decode()
            except TimeoutError:
                if process.poll() is not None:
                    return False
                continue
            if "READY=1" in told and f"MAINPID={process.pid}\n" in told:
                return True
        raise AssertionError(f"it was not ready in {READY_S_MAX:g} s: {self.said}")

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        """End it by SIGKILL, and by nothing else: one that ended by itself was no kill, but a fault."""
        process.send_signal(signal.SIGKILL)
        code = process.wait()
        assert code == -signal.SIGKILL, f"it ended with {code} before it was killed: {self.said}"

    @property
    def said(self) -> str:
        """The end of what daemons wrote to standard error."""
        return (self.folder / "stderr").read_text()[-3_000:]


def stop(process: subprocess.Popen[bytes]) -> tuple[int, float]:
    """Ask it to end in order: its exit code, and the seconds that it took."""
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    code = process.wait(END_S_MAX)
    return code, time.monotonic() - began


@contextlib.contextmanager
def lab(
    folder: Path,
    settings: str = "",
    *,
    fault: str = "-",
    latency_ms: float = 40,
    commit_ms: float = 0,
    journal: str = "journal.db",
) -> Iterator[Lab]:
    """A new folder of this name for daemons; what was planted in them, and how slow the world and the disk are."""
    folder.mkdir(parents=True)
    port = free_port()
    (folder / "lab.toml").write_text(_CONFIGURATION.format(port=port, journal=journal) + settings)
    for log in ("acknowledged.log", "acknowledged_by_socket.log", "effects.log", "stderr"):
        (folder / log).touch()
    with (
        tempfile.TemporaryDirectory(prefix="lab-") as short,  # a socket's path must be short
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager,
    ):
        manager.bind(f"{short}/notify.sock")
        manager.settimeout(0.1)
        yield Lab(folder, folder / journal, port, fault, latency_ms, commit_ms, manager)


@attrs.frozen
class Load:
    """How many clients there are, and the pause of each between two bursts."""

    http: int = 4
    socket: int = 2
    pause_ms: float = 100
    seed: int = 1


@contextlib.contextmanager
def sending(lab: Lab, load: Load) -> Iterator[Callable[[], dict[str, int]]]:
    """Clients that publish through all lives; call what is given to have them send the rest, and say what they heard.

    They are killed at the end where they still run.
    """
    given = (lab.folder, lab.port, load.seed, load.http, load.socket, load.pause_ms)
    command = [sys.executable, "-m", "tests.crash.senders", *map(str, given)]
    with (
        (lab.folder / "senders").open("wb") as errors,
        subprocess.Popen(
            command, cwd=ROOT, env=lab.environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors
        ) as senders,
    ):

        def end() -> dict[str, int]:
            said, _ = senders.communicate()
            assert senders.returncode == 0, (lab.folder / "senders").read_text()[-3_000:]
            told: dict[str, int] = json.loads(said)
            return told

        try:
            yield end
        finally:
            senders.kill()


def verified(journal: Path) -> list[str]:
    """What `doctor` finds in a journal that nobody owns."""

    async def verify() -> list[str]:
        reader = await read_sqlite(journal)
        try:
            return [f"{fault.code}: {fault.found}" for fault in await reader.verify()]
        finally:
            await reader.close()

    return trio.run(verify)
