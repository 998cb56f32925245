"""Draws the growth of costs, from the JSON lines of `tests.bench.run growth`: an SVG, light or dark as the browser is.

python -m tests.bench.plot docs/growth.jsonl docs/growth.svg
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import attrs

from tests.bench.figures import Figures, medians

_WIDTH, _HEIGHT = 980, 400
_TOP, _BOTTOM = 64, 330
_LABEL_GAP = 15
_STYLE = """
    .ground { fill: #ffffff } .grid { stroke: #d0d7de }
    text { fill: #1f2328 } .small { font-size: 12px; fill: #57606a } .title { font-weight: 600 }
    .c0 { stroke: #0969da; fill: #0969da } .c1 { stroke: #bc4c00; fill: #bc4c00 }
    .c2 { stroke: #1a7f37; fill: #1a7f37 } .c3 { stroke: #8250df; fill: #8250df }
    .c4 { stroke: #9a6700; fill: #9a6700 }
    @media (prefers-color-scheme: dark) {
      .ground { fill: #0d1117 } .grid { stroke: #30363d }
      text { fill: #e6edf3 } .small { fill: #9198a1 }
      .c0 { stroke: #58a6ff; fill: #58a6ff } .c1 { stroke: #f0883e; fill: #f0883e }
      .c2 { stroke: #3fb950; fill: #3fb950 } .c3 { stroke: #bc8cff; fill: #bc8cff }
      .c4 { stroke: #d29922; fill: #d29922 }
    }
    path { stroke-width: 2 } path.line { fill: none } text.label { stroke: none }
"""


@attrs.frozen
class Panel:
    """One diagram: lines over the number of flows that the journal holds."""

    title: str
    left: int
    right: int
    lines: Sequence[tuple[str, str]]
    """Label, and the name of the figure."""
    log: bool


PANELS = (
    Panel(
        "cost of one flow more, µs",
        60,
        300,
        [
            ("by the clock", "wall_us_per_flow"),
            ("processor time", "cpu_us_per_flow"),
            ("by the clock, random keys", "scattered_wall_us_per_flow"),
            ("processor time, random keys", "scattered_cpu_us_per_flow"),
        ],
        log=False,
    ),
    Panel(
        "time of one question, ms",
        590,
        830,
        [
            ("open the runtime", "open the runtime, ms"),
            ("show", "show, ms"),
            ("ls", "ls, ms"),
            ("load a flow", "load, ms"),
            ("ls --outcome, rare", "ls --outcome that is rare, ms"),
        ],
        log=True,
    ),
)


def read(text: str) -> list[Figures]:
    """Medians by number of flows, in order of it."""
    rounds: dict[float, list[Figures]] = {}
    for line in text.splitlines():
        found = json.loads(line)
        assert found.pop("bench") == "growth", f"a line of another measurement: {line}"
        rounds.setdefault(found["flows"], []).append(found)
    return [medians(rounds[flows]) for flows in sorted(rounds)]


def svg(found: Sequence[Figures]) -> str:
    """The whole picture."""
    label = f"Cost of a flow and of questions, by flows in the journal, {_many(found[0])} to {_many(found[-1])}"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{label}"',
        '  font-family="ui-sans-serif, system-ui, sans-serif" font-size="13">',
        f"  <style>{_STYLE}  </style>",
        f'  <rect class="ground" width="{_WIDTH}" height="{_HEIGHT}"/>',
    ]
    for panel in PANELS:
        parts += _panel(panel, found)
    return "\n".join([*parts, "</svg>\n"])


def _many(figures: Figures) -> str:
    return f"{figures['flows']:,.0f}"


def _panel(panel: Panel, found: Sequence[Figures]) -> Iterator[str]:
    yield f'  <text class="title" x="{panel.left}" y="30">{panel.title}</text>'
    first, last = math.log10(found[0]["flows"]), math.log10(found[-1]["flows"])
    span = (panel.right - panel.left) / ((last - first) or 1)
    values = [figures[name] for figures in found for _, name in panel.lines]
    low, ticks = _log_ticks(values) if panel.log else _even_ticks(values)
    scale = (_BOTTOM - _TOP) / ((math.log10(ticks[-1]) - low) if panel.log else ticks[-1])

    def x_of(flows: float) -> float:
        return panel.left + span * (math.log10(flows) - first)

    def y_of(value: float) -> float:
        return _BOTTOM - scale * ((math.log10(value) - low) if panel.log else value)

    for tick in ticks:
        y = y_of(tick)
        yield f'  <line class="grid" x1="{panel.left}" x2="{panel.right}" y1="{y:.1f}" y2="{y:.1f}"/>'
        yield f'  <text class="small" x="{panel.left - 8}" y="{y + 4:.1f}" text-anchor="end">{tick:,g}</text>'
    for figures in found:
        x = x_of(figures["flows"])
        yield f'  <line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{_BOTTOM}" y2="{_BOTTOM + 5}"/>'
        yield f'  <text class="small" x="{x:.1f}" y="{_BOTTOM + 20}" text-anchor="middle">{_many(figures)}</text>'
    middle = (panel.left + panel.right) // 2
    yield f'  <text class="small" x="{middle}" y="{_BOTTOM + 44}" text-anchor="middle">flows in the journal</text>'
    yield from _lines(panel, found, x_of, y_of)


def _lines(
    panel: Panel, found: Sequence[Figures], x_of: Callable[[float], float], y_of: Callable[[float], float]
) -> Iterator[str]:
    labels = []
    for number, (label, name) in enumerate(panel.lines):
        points = [(x_of(figures["flows"]), y_of(figures[name])) for figures in found]
        path = " ".join(f"{'L' if at else 'M'}{x:.1f} {y:.1f}" for at, (x, y) in enumerate(points))
        yield f'  <path class="line c{number}" d="{path}"/>'
        for x, y in points:
            yield f'  <circle class="c{number}" cx="{x:.1f}" cy="{y:.1f}" r="3"/>'
        labels.append((points[-1][1], number, label))
    above = 0.0
    for y, number, label in sorted(labels):
        above = max(y, above + _LABEL_GAP)
        yield f'  <text class="label c{number}" x="{panel.right + 12}" y="{above + 4:.1f}">{label}</text>'


def _even_ticks(values: Sequence[float]) -> tuple[float, list[float]]:
    """From nothing to above the largest, in four or five even steps."""
    largest = max(values)
    power = 10 ** math.floor(math.log10(largest))
    step = next(part * power for part in (0.25, 0.5, 1, 2.5) if largest <= 5 * part * power)
    return 0.0, [step * n for n in range(math.ceil(largest / step) + 1)]


def _log_ticks(values: Sequence[float]) -> tuple[float, list[float]]:
    """Powers of ten, from below the smallest to above the largest."""
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    return low, [10.0**power for power in range(low, high + 1)]


def main(lines: Path, picture: Path) -> None:
    picture.write_text(svg(read(lines.read_text("utf-8"))), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
