// The whole at a glance: what comes in, goes out and fails, what waits, what needs somebody.
import { Chart } from "./charts.js";
import { duration, number, plural, rate } from "./format.js";
import { html, useState } from "./lib.js";
import { useLive } from "./live.js";
import { Age, Badge, Empty, FlowLink, Section, Table, Time } from "./parts.js";
import { to } from "./route.js";

export const quoted = (text) => (/^[\w./][\w./-]*$/.test(text) ? text : `"${text.replace(/\\/g, "\\\\").replace(/"/g, '\\"')}"`);
export const searchFor = (process, status) => `process:${quoted(process)}${status ? ` status:${status}` : ""}`;

function Tile({ says, value, tone, href, about, more }) {
  const inner = html`<span class="tile-value">${value}</span><span class="tile-says">${says}${more && html`<br />${more}`}</span>`;
  const kind = `tile ${tone || ""}`;
  return href ? html`<a class=${kind} href=${href} title=${about}>${inner}</a>` : html`<div class=${kind} title=${about}>${inner}</div>`;
}

function total(flows, status) {
  return flows.filter((one) => !status || one.status === status).reduce((sum, one) => sum + one.number, 0);
}

export const flowsOf = (now) => now.counted.flows.filter((one) => !now.aggregates.includes(one.process));

function Tiles({ now }) {
  const flows = flowsOf(now);
  const [, into, out, failed, , , waiting] = now.point || [];
  const aside = total(flows, "quarantined");
  const oldest = flows.filter((one) => one.status === "active").sort((a, b) => (a.oldest_at < b.oldest_at ? -1 : 1))[0];
  return html`<div class="tiles">
    ${now.about.kind !== "file" && html`<${Tile} says="events in, a second" value=${rate(into)} about="Outside events that were accepted" />
    <${Tile} says="commands out, a second" value=${rate(out)} about="Commands handed to a gateway" />
    <${Tile} says="failed, a second" value=${rate(failed)} tone=${failed > 0 ? "warn" : ""} about="Attempts and turns that failed" />
    <${Tile} says="commands wait or run" value=${waiting === undefined ? "–" : number(waiting)} href=${to("gateways")} />`}
    ${now.measured?.waits && html`<${Tile} says="waited at most, 99 % of events, last minute" value=${duration(now.measured.waits[2])}
      about="From accepted to the start of the turn" more=${`p50 ${duration(now.measured.waits[0])}, p95 ${duration(now.measured.waits[1])}`} />`}
    ${now.measured?.commits && html`<${Tile} says="a commit took at most, 99 % of them, last minute" value=${duration(now.measured.commits[2])} tone=${now.measured.commits[2] > 0.5 ? "warn" : ""}
      about="One transaction, with its sync" more=${`p50 ${duration(now.measured.commits[0])}, p95 ${duration(now.measured.commits[1])}`} />`}
    ${now.committing_s > 1 && html`<${Tile} says="a commit has been running for" value=${duration(now.committing_s)} tone="bad" about="Nothing becomes durable before it ends: look at the disk" />`}
    <${Tile} says="flows go on" value=${number(total(flows, "active"))} href=${to("flows", [], { q: "status:active" })} />
    <${Tile} says="in quarantine" value=${number(aside)} tone=${aside ? "bad" : "good"} href=${to("quarantine")} />
    <${Tile} says=${oldest ? `not moved for longest: ${oldest.process}/${oldest.oldest_key}` : "no flow waits"}
      value=${oldest ? duration((Date.parse(now.at) - Date.parse(oldest.oldest_at)) / 1000) : "–"}
      href=${oldest ? to("flow", [oldest.process, oldest.oldest_key]) : undefined} />
    <${Tile} says="alerts of invariants" value=${number(now.counted.alerts_total)} tone=${now.counted.alerts_total ? "bad" : "good"} href=${to("laws")} />
  </div>`;
}

const THROUGHPUT = [
  { says: "events in", at: 1 },
  { says: "commands out", at: 2 },
  { says: "failed", at: 3, dash: [5, 3], colour: 3 },
];
const FLOWING = [
  { says: "flows ended", at: 4 },
  { says: "turns", at: 5 },
];
const DEPTH = [{ says: "commands wait or run", at: 6 }];

