"""A thousand given/when/then tests in a pytest run of their own, beside a thousand tests that do nothing."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from tests.bench.figures import Figures

ROOT = Path(__file__).parent.parent.parent
_HEAD = """
from datetime import timedelta

from flows.order_fulfilment import (
    ChargeCard, Order, OrderPlaced, PaymentCaptured, PaymentDeclined, PaymentWindowClosed, ReleaseStock, ShipParcel,
    ReserveStock, StockReserved,
)
from procession.testing import given
"""
_TESTS = (
    'given(Order).when(OrderPlaced("{n}", "kettle", {n})).then(ReserveStock("{n}", "kettle"))',
    'given(Order, OrderPlaced("{n}", "kettle", {n})).when(StockReserved("{n}")).then(ChargeCard("{n}", {n}))',
    (
        'given(Order, OrderPlaced("{n}", "kettle", {n}), StockReserved("{n}")).when(PaymentCaptured("{n}"))'
        '.then(ShipParcel("{n}"))'
    ),
    (
        'given(Order, OrderPlaced("{n}", "kettle", {n}), StockReserved("{n}")).when(PaymentDeclined("{n}"))'
        '.then(ReleaseStock("{n}"))'
    ),
    (
        'given(Order, OrderPlaced("{n}", "kettle", {n}), StockReserved("{n}")).elapse(timedelta(minutes=30))'
        '.then(ReleaseStock("{n}"))'
    ),
)


def measure(folder: Path, tests: int) -> Figures:
    """Seconds of two whole pytest processes, also of their processor alone, which a busy machine does not change."""
    empty, full = folder / "test_empty.py", folder / "test_scenarios.py"
    (folder / "pytest.ini").write_text("[pytest]\n")
    empty.write_text(_HEAD + "".join(f"def test_{n}(): pass\n" for n in range(tests)))
    full.write_text(_HEAD + "".join(f"def test_{n}(): {_TESTS[n % len(_TESTS)].format(n=n)}\n" for n in range(tests)))
    (empty_s, empty_cpu_s), (scenarios_s, scenarios_cpu_s) = _seconds(empty, tests), _seconds(full, tests)
    return {
        "empty_s": empty_s,
        "empty_cpu_s": empty_cpu_s,
        "scenarios_s": scenarios_s,
        "scenarios_cpu_s": scenarios_cpu_s,
        "scenario_beyond_empty_ms": 1000 * (scenarios_cpu_s - empty_cpu_s) / tests,
    }


def _seconds(file: Path, tests: int) -> tuple[float, float]:
    began, cpu_s = time.perf_counter(), _children_cpu_s()
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", str(file.parent / "pytest.ini"), file],
        cwd=file.parent,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    took_s, took_cpu_s = time.perf_counter() - began, _children_cpu_s() - cpu_s
    assert f"{tests} passed" in run.stdout, run.stdout[-2000:] + run.stderr
    return took_s, took_cpu_s


def _children_cpu_s() -> float:
    used = os.times()
    return used.children_user + used.children_system
