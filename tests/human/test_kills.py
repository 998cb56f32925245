"""Tasks survive kill -9: none is lost, none is answered twice, every flow hears its answer once."""

from __future__ import annotations

import collections
import json
import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ONCE = ("expense.filed", "human.task_asked", "expense.decided", "expense.paid")
ONCE_A_TASK = ("human.task_opened", "human.task_answered")


def live(journal: Path, expenses: int, seconds: float | None) -> str:
    """One life of the process, killed so long after it was ready; what it said."""
    command = [sys.executable, "-m", "tests.human.child", str(journal), str(expenses)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as child:
        try:
            assert child.stdout is not None
            assert child.stdout.readline() == b"ready\n"
            if seconds is None:
                return child.stdout.read().decode().strip()
            time.sleep(seconds)
            return ""
        finally:
            child.send_signal(signal.SIGKILL)


@pytest.mark.parametrize(
    ("kills", "expenses"), [(1, 8), pytest.param(10, 80, marks=[pytest.mark.slow, pytest.mark.timeout(300)])]
)
def test_a_task_is_asked_and_answered_once_over_any_number_of_kills(kills: int, expenses: int, tmp_path: Path) -> None:
    journal, chance = tmp_path / "j.db", random.Random(kills)
    for _ in range(kills):
        live(journal, expenses, chance.uniform(0.01, 0.4))
    assert live(journal, expenses, None) == "done"
    with sqlite3.connect(journal) as db:
        rows = db.execute("select type, payload from event").fetchall()
        ended = db.execute("select process, outcome, count(*) from flow group by 1, 2").fetchall()
    db.close()
    times = collections.Counter(
        (kind, json.loads(payload).get("expense_id" if kind.startswith("expense.") else "task_id"))
        for kind, payload in rows
    )
    kinds = collections.Counter(kind for kind, _ in times)
    assert {kind: kinds[kind] for kind in (*ONCE, *ONCE_A_TASK)} == dict.fromkeys((*ONCE, *ONCE_A_TASK), expenses)
    assert [key for key, count in times.items() if count > 1 and key[0] in (*ONCE, *ONCE_A_TASK)] == []
    assert {"expense": ("paid", expenses), "approvals.tasks": ("answered", expenses)}.items() <= {
        process: (outcome, count) for process, outcome, count in ended
    }.items()