function Charts({ live }) {
  const [span, setSpan] = useState(null);
  const brush = (from, until) => setSpan([from, until]);
  if (live.now.about.kind === "file") return null;
  if (live.points.length < 2) return html`<p class="dim">The charts begin with the second sample, in a moment.</p>`;
  const shown = span ? live.points.filter((point) => point[0] / 1000 >= span[0] && point[0] / 1000 <= span[1]) : live.points;
  return html`<${Section} title="Throughput" aside=${span
    ? html`<a href=${to("flows", [], { q: spanSearch(span) })}>flows that began in this span</a> <button type="button" onClick=${() => setSpan(null)}>show all</button>`
    : html`<span class="dim">drag over a chart to look at a span of time</span>`}>
    <div class="charts">
      <${Chart} says="In, out, failed (a second)" points=${shown} series=${THROUGHPUT} unit="/s" brush=${brush} />
      <${Chart} says="Turns and ended flows (a second)" points=${shown} series=${FLOWING} unit="/s" brush=${brush} />
      <${Chart} says="Commands that wait or run" points=${shown} series=${DEPTH} brush=${brush} />
    </div>
  <//>`;
}

// Searches count back from now, in whole seconds.
function spanSearch([from, until]) {
  const back = (seconds) => Math.max(0, Date.now() / 1000 - seconds);
  return `age<${Math.ceil(back(from)) + 1}s age>${Math.floor(back(until))}s`;
}

function Flows({ now }) {
  const empty = html`<${Empty} run="procession demo">No flow has started yet. Publish an event that starts one, or let generated traffic run:<//>`;
  const flows = flowsOf(now);
  return html`<${Section} title="Flows by process" aside=${html`<${Age} at=${Date.parse(now.counted.at)} />${now.counted.failed && html` <${Badge} says="not counted" tone="warn" /> ${now.counted.failed}`}`}>
    <${Table} label="Flows by process and status" heads=${["process", "status", { says: "flows", right: true }, "not moved for longest"]} empty=${empty}>
      ${flows.map((one) => html`<tr>
        <td><a href=${to("processes", [one.process])}>${one.process}</a></td>
        <td><${Badge} says=${one.status} /></td>
        <td class="right"><a href=${to("flows", [], { q: searchFor(one.process, one.status) })}>${number(one.number)}</a></td>
        <td>${["active", "quarantined"].includes(one.status) && html`<${FlowLink} process=${one.process} name=${one.oldest_key} /> <${Time} at=${one.oldest_at} />`}</td>
      </tr>`)}
    <//>
  <//>`;
}

function Aside({ now }) {
  const found = now.counted.quarantine;
  const many = total(flowsOf(now), "quarantined");
  return html`<${Section} title="Quarantine" aside=${html`<a href=${to("quarantine")}>${plural(many, "flow")}</a>`}>
    <${Table} label="Flows in quarantine" heads=${["flow", "why", "since"]} empty=${html`<${Empty}>No flow is set aside.<//>`}>
      ${found.slice(0, 8).map((one) => html`<tr>
        <td><${FlowLink} process=${one.process} name=${one.key} /></td><td class="clip">${one.reason}</td><td><${Time} at=${one.since} /></td>
      </tr>`)}
    <//>
  <//>`;
}

function Gateways({ now }) {
  return html`<${Section} title="Gateways" aside=${html`<a href=${to("gateways")}>all of them</a>`}>
    <${Table} label="Gateways" heads=${["gateway", "state", { says: "running", right: true }, { says: "waiting", right: true }, "last error"]}
      empty=${html`<${Empty}>${now.about.kind === "file" ? "No gateway runs beside a file." : "No gateway is configured."}<//>`}>
      ${now.gateways.map((one) => html`<tr>
        <td><a href=${to("gateways", [one.name])}>${one.name}</a></td>
        <td><${GatewayBadge} gateway=${one} /></td>
        <td class="right">${number(one.running)} of ${number(one.concurrency)}</td>
        <td class="right">${number(one.waiting)}${one.more ? "+" : ""}</td>
        <td class="clip">${one.last_error}</td>
      </tr>`)}
    <//>
  <//>`;
}

export function GatewayBadge({ gateway }) {
  if (gateway.paused) return html`<${Badge} says="paused" />`;
  const word = { closed: "open for work", open: "breaker open", half_open: "breaker tries" }[gateway.breaker] || `breaker ${gateway.breaker}`;
  return html`<span title=${gateway.held_back || undefined}><${Badge} says=${word} tone=${gateway.breaker === "closed" ? "good" : "bad"} /></span>`;
}

export function OverviewPage() {
  const live = useLive();
  const { now } = live;
  if (!now) return html`<p class="dim" role="status">The first figures are on their way.</p>`;
  return html`<div class="stack">
    <${Tiles} now=${now} />
    <${Charts} live=${live} />
    <div class="columns"><${Flows} now=${now} /><${Aside} now=${now} /></div>
    <${Gateways} now=${now} />
  </div>`;
}
