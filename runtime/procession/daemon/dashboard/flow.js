// One flow: where it stands, why, what happened, and what can be done about it.
import { ActButton, Told } from "./acts.js";
import { path, useAnswer } from "./api.js";
import { Exporting } from "./exporting.js";
import { plural } from "./format.js";
import { html, useState } from "./lib.js";
import { useLive } from "./live.js";
import { LogView } from "./log.js";
import { Age, Badge, Folded, Time, Trouble } from "./parts.js";
import { flowAt, to } from "./route.js";
import { SequenceView } from "./sequence.js";
import { StatesView } from "./states.js";
import { TimelineView } from "./timeline.js";
import { WhatIfView } from "./whatif.js";
import { WhyNotView } from "./why.js";

const TABS = [
  ["story", "What happened"],
  ["sequence", "Sequence"],
  ["states", "States"],
  ["whatif", "What if"],
  ["raw", "Raw"],
  ["log", "Log"],
];
const EVERY_MS = 3000;

export const flowPath = (process, key, ...rest) => ["flows", process, key, ...rest];

function Actions({ flow, again, tell }) {
  const at = (act) => path(flowPath(flow.process, flow.key, act));
  const done = (says) => (found) => {
    tell(`${says}: ${found.flow} is ${found.status}${found.outcome ? `, ${found.outcome}` : ""}.`);
    again();
  };
  const aside = flow.status === "quarantined";
  const over = flow.status === "ended" || flow.status === "cancelled";
  const why = aside ? undefined : "It is not in quarantine";
  return html`<div class="buttons" role="group" aria-label="What can be done">
    <${ActButton} disabled=${!aside} why=${why} act=${{ says: "Retry", title: `Retry ${flow.flow}`, path: at("retry"), about: "Run the event again at which it failed.", done: done("Retried") }} />
    <${ActButton} disabled=${!aside} why=${why} act=${{ says: "Skip", title: `Skip an event of ${flow.flow}`, path: at("skip"), about: "Leave the event out at which it failed: a step without effects takes its place.", danger: true, done: done("Skipped") }} />
    <${ActButton} disabled=${!aside} why=${why} act=${{ says: "Release", title: `Release ${flow.flow}`, path: at("release"), about: "Run all events that wait, in order.", done: done("Released") }} />
    <${ActButton} disabled=${over} why="It has ended" act=${{ says: "Cancel the flow", title: `Cancel ${flow.flow}`, path: at("cancel"), about: "Have it compensate and end; where it does not know how, it ends as cancelled.", danger: true, done: done("Cancelled") }} />
  </div>`;
}

function Raw({ history }) {
  return html`<div class="stack">
    <p><${Exporting} flow=${history} /></p>
    <h3>Events</h3>
    ${history.timeline.map((entry) => html`<${Folded} key=${entry.event_id} says=${html`<span class="mono">${entry.position} ${entry.type} v${entry.version}</span>`} data=${entry} />`)}
    <h3>Commands</h3>
    ${history.commands.length === 0 && html`<p class="dim">It asked for no command.</p>`}
    ${history.commands.map((command) => html`<${Folded} key=${command.id} says=${html`<span class="mono">${command.type}</span> <${Badge} says=${command.state} />`} data=${command} />`)}
    <h3>Deadlines that are armed</h3>
    ${history.timers.length === 0 && html`<p class="dim">None.</p>`}
    ${history.timers.map((timer) => html`<${Folded} key=${timer.name} says=${html`<span class="mono">${timer.name}</span> <${Time} at=${timer.due_at} />`} data=${timer} />`)}
  </div>`;
}

function Standing({ flow }) {
  return html`<dl class="facts">
    <div><dt>process</dt><dd><a href=${to("processes", [flow.process])}>${flow.process}</a></dd></div>
    <div><dt>status</dt><dd><${Badge} says=${flow.status} />${flow.outcome && flow.outcome !== flow.status ? html` ${flow.outcome}` : ""}</dd></div>
    <div><dt>began</dt><dd><${Time} at=${flow.started_at} /></dd></div>
    <div><dt>moved</dt><dd><${Time} at=${flow.updated_at} /></dd></div>
    <div><dt>steps</dt><dd>${plural(flow.version, "step")}</dd></div>
  </dl>`;
}

export function FlowPage({ route }) {
  const [process, key] = route.parts;
  const tab = route.query.get("tab") || "story";
  const { now, state } = useLive();
  const file = now?.about.kind === "file";
  const every = state === "paused" || file ? 0 : EVERY_MS;
  const history = useAnswer(path(flowPath(process, key, "history")), { every });
  const [told, setTold] = useState("");
  const flow = history.data;
  if (!flow) return html`<div class="stack"><h2 class="mono">${process}/${key}</h2><${Trouble} error=${history.error} again=${history.again} />${!history.error && html`<p class="dim" role="status">Reading …</p>`}</div>`;
  return html`<div class="stack">
    <div class="flow-head">
      <h2 class="mono">${process}/${key}</h2>
      <${Age} at=${history.at} />
      <${Actions} flow=${flow} again=${history.again} tell=${setTold} />
    </div>
    <${Told} says=${told} />
    <${Trouble} error=${history.error} />
    <${Standing} flow=${flow} />
    ${flow.status === "quarantined" && html`<div class="trouble" role="note"><strong>In quarantine:</strong> ${flow.reason}</div>`}
    <nav class="tabs" aria-label="Views of this flow">
      ${TABS.map(([name, says]) => html`<a href=${flowAt(process, key, { tab: name === "story" ? "" : name })} aria-current=${tab === name ? "page" : undefined}>${says}</a>`)}
    </nav>
    ${tab === "story" && html`<${WhyNotView} process=${process} name=${key} version=${`${flow.version}/${flow.status}/${flow.commands.length}`} every=${every} />
      <${TimelineView} history=${flow} again=${history.again} tell=${setTold} />`}
    ${tab === "sequence" && html`<${SequenceView} process=${process} name=${key} version=${flow.version} every=${every} />`}
    ${tab === "states" && html`<${StatesView} route=${route} flow=${flow} classes=${now?.about.no_classes || ""} />`}
    ${tab === "whatif" && html`<${WhatIfView} route=${route} history=${flow} classes=${now?.about.no_classes || ""} />`}
    ${tab === "raw" && html`<${Raw} history=${flow} />`}
    ${tab === "log" && html`<${LogView} flow=${`${process}/${key}`} alone none="Nothing was logged of this flow, as far as the log in memory goes back. Lines within a turn or a call name their flow where it is traced." />`}
  </div>`;
}
