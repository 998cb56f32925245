// A process as its definition draws it, with how many flows stand at each step; a step leads to those flows.
import { ActButton, Told } from "./acts.js";
import { path, useAnswer } from "./api.js";
import { number, short } from "./format.js";
import { html, useState } from "./lib.js";
import { useLive } from "./live.js";
import { flowsOf, searchFor } from "./overview.js";
import { Age, Badge, Empty, Section, Table, Trouble } from "./parts.js";
import { to } from "./route.js";

const WIDE = 190;
const HIGH = 62;
const GAP_X = 36;
const GAP_Y = 56;
const EVERY_MS = 3000;

// Stages in layers by how far they are from the start; what nothing leads to begins too.
function layered({ stages, links }) {
  const depth = new Map();
  const queue = stages.filter((stage) => stage.kind === "start").map((stage) => stage.id);
  if (queue.length === 0 && stages.length) queue.push(stages[0].id);
  queue.forEach((id) => depth.set(id, 0));
  for (let at = 0; at < queue.length; at += 1) {
    for (const link of links) {
      if (link.source === queue[at] && !depth.has(link.target)) {
        depth.set(link.target, depth.get(link.source) + 1);
        queue.push(link.target);
      }
    }
  }
  const last = Math.max(0, ...depth.values());
  stages.forEach((stage) => depth.has(stage.id) || depth.set(stage.id, stage.kind === "end" ? last + 1 : 1));
  const most = Math.max(...depth.values());
  stages.forEach((stage) => stage.kind === "end" && depth.set(stage.id, most));
  const rows = [];
  stages.forEach((stage) => (rows[depth.get(stage.id)] ??= []).push(stage));
  return rows.filter(Boolean);
}

function placed(diagram) {
  const rows = layered(diagram);
  const across = Math.max(...rows.map((row) => row.length));
  const width = across * (WIDE + GAP_X) + GAP_X + 60;
  const at = new Map();
  rows.forEach((row, y) => {
    const indent = (width - row.length * (WIDE + GAP_X) + GAP_X) / 2;
    row.forEach((stage, x) => at.set(stage.id, { x: indent + x * (WIDE + GAP_X), y: 16 + y * (HIGH + GAP_Y) }));
  });
  return { at, width, height: 16 + rows.length * (HIGH + GAP_Y) };
}

function curve(from, target) {
  const x1 = from.x + WIDE / 2;
  const x2 = target.x + WIDE / 2;
  if (target.y > from.y) {
    const y1 = from.y + HIGH;
    const bend = Math.max(24, (target.y - y1) / 2);
    return `M ${x1} ${y1} C ${x1} ${y1 + bend}, ${x2} ${target.y - bend}, ${x2} ${target.y - 3}`;
  }
  if (target.y === from.y && from !== target) {
    // Beside: below the boxes, so that it crosses none of them.
    const y = from.y + HIGH;
    const dip = 18 + Math.min(24, Math.abs(x2 - x1) / 12);
    const [begin, end] = x2 > x1 ? [x1 + 24, x2 - 24] : [x1 - 24, x2 + 24];
    return `M ${begin} ${y} C ${begin} ${y + dip}, ${end} ${y + dip}, ${end} ${y + 3}`;
  }
  // Back, or to itself: around the right edge.
  const edge = Math.max(from.x, target.x) + WIDE + 30;
  const y1 = from.y + HIGH / 2 + 8;
  const y2 = target.y + HIGH / 2 - (from === target ? 12 : 0);
  return `M ${from.x + WIDE} ${y1} C ${edge} ${y1}, ${edge} ${y2}, ${target.x + WIDE + 3} ${y2}`;
}

function Stage({ stage, at }) {
  const count = stage.waiting + stage.quarantined;
  const told = `${stage.name}: ${number(stage.waiting)}${stage.more ? " or more" : ""} flows${stage.quarantined ? `, ${number(stage.quarantined)} in quarantine` : ""}. ${stage.about}`;
  return html`<a href=${to("flows", [], { q: stage.search })} class=${`stage ${stage.kind} ${stage.quarantined ? "bad" : ""} ${count ? "busy" : ""}`}>
    <title>${told}${stage.events.length ? ` Events: ${stage.events.join(", ")}` : ""}</title>
    <rect x=${at.x} y=${at.y} width=${WIDE} height=${HIGH} rx=${stage.kind === "step" ? 8 : 30} />
    <text class="stage-name" x=${at.x + WIDE / 2} y=${at.y + 25} text-anchor="middle">${short(stage.name, 24)}</text>
    <text class="stage-count" x=${at.x + WIDE / 2} y=${at.y + 46} text-anchor="middle">${number(stage.waiting)}${stage.more ? "+" : ""}${stage.quarantined ? ` · ${number(stage.quarantined)} aside` : ""}</text>
  </a>`;
}

