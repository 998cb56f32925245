// The state of a flow at any of its events, with a slider, and what each event changed.
import { path, useAnswer } from "./api.js";
import { html } from "./lib.js";
import { Badge, Empty, Folded, Section, Time, Trouble } from "./parts.js";
import { flowAt, go } from "./route.js";
import { Exporting, Sandbox } from "./exporting.js";

export function Unavailable({ what, why }) {
  return html`<div class="unavailable" aria-disabled="true"><${Empty}>${what} can't be shown here: ${why}<//></div>`;
}

const text = (value) => (value === undefined ? "" : JSON.stringify(value));

export function Changes({ changes, more = 0 }) {
  if (changes.length === 0) return html`<p class="dim">It changes nothing.</p>`;
  return html`<div class="scroll" tabindex="0" role="group" aria-label="Changes"><table class="changes">
    <thead><tr><th scope="col">where</th><th scope="col">before</th><th scope="col">after</th></tr></thead>
    <tbody>${changes.map((change) => html`<tr key=${change.path} class=${change.kind}>
      <td class="mono">${change.path}</td>
      <td class="mono was">${change.kind === "added" ? "" : text(change.before)}</td>
      <td class="mono becomes">${change.kind === "removed" ? "" : text(change.after)}</td>
    </tr>`)}</tbody>
  </table></div>${more > 0 && html`<p class="dim">and ${more} more</p>`}`;
}

export function StatesView({ route, flow, classes }) {
  // Of a flow that was set aside, the event at which it failed says most; it is behind the last step.
  const asked = Number(route.query.get("at")) || flow.version + (flow.status === "quarantined" ? 1 : 0);
  const address = classes || flow.version === 0 ? null : `${path(["flows", flow.process, flow.key, "states"], { at: asked })}#${flow.status}`;
  const found = useAnswer(address);
  if (classes) return html`<${Unavailable} what="States" why=${classes} />`;
  if (flow.version === 0) return html`<${Empty}>It has not handled an event yet: it has no state.<//>`;
  const state = found.data;
  const most = state ? state.last + (state.waiting ? 1 : 0) : flow.version;
  const move = (at) => go(flowAt(flow.process, flow.key, { tab: "states", at: Math.min(Math.max(1, at), most) }), { replace: true });
  return html`<${Section} title=${`State at step ${asked} of ${most}`} aside=${html`<${Exporting} flow=${flow} at=${asked} says="Download the flow up to here" />
      ${asked <= flow.version && html`<${Sandbox} key=${asked} flow=${flow} at=${asked} />`}`}>
    <div class="slider">
      <button type="button" onClick=${() => move(asked - 1)} disabled=${asked <= 1} aria-label="Step before">‹</button>
      <input type="range" min="1" max=${most} value=${asked} aria-label="Step" aria-valuetext=${`step ${asked} of ${most}`} onInput=${(event) => move(Number(event.currentTarget.value))} />
      <button type="button" onClick=${() => move(asked + 1)} disabled=${asked >= most} aria-label="Step after">›</button>
    </div>
    <${Trouble} error=${found.error} />
    ${!state && !found.error && html`<p class="dim" role="status">Folding …</p>`}
    ${state && html`
      <p><strong class="mono">${state.type}</strong> v${state.version} <${Badge} says=${state.fate} />${state.handler && html` by <span class="mono">${state.handler}</span>`}, position ${state.position}, <${Time} at=${state.recorded_at} /></p>
      ${state.failure && html`<div class="trouble" role="note">${state.failure}</div>`}
      <h3>What it changes</h3>
      <${Changes} changes=${state.changes} more=${state.changes_left_out} />
      <div class="columns">
        <div><h3>State after</h3><pre tabindex="0" aria-label="State after">${state.after === null ? "not known" : JSON.stringify(state.after, null, 2)}</pre></div>
        <div><h3>State before</h3><pre tabindex="0" aria-label="State before">${state.before === null ? "not known" : JSON.stringify(state.before, null, 2)}</pre></div>
      </div>
      <${Folded} says="data of the event" data=${state.data} />`}
  <//>`;
}
