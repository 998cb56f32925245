"""The files that docs/embedding.md shows, written into a folder and run there, on the servers that it names."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import attrs
import httpx

from tests.ports import free_port

PAGE = Path(__file__).parent.parent.parent / "docs" / "embedding.md"
FILE = re.compile(r"^```python\n# (?P<name>\w+\.py)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)
_READY_S_MAX = 40.0


def write_files(folder: Path) -> dict[str, Path]:
    """Every file of the page, by name."""
    found = {file["name"]: folder / file["name"] for file in FILE.finditer(PAGE.read_text("utf-8"))}
    for file in FILE.finditer(PAGE.read_text("utf-8")):
        found[file["name"]].write_text(file["text"], "utf-8")
    return found


@attrs.define
class Server:
    """A program that serves on a port, and its log."""

    process: subprocess.Popen[bytes]
    url: str
    log: Path

    def said(self) -> str:
        return self.log.read_text("utf-8", "replace")

    def terminate(self) -> float:
        """Send SIGTERM; how long the program took to end, in seconds."""
        began = time.perf_counter()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(40)
        return time.perf_counter() - began


@contextlib.contextmanager
def serving(folder: Path, module: str, *arguments: str, port: int | None = None) -> Iterator[Server]:
    """Run `python -m module arguments` in the folder for as long as the block; `PORT` in them is the port's number."""
    port = port or free_port()
    command = [sys.executable, *(["-m", module] if not module.endswith(".py") else [module])]
    command += [argument.replace("PORT", str(port)) for argument in arguments]
    log = folder / f"{module}.log"
    with log.open("ab") as output:
        process = subprocess.Popen(command, cwd=folder, stdout=output, stderr=output, start_new_session=True)
    try:
        yield Server(process, f"http://127.0.0.1:{port}", log)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(40)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 0.1).close()
    except OSError:
        return False
    return True


def wait_until_it_listens(server: Server) -> None:
    end = time.monotonic() + _READY_S_MAX
    while not listens(int(server.url.rpartition(":")[2])):
        assert server.process.poll() is None, server.said()
        assert time.monotonic() < end, f"it does not listen:\n{server.said()}"
        time.sleep(0.05)


def wait_until(client: httpx.Client, path: str, wanted: dict[str, str]) -> None:
    """Ask until the answer is the wanted one."""
    end = time.monotonic() + _READY_S_MAX
    while True:
        answer = client.get(path)
        if answer.status_code == 200 and answer.json() == wanted:
            return
        assert time.monotonic() < end, f"{path} answers {answer.status_code} {answer.text}"
        time.sleep(0.05)
