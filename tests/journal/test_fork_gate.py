"""A process that forks while another thread is inside SQLite."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
import warnings
from collections.abc import Callable
from pathlib import Path

from procession.journal.fork_gate import inside


def exit_code_of_fork(work: Callable[[], object]) -> int:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # forking beside threads is what this is about
        child = os.fork()
    if child == 0:  # pragma: no cover - runs in the child
        try:
            work()
        except BaseException:  # noqa: BLE001 - the child of a test must not go on as a test
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_a_fork_waits_for_the_thread_that_is_inside() -> None:
    entered, left = threading.Event(), threading.Event()

    def work() -> None:
        entered.set()
        time.sleep(0.1)
        left.set()

    thread = threading.Thread(target=inside, args=(work,))
    thread.start()
    entered.wait()
    assert exit_code_of_fork(lambda: os._exit(0 if left.is_set() else 1)) == 0
    thread.join()


def test_the_child_goes_into_sqlite_and_so_do_the_threads_of_the_parent(tmp_path: Path) -> None:
    stop = threading.Event()

    def open_and_close(path: Path) -> None:
        inside(lambda: sqlite3.connect(path).close())

    def hammer() -> None:
        while not stop.is_set():
            open_and_close(tmp_path / "parent.db")

    threads = [threading.Thread(target=hammer) for _ in range(3)]
    for thread in threads:
        thread.start()
    codes = {exit_code_of_fork(lambda: open_and_close(tmp_path / "child.db")) for _ in range(10)}
    stop.set()
    for thread in threads:
        thread.join()
    assert codes == {0}


def test_who_is_inside_may_fork() -> None:
    assert inside(lambda: exit_code_of_fork(lambda: None)) == 0
