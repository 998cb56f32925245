// Gateways: how they do, what they may do, and holding them back.
import { ActButton, ActDialog, Told } from "./acts.js";
import { path, useAnswer } from "./api.js";
import { duration, exact, number } from "./format.js";
import { html, useId, useState } from "./lib.js";
import { useLive } from "./live.js";
import { GatewayBadge } from "./overview.js";
import { Age, Empty, Section, Table, Trouble } from "./parts.js";
import { to } from "./route.js";
import { useMay } from "./session.js";

const HEAT_EVERY_MS = 10000;

// Columns are spans of time, rows buckets of duration; the darker, the more attempts.
function HeatMap({ heat, name }) {
  const columns = heat.columns.filter(([, counts]) => counts[name]);
  const most = Math.max(0, ...columns.flatMap(([, counts]) => counts[name]));
  if (most === 0) return html`<p class="dim">No attempt ended in the last quarter of an hour.</p>`;
  const rows = heat.bounds.length + 1;
  const used = Array.from({ length: rows }, (_, row) => columns.some(([, counts]) => counts[name][row]));
  const low = used.indexOf(true);
  const high = used.lastIndexOf(true);
  const [wide, high_px, left] = [7, 16, 74];
  const says = (row) => (row < heat.bounds.length ? `≤ ${duration(heat.bounds[row])}` : `> ${duration(heat.bounds.at(-1))}`);
  const width = left + heat.columns.length * wide + 4;
  const height = (high - low + 1) * high_px + 4;
  return html`<div class="scroll" tabindex="0" role="group" aria-label=${`Durations of attempts at ${name}`}>
    <svg class="heat" width=${width} height=${height} viewBox=${`0 0 ${width} ${height}`} role="img" aria-label=${`Heat map of durations: most attempts took between ${says(low)} and ${says(high)}`}>
      ${Array.from({ length: high - low + 1 }, (_, index) => high - index).map((row, index) => html`<text class="heat-says" x=${left - 6} y=${index * high_px + 12} text-anchor="end">${says(row)}</text>`)}
      ${heat.columns.map(([at, counts], column) => counts[name] && counts[name].map((count, row) => count > 0 && html`<rect class="heat-cell" x=${left + column * wide} y=${(high - row) * high_px} width=${wide - 1} height=${high_px - 1} fill-opacity=${0.15 + 0.85 * Math.sqrt(count / most)}>
        <title>${`${number(count)} attempts took ${says(row)}, until ${exact(new Date(at).toISOString())}`}</title></rect>`))}
    </svg>
  </div>`;
}

const LIMITS = [
  ["concurrency", "Attempts at one time", "1"],
  ["rate_per_s", "Attempts begun in a second; empty: as many as come", "any"],
  ["attempts_max", "Attempts before a command is given up", "1"],
  ["timeout_s", "Seconds that an attempt may take", "any"],
];

function LimitsDialog({ gateway, close, done }) {
  const [values, setValues] = useState({});
  const base = useId();
  const now = useAnswer(path(["gateways", gateway.name, "limits"])).data?.limits;
  const limits = {};
  for (const [name, text] of Object.entries(values)) if (text.trim() !== "") limits[name] = Number(text);
  const act = {
    says: "Set limits", title: `Limits of ${gateway.name}`, path: path(["gateways", gateway.name, "limits"]), body: { limits },
    about: "They hold until they are set again, or the runtime ends. What is left empty stays as it is.", done,
  };
  return html`<${ActDialog} act=${act} close=${close}>
    ${LIMITS.map(([name, says, step]) => html`<label for=${`${base}-${name}`}>${says}</label>
      <input id=${`${base}-${name}`} type="number" min="0" step=${step} placeholder=${now && `now ${now[name] ?? "none"}`} value=${values[name] ?? ""} onInput=${(event) => setValues({ ...values, [name]: event.currentTarget.value })} />`)}
  <//>`;
}

function One({ gateway, measured, heat, tell }) {
  const [limits, setLimits] = useState(false);
  const may = useMay("operator", useLive().now);
  const at = (act) => path(["gateways", gateway.name, act]);
  const verb = gateway.paused ? "Resume" : "Pause";
  return html`<${Section} title=${gateway.name} aside=${html`<${GatewayBadge} gateway=${gateway} />`}>
    ${gateway.held_back && html`<div class="notice" role="note">No attempt begins: ${gateway.held_back}</div>`}
    <dl class="facts">
      <div><dt>running</dt><dd>${number(gateway.running)} of ${number(gateway.concurrency)}</dd></div>
      <div><dt>waiting</dt><dd>${number(gateway.waiting)}${gateway.more ? ", and more in the journal" : ""}</dd></div>
      <div><dt>breaker</dt><dd>${gateway.breaker}</dd></div>
      ${measured && html`
        <div><dt>attempts, a second</dt><dd>${measured.rate}</dd></div>
        <div><dt>p50 / p95 / p99 of the last minute</dt><dd>${measured.quantiles ? measured.quantiles.map((one) => duration(one)).join(" / ") : "–"}</dd></div>`}
      <div><dt>last error</dt><dd>${gateway.last_error || html`<span class="dim">none</span>`}</dd></div>
    </dl>
    ${heat && html`<h3>Durations of attempts, a quarter of an hour</h3><${HeatMap} heat=${heat} name=${gateway.name} />`}
    <div class="buttons">
      <${ActButton} key=${verb} act=${{ says: verb, title: `${verb} ${gateway.name}`, path: at(verb.toLowerCase()), about: gateway.paused ? "Attempts begin again." : "No attempt begins; commands wait and use none of their attempts. Running calls end.", done: (done) => tell(`${done.gateway} is ${done.paused ? "paused" : "working"}.`) }} />
      <button type="button" disabled=${!may} onClick=${() => setLimits(true)}>Limits</button>
    </div>
    ${limits && html`<${LimitsDialog} gateway=${gateway} close=${() => setLimits(false)} done=${() => tell(`The limits of ${gateway.name} are set.`)} />`}
  <//>`;
}

export function GatewaysPage({ route }) {
  const { now } = useLive();
  const [told, setTold] = useState("");
  const found = useAnswer("/v1/overview", { every: HEAT_EVERY_MS });
  if (!now) return html`<p class="dim" role="status">The first figures are on their way.</p>`;
  const shown = now.gateways.filter((gateway) => !route.parts.length || gateway.name === route.parts[0]);
  if (now.gateways.length === 0) return html`<${Empty} run="procession run">${now.about.kind === "file" ? "No gateway runs beside a file." : "No gateway is configured."}<//>`;
  return html`<div class="stack">
    <${Told} says=${told} />
    ${route.parts.length > 0 && html`<p><a href=${to("gateways")}>All gateways</a></p>`}
    ${shown.length === 0 && html`<${Empty}>There is no gateway ${route.parts[0]}.<//>`}
    ${shown.map((gateway) => html`<${One} key=${gateway.name} gateway=${gateway} measured=${now.measured?.gateways[gateway.name]} heat=${found.data?.heat} tell=${setTold} />`)}
  </div>`;
}
