// The supervision tree, live: who runs, who was restarted, and why.
import { plural } from "./format.js";
import { html } from "./lib.js";
import { useLive } from "./live.js";
import { Badge, Empty, Section } from "./parts.js";
import { flowNamed, to } from "./route.js";
import { Tasks } from "./running.js";

function Node({ node, now, under, depth }) {
  const name = under === "gateways" ? html`<a class="mono" href=${to("gateways", [node.name])}>${node.name}</a>` : now.processes.some((process) => node.name.startsWith(`${process}/`)) ? html`<a class="mono" href=${flowNamed(node.name)}>${node.name}</a>` : html`<span class="mono">${node.name}</span>`;
  const line = html`${name} <${Badge} says=${node.state} />${node.restarts > 0 && html` <${Badge} says=${plural(node.restarts, "restart")} tone="warn" />`}${node.detail && html` <span class="dim">${node.detail}</span>`}`;
  if (node.children.length === 0) return html`<li class="leaf">${line}</li>`;
  return html`<li><details open=${depth < 3}><summary>${line}</summary>
    <ul class="tree">${node.children.map((child) => html`<${Node} key=${child.name} node=${child} now=${now} under=${node.name} depth=${depth + 1} />`)}
      ${node.children_left_out > 0 && html`<li class="dim leaf">and ${plural(node.children_left_out, "other")}</li>`}</ul>
  </details></li>`;
}

export function TreePage({ route }) {
  const { now } = useLive();
  if (!now) return html`<p class="dim" role="status">The first figures are on their way.</p>`;
  if (now.about.kind === "file") return html`<${Empty} run="procession run">Nothing runs beside a file, so there is no tree. A runtime has one:<//>`;
  return html`<div class="stack">
    <${Section} title="Supervision tree" aside=${html`<span class="dim">a flow is there while it has work</span>`}>
      <ul class="tree">${html`<${Node} node=${now.tree} now=${now} under="" depth=${0} />`}</ul>
    <//>
    <${Tasks} route=${route} />
  </div>`;
}
