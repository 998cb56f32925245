"""Work in a turn: files, sockets, processes, threads, imports, gateways, the query side; each with a twin."""

from __future__ import annotations

import logging
import os
import pathlib
import socket
import subprocess
import sys
import threading

import trio

from procession import Effects, ProcessManager, Runtime, open_runtime, starts
from tests.laws.planted.breach import Breach
from tests.laws.planted.messages import Note, Notes, Placed

NOTES = Notes()


class OpensFile(ProcessManager, name="planted.opens_file", key="order_id"):
    @starts
    def note(self, placed: Placed) -> Effects:
        with open(os.devnull, "rb") as file:  # noqa: PTH123 - what is to be found
            yield Note(placed.order_id, file.read().hex())


class NamesFile(ProcessManager, name="planted.names_file", key="order_id"):
    @starts
    def note(self, placed: Placed) -> Effects:
        yield Note(placed.order_id, pathlib.PurePosixPath("orders", placed.token).as_posix())


class ReadsPath(ProcessManager, name="planted.reads_path", key="order_id"):
    @starts
    def note(self, placed: Placed) -> Effects:
        yield Note(placed.order_id, pathlib.Path(os.devnull).read_text("utf-8"))


class JoinsPath(ProcessManager, name="planted.joins_path", key="order_id"):
    @starts
    def note(self, placed: Placed) -> Effects:
        yield Note(placed.order_id, str(pathlib.Path("/orders").joinpath(placed.token).with_suffix(".txt")))


class LooksForFile(ProcessManager, name="planted.looks_for_file", key="order_id"):
    @starts
    def note(self, placed: Placed) -> Effects:
        yield Note(placed.order_id, str(os.path.exists("/tmp")))  # noqa: PTH110 - what is to be found


class OpensSocket(ProcessManager, name="planted.opens_socket", key="order_id"):
    @starts
    def note(self, placed: Placed) -> Effects:
        with socket.socket() as unconnected:
            yield Note(placed.order_id, unconnected.type.name)


class NamesSocket(ProcessManager, name="planted.names_socket", key="order_id"):
    @starts
    def note(self, placed: Placed) -> Effects:
        yield Note(placed.order_id, socket.SOCK_STREAM.name)


class RunsProgram(ProcessManager, name="planted.runs_program", key="order_id"):
    @starts
    def note(self, placed: Placed) -> Effects:
        done = subprocess.run([sys.executable, "-S", "-c", ""], check=False)
        yield Note(placed.order_id, str(done.returncode))


class QuotesProgram(ProcessManager, name="planted.quotes_program", key="order_id"):
    @starts
    def note(self, placed: Placed) -> Effects:
        try:
            yield Note(placed.order_id, str(int(placed.token, 36)))
        except subprocess.SubprocessError:
            return


class Imports(ProcessManager, name="planted.imports", key="order_id"):
    @starts
    def note(self, placed: Placed) -> Effects:
        import colorsys  # noqa: PLC0415 - what is to be found

        yield Note(placed.order_id, str(colorsys.rgb_to_hsv(1, 0, 0)))


class ImportsByName(ProcessManager, name="planted.imports_by_name", key="order_id"):
    @starts
    def note(self, placed: Placed) -> Effects:
        yield Note(placed.order_id, __import__("colorsys").__name__)


class StartsThread(ProcessManager, name="planted.starts_thread", key="order_id"):
    @starts
    def note(self, placed: Placed) -> Effects:
        thread = threading.Thread(target=placed.token.upper)
        thread.start()
        thread.join()
        yield Note(placed.order_id, "started")


class Uppers(ProcessManager, name="planted.uppers", key="order_id"):
    @starts
    def note(self, placed: Placed) -> Effects:
        start = placed.token.upper
        yield Note(placed.order_id, start())


class Prints(ProcessManager, name="planted.prints", key="order_id"):
    @starts
    def note(self, placed: Placed) -> Effects:
        print(placed.token, file=None if placed.token else sys.stderr)
        yield Note(placed.order_id, "printed")


class Logs(ProcessManager, name="planted.logs", key="order_id"):
    @starts
    def note(self, placed: Placed) -> Effects:
        logging.getLogger("planted").debug("placed %s", placed.order_id)
        yield Note(placed.order_id, "logged")


class AsksTrio(ProcessManager, name="planted.asks_trio", key="order_id"):
    @starts
    def note(self, placed: Placed) -> Effects:
        yield Note(placed.order_id, type(trio.Event()).__name__ + str(trio.lowlevel.in_trio_run()))


class Waits(ProcessManager, name="planted.waits", key="order_id"):
    @starts
    def note(self, placed: Placed) -> Effects:
        yield Note(placed.order_id, trio.Event.__name__)


class RunsText(ProcessManager, name="planted.runs_text", key="order_id"):
    @starts
    def note(self, placed: Placed) -> Effects:
        yield Note(placed.order_id, str(eval("1 + 1")))


class CallsGateway(ProcessManager, name="planted.calls_gateway", key="order_id"):
    @starts
    def note(self, placed: Placed) -> Effects:
        NOTES.note  # noqa: B018 - reaching for it is enough
        yield Note(placed.order_id, "reached")


class AsksGateway(ProcessManager, name="planted.asks_gateway", key="order_id"):
    @starts
    def note(self, placed: Placed) -> Effects:
        yield Note(placed.order_id, Notes.__gateway__.name)


class OpensRuntime(ProcessManager, name="planted.opens_runtime", key="order_id"):
    @starts
    def note(self, placed: Placed) -> Effects:
        yield Note(placed.order_id, str(open_runtime.__name__))


class ReadsEvents(ProcessManager, name="planted.reads_events", key="order_id"):
    @starts
    def note(self, placed: Placed) -> Effects:
        yield Note(placed.order_id, Runtime.events.__qualname__)


WORK = (
    Breach("open", "LAW04", "refused", lambda: OpensFile, lambda: NamesFile),
    Breach("Path.read_text", "LAW04", "refused", lambda: ReadsPath, lambda: JoinsPath),
    Breach("os.path.exists", "LAW04", "refused", lambda: LooksForFile, lambda: JoinsPath),
    Breach("socket", "LAW04", "refused", lambda: OpensSocket, lambda: NamesSocket),
    Breach("subprocess", "LAW04", "refused", lambda: RunsProgram, lambda: QuotesProgram),
    Breach("import statement", "LAW04", "found", lambda: Imports, lambda: NamesFile),
    Breach("__import__", "LAW04", "refused", lambda: ImportsByName, lambda: NamesFile),
    Breach("starting a thread", "LAW04", "refused", lambda: StartsThread, lambda: Uppers),
    Breach("print", "LAW04", "found", lambda: Prints, lambda: Uppers),
    Breach("logging", "LAW04", "found", lambda: Logs, lambda: Uppers),
    Breach("trio", "LAW04", "refused", lambda: AsksTrio, lambda: Waits),
    Breach("eval", "LAW03", "refused", lambda: RunsText, lambda: Uppers),
    Breach("a gateway reached from a turn", "LAW04", "refused", lambda: CallsGateway, lambda: AsksGateway),
    Breach("open_runtime reached from a turn", "LAW07", "refused", lambda: OpensRuntime, lambda: AsksGateway),
    Breach("Runtime.events reached from a turn", "LAW07", "refused", lambda: ReadsEvents, lambda: AsksGateway),
)
