// One flow as a sequence diagram, drawn as SVG: every text in it is a text node.
import { ask, path, useRenewed } from "./api.js";
import { exact, short } from "./format.js";
import { html, useEffect, useState } from "./lib.js";
import { Copy, Empty, Section, Trouble } from "./parts.js";

const LANE = 190;
const ROW = 38;
const TOP = 54;
const SIDE = 100;
const DASHED = new Set(["answer", "failed", "given_up", "refused", "fired", "retried"]);
const BAD = new Set(["failed", "given_up", "refused", "unhandled"]);

function lines(message, x1, x2, y) {
  const kind = `message ${message.kind} ${BAD.has(message.kind) ? "bad" : ""} ${message.compensates ? "compensates" : ""}`;
  const dash = DASHED.has(message.kind) ? "5 4" : undefined;
  if (x1 === x2) {
    return html`<path class=${kind} stroke-dasharray=${dash} d=${`M ${x1} ${y - 6} h 26 v 12 h -22`} marker-end="url(#head)" />`;
  }
  const tip = x2 + (x2 > x1 ? -3 : 3);
  return html`<line class=${kind} stroke-dasharray=${dash} x1=${x1} y1=${y} x2=${tip} y2=${y} marker-end="url(#head)" />`;
}

function Message({ message, index }) {
  const x1 = SIDE + message.source * LANE;
  const x2 = SIDE + message.target * LANE;
  const y = TOP + (index + 1) * ROW;
  const self = x1 === x2;
  const label = `${message.kind === "command" ? "" : message.kind === "event" || message.kind === "answer" ? "" : `${message.kind}: `}${message.label}`;
  return html`<g>
    <title>${`${exact(message.at)}: ${message.kind} ${message.label}${message.note ? `, ${message.note}` : ""}${message.compensates ? ", compensates" : ""}`}</title>
    ${lines(message, x1, x2, y)}
    <text class="label" x=${self ? x1 + 32 : (x1 + x2) / 2} y=${self ? y + 4 : y - 6} text-anchor=${self ? "start" : "middle"}>${short(label, self ? 30 : Math.max(24, (Math.abs(x2 - x1) / LANE) * 25))}${message.open ? " …" : ""}</text>
  </g>`;
}

function Drawing({ found }) {
  const width = SIDE * 2 + Math.max(0, found.lanes.length - 1) * LANE + 80;
  const height = TOP + (found.messages.length + 1) * ROW;
  const told = `Sequence of ${found.flow}: ${found.messages.length} messages between ${found.lanes.map((lane) => lane.name).join(", ")}. The table below holds the same.`;
  return html`<div class="scroll" tabindex="0" role="group" aria-label="Sequence diagram">
    <svg class="sequence" width=${width} height=${height} viewBox=${`0 0 ${width} ${height}`} role="img" aria-label=${told}>
      <defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto-start-reverse"><path d="M0 0 L8 4 L0 8 z" class="head" /></marker></defs>
      ${found.lanes.map((lane, index) => html`<g>
        <line class="lane" x1=${SIDE + index * LANE} x2=${SIDE + index * LANE} y1=${TOP - 8} y2=${height - 8} />
        <rect class=${`lane-head ${lane.kind}`} x=${SIDE + index * LANE - 85} y="8" width="170" height="34" rx="6" />
        <text class="lane-name" x=${SIDE + index * LANE} y="30" text-anchor="middle">${short(lane.name, 24)}</text>
        <title>${`${lane.kind} ${lane.name}`}</title>
      </g>`)}
      ${found.messages.map((message, index) => html`<${Message} key=${index} message=${message} index=${index} />`)}
    </svg>
  </div>`;
}

function InWords({ found }) {
  return html`<details class="folded"><summary>The same as a table</summary>
    <div class="scroll" tabindex="0" role="group" aria-label="Messages"><table>
      <thead><tr><th scope="col">at</th><th scope="col">from</th><th scope="col">to</th><th scope="col">kind</th><th scope="col">what</th><th scope="col">note</th></tr></thead>
      <tbody>${found.messages.map((message, index) => html`<tr key=${index}>
        <td>${exact(message.at)}</td><td>${found.lanes[message.source].name}</td><td>${found.lanes[message.target].name}</td>
        <td>${message.kind}${message.compensates ? ", compensates" : ""}</td><td class="mono">${message.label}</td><td>${message.note}</td>
      </tr>`)}</tbody>
    </table></div>
  </details>`;
}

export function SequenceView({ process, name, version, every }) {
  const [pages, setPages] = useState([0]);
  const parts = ["flows", process, name, "sequence"];
  const found = useRenewed(path(parts, { after: pages.at(-1) || "" }), version, every);
  const [mermaid, setMermaid] = useState({ text: "", error: null });
  // A clipboard is given at once, by the click itself: the text is fetched before.
  useEffect(() => {
    ask(path(parts, { format: "mermaid" }), { text: true }).then((text) => setMermaid({ text, error: null }), (error) => setMermaid({ text: "", error }));
  }, [process, name, version]);
  const copied = () => {
    if (mermaid.error) throw mermaid.error;
    return mermaid.text;
  };
  if (found.error && !found.data) return html`<${Trouble} error=${found.error} again=${found.again} />`;
  if (!found.data) return html`<p class="dim" role="status">Drawing …</p>`;
  const { data } = found;
  return html`<${Section} title="Sequence" aside=${html`<${Copy} says="Copy as Mermaid" text=${copied} />`}>
    ${data.messages.length === 0 ? html`<${Empty}>Nothing was sent yet.<//>` : html`<${Drawing} found=${data} /><${InWords} found=${data} />`}
    <p class="pages">
      ${pages.length > 1 && html`<button type="button" onClick=${() => setPages(pages.slice(0, -1))}>Page before</button>`}
      ${data.next !== null && html`<button type="button" onClick=${() => setPages([...pages, data.next])}>Next page</button>`}
    </p>
  <//>`;
}
