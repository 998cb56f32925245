// Lines over time, by uPlot. Dragging over a chart names a span of time.
import { html, useEffect, useRef } from "./lib.js";
import uPlot from "./uplot.js";

const HEIGHT = 170;

// Only pages with charts need it, so no other page waits for it.
document.head.append(Object.assign(document.createElement("link"), { rel: "stylesheet", href: "/dashboard/uplot.css" }));

function colours() {
  const style = getComputedStyle(document.documentElement);
  const of = (name) => style.getPropertyValue(name).trim();
  return { line: [of("--series-1"), of("--series-2"), of("--series-3"), of("--series-4")], ink: of("--dim"), grid: of("--line") };
}

const clock = (seconds) => new Date(seconds * 1000).toTimeString().slice(0, 8);

function options(width, series, unit, brush) {
  const { line, ink, grid } = colours();
  const axis = { stroke: ink, grid: { stroke: grid, width: 1 }, ticks: { stroke: grid, width: 1 }, font: "11px system-ui" };
  return {
    width,
    height: HEIGHT,
    legend: { live: true },
    cursor: { drag: { x: true, y: false, setScale: false } },
    scales: { x: { time: true }, y: { range: (_, low, high) => [0, Math.max(high || 0, 1) * 1.1] } },
    axes: [{ ...axis, values: (_, splits) => splits.map(clock) }, { ...axis, size: 46 }],
    series: [
      { value: (_, value) => (value === null ? "–" : clock(value)) },
      ...series.map((one, index) => ({
        label: one.says,
        stroke: line[one.colour ?? index],
        width: 1.6,
        dash: one.dash,
        points: { show: false },
        value: (_, value) => (value === null || value === undefined ? "–" : `${Math.round(value * 100) / 100}${unit}`),
      })),
    ],
    hooks: {
      setSelect: [
        (plot) => {
          if (plot.select.width < 4 || !brush) return;
          const from = plot.posToVal(plot.select.left, "x");
          const until = plot.posToVal(plot.select.left + plot.select.width, "x");
          brush(from, until);
          plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
        },
      ],
    },
  };
}

// `points` are rows of [milliseconds, values…]; `series` says which values, by index.
export function Chart({ says, points, series, unit = "", brush }) {
  const box = useRef(null);
  const plot = useRef(null);
  const brushed = useRef(brush);
  brushed.current = brush;
  const data = useRef(null);
  data.current = () => [points.map((point) => point[0] / 1000), ...series.map((one) => points.map((point) => point[one.at] ?? null))];
  useEffect(() => {
    const element = box.current;
    const draw = () => {
      plot.current?.destroy();
      plot.current = new uPlot(options(element.clientWidth, series, unit, (...span) => brushed.current?.(...span)), data.current(), element);
    };
    draw();
    const sized = new ResizeObserver(() => plot.current?.setSize({ width: element.clientWidth, height: HEIGHT }));
    sized.observe(element);
    const dark = matchMedia("(prefers-color-scheme: dark)");
    const themed = new MutationObserver(draw);
    themed.observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
    dark.addEventListener("change", draw);
    return () => {
      sized.disconnect();
      themed.disconnect();
      dark.removeEventListener("change", draw);
      plot.current.destroy();
      plot.current = null;
    };
  }, []);
  useEffect(() => {
    plot.current?.setData(data.current());
  }, [points]);
  const last = points.at(-1);
  const told = last ? series.map((one) => `${one.says} ${last[one.at] ?? "unknown"}${unit}`).join(", ") : "nothing yet";
  return html`<figure><figcaption>${says}</figcaption><div class="chart" ref=${box} role="img" aria-label=${`${says}; now ${told}`}></div></figure>`;
}
