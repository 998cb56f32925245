"""The measurements work, on tiny sizes; their figures mean nothing here."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import trio

from procession import Runtime, open_runtime
from tests.bench import floor, plot, recovery, saga
from tests.bench.figures import Report, Row, at_least, at_most, goals, ratio_at_least, ratio_at_most
from tests.bench.run import MEASUREMENTS, main
from tests.crash.counts import read_counts

QUICK = ("saga", "idle", "disk")
FEW = ["--rounds", "1", "--flows", "50"]


def measured(name: str, output: str) -> bool:
    return f'{{"bench": "{name}"' in output and f"\n{name}: " in output and "\ngoals: " in output


@pytest.mark.parametrize("name", QUICK)
def test_a_quick_measurement_prints_its_lines_and_its_table(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    main([name, *FEW])
    assert measured(name, capsys.readouterr().out)


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.needs("wrk", "apt-get install wrk") if name == "http" else ())
        for name in MEASUREMENTS
        if name not in QUICK
    ],
)
def test_a_measurement_prints_its_lines_and_its_table(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    main([name, *FEW])
    assert measured(name, capsys.readouterr().out)


@contextlib.asynccontextmanager
async def _opened_late(*given: Any, **options: Any) -> AsyncIterator[Runtime]:  # noqa: ANN401 - as `open_runtime` takes it
    await trio.sleep(1.2)
    async with open_runtime(*given, **options) as runtime:
        yield runtime


@pytest.mark.slow
def test_a_start_after_a_crash_that_is_slow_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recovery, "open_runtime", _opened_late)
    assert main(["recovery", *FEW, "--json", str(tmp_path / "found.json")]) == 1
    assert any(breach.startswith("50: ready after, s: ") for breach in read_counts(tmp_path / "found.json").breaches)


@pytest.mark.slow
def test_a_start_that_leaves_flows_where_the_crash_left_them_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    async def does_not_wait(_: Runtime) -> None:
        await trio.lowlevel.checkpoint()

    monkeypatch.setattr(Runtime, "drain", does_not_wait)
    with pytest.raises(AssertionError, match=r"\d+ of 50 flows ended"):
        main(["recovery", *FEW])


def test_growth_prints_its_lines_and_leaves_those_of_a_picture(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["growth", *FEW, "--folder", str(tmp_path), "--lines", str(tmp_path / "lines")])
    assert measured("growth", capsys.readouterr().out)
    plot.main(tmp_path / "lines", tmp_path / "picture.svg")
    assert "flows in the journal" in (tmp_path / "picture.svg").read_text()


@pytest.mark.slow
def test_search_prints_its_line_and_its_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["search", *FEW, "--folder", str(tmp_path)])
    assert measured("search", capsys.readouterr().out)


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.needs("chromium", "apt-get install chromium")
def test_the_dashboard_prints_its_line_and_its_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["dashboard", *FEW, "--folder", str(tmp_path)])
    assert measured("dashboard", capsys.readouterr().out)


def test_the_floor_tells_when_it_wrote_other_rows_than_the_product(tmp_path: Path) -> None:
    product, raw = tmp_path / "product.db", tmp_path / "raw.db"
    trio.run(saga.throughput, product, 50)
    steps = floor.read_back(product)
    with pytest.raises(AssertionError, match=r"event: \(199, \d+\) rows and bytes, the product has \(200, \d+\)"):
        floor.write(raw, product, steps[:-1])


@pytest.mark.parametrize(
    ("row", "met"),
    [
        (Row("a", 2, None, at_most(2)), True),
        (Row("a", 2.1, None, at_most(2)), False),
        (Row("a", 2, None, at_least(2)), True),
        (Row("a", 1.9, None, at_least(2)), False),
        (Row("a", 9, 3, ratio_at_most(3)), True),
        (Row("a", 9, 2, ratio_at_most(3)), False),
        (Row("a", 9, 2, ratio_at_least(4)), True),
        (Row("a", 9, 2, ratio_at_least(4), ratio=3), False),
    ],
)
def test_a_goal_is_met_up_to_its_limit(row: Row, met: bool) -> None:
    assert row.met is met
    shown = goals([Report("one", "nothing", [row, Row("without a goal", 1)])])
    assert shown.startswith(f"goals: {int(met)} of 1 met")
    assert "one: a" in shown
    assert "without a goal" not in shown


@pytest.mark.parametrize(("limit", "code"), [(1e9, 0), (0, 1)])
def test_the_exit_code_tells_whether_every_goal_is_met(
    limit: float, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(MEASUREMENTS, "saga", lambda *_: Report("saga", "told", [Row("a", 1, None, at_most(limit))]))
    assert main(["saga"]) == code


def test_the_picture_shows_each_size_with_the_median_of_its_rounds() -> None:
    names = [name for panel in plot.PANELS for _, name in panel.lines]
    lines = [
        json.dumps({"bench": "growth", "round": round_, "flows": flows} | dict.fromkeys(names, value))
        for flows in (1000, 10_000, 1_000_000)
        for round_, value in enumerate((1.0, 900.0, 7.0))
    ]
    found = plot.read("\n".join(lines))
    assert [(figures["flows"], figures[names[0]]) for figures in found] == [(1e3, 7), (1e4, 7), (1e6, 7)]
    picture = ElementTree.fromstring(plot.svg(found))
    said = [text.text for text in picture.iter("{http://www.w3.org/2000/svg}text")]
    assert {"1,000", "10,000", "1,000,000", *(label for panel in plot.PANELS for label, _ in panel.lines)} <= set(said)
    assert len(list(picture.iter("{http://www.w3.org/2000/svg}circle"))) == 3 * len(names)