function Drawing({ diagram }) {
  const { at, width, height } = placed(diagram);
  const pairs = new Map();
  for (const link of diagram.links) {
    const name = `${link.source} ${link.target}`;
    if (!pairs.has(name)) pairs.set(name, { ...link, events: [] });
    pairs.get(name).events.push(`${link.event || "ends"}${link.by ? `, answers ${link.by}` : ""} (${link.kind})`);
  }
  return html`<div class="scroll" tabindex="0" role="group" aria-label=${`Diagram of ${diagram.process}`}>
    <svg class="diagram" width=${width} height=${height} viewBox=${`0 0 ${width} ${height}`} role="group" aria-label=${`Steps of ${diagram.process}, with the number of flows at each`}>
      <defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path d="M0 0 L8 4 L0 8 z" class="head" /></marker></defs>
      ${[...pairs.values()].filter((link) => at.has(link.source) && at.has(link.target)).map((link) => html`<path class=${`link ${link.kind}`} d=${curve(at.get(link.source), at.get(link.target))} marker-end="url(#tip)"><title>${link.events.join("\n")}</title></path>`)}
      ${diagram.stages.map((stage) => html`<${Stage} key=${stage.id} stage=${stage} at=${at.get(stage.id)} />`)}
    </svg>
  </div>`;
}

function Links({ diagram }) {
  const names = new Map(diagram.stages.map((stage) => [stage.id, stage.name]));
  return html`<details class="folded"><summary>What leads where, as a table</summary>
    <${Table} label="What leads where" heads=${["from", "to", "event", "comes as", "answers"]}>
      ${diagram.links.map((link) => html`<tr><td>${names.get(link.source)}</td><td>${names.get(link.target)}</td><td class="mono">${link.event}</td><td>${link.kind}</td><td class="mono">${link.by}</td></tr>`)}
    <//></details>`;
}

function One({ name, now }) {
  const [told, setTold] = useState("");
  const found = useAnswer(now.about.no_classes ? null : path(["processes", name, "diagram"]), { every: EVERY_MS });
  const flows = now.counted.flows.filter((one) => one.process === name);
  return html`<div class="stack">
    <div class="flow-head"><h2 class="mono">${name}</h2>
      <div class="buttons"><${ActButton} act=${{ says: "Resume the process", title: `Resume ${name}`, path: path(["processes", name, "resume"]), about: "A process that its failures paused goes on.", done: (done) => setTold(`${done.process} goes on.`) }} /></div></div>
    <${Told} says=${told} />
    <p>${flows.map((one) => html`<a class="chip" href=${to("flows", [], { q: searchFor(name, one.status) })}>${one.status} ${number(one.number)}</a> `)}</p>
    <${Section} title="Diagram" aside=${html`<${Age} at=${found.at} every=${EVERY_MS} />`}>
      ${now.about.no_classes && html`<${Empty}>The diagram can't be drawn here: ${now.about.no_classes}<//>`}
      <${Trouble} error=${found.error} again=${found.again} />
      ${found.data && html`<p>${found.data.about}</p><${Drawing} diagram=${found.data} />
        ${found.data.more && html`<p class="dim">Counted are the ${number(found.data.counted)} newest flows that go on; there are more.</p>`}
        <${Links} diagram=${found.data} />`}
    <//>
  </div>`;
}

export function ProcessesPage({ route }) {
  const { now } = useLive();
  if (!now) return html`<p class="dim" role="status">The first figures are on their way.</p>`;
  if (route.parts.length) return html`<${One} name=${route.parts[0]} now=${now} />`;
  const names = [...new Set([...now.processes, ...flowsOf(now).map((one) => one.process)])].sort();
  const count = (name, status) => now.counted.flows.find((one) => one.process === name && one.status === status)?.number || 0;
  return html`<${Section} title="Processes" aside=${html`<${Age} at=${Date.parse(now.counted.at)} />`}>
    <${Table} label="Processes" heads=${["process", ...["active", "quarantined", "ended", "cancelled"].map((says) => ({ says, right: true }))]}
      empty=${html`<${Empty} run="procession new shop">No process is configured. This makes a project with one:<//>`}>
      ${names.map((name) => html`<tr>
        <td><a href=${to("processes", [name])}>${name}</a></td>
        ${["active", "quarantined", "ended", "cancelled"].map((status) => html`<td class="right">${count(name, status) ? html`<a href=${to("flows", [], { q: searchFor(name, status) })}>${status === "quarantined" ? html`<${Badge} says=${number(count(name, status))} tone="bad" />` : number(count(name, status))}</a>` : html`<span class="dim">0</span>`}</td>`)}
      </tr>`)}
    <//>
  <//>`;
}
