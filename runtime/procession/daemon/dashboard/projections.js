// Projections: how far they are behind, and making one anew.
import { ActButton, Told } from "./acts.js";
import { path } from "./api.js";
import { duration, number } from "./format.js";
import { html, useState } from "./lib.js";
import { useLive } from "./live.js";
import { Badge, Empty, Section, Table } from "./parts.js";

function Progress({ one, until }) {
  if (one.rebuild_position === null) return null;
  return html`<progress max=${until} value=${one.rebuild_position} aria-label=${`Rebuild of ${one.name}`}></progress> <span class="dim">${number(one.rebuild_position)} of ${number(until)}</span>`;
}

export function ProjectionsPage() {
  const { now } = useLive();
  const [told, setTold] = useState("");
  if (!now) return html`<p class="dim" role="status">The first figures are on their way.</p>`;
  const empty = now.about.kind === "file"
    ? html`<${Empty} run="procession projections ls">No projection is fed from a file. What their stores hold tells the command line:<//>`
    : html`<${Empty}>This runtime has no projectors. A wiring names them: <code>Wiring(projectors=(OrderOverview,))</code>.<//>`;
  return html`<div class="stack">
    <${Told} says=${told} />
    <${Section} title="Projections">
      <${Table} label="Projections" empty=${empty} heads=${["projection", "state", { says: "position", right: true }, { says: "behind", right: true }, { says: "events", right: true }, { says: "restarts", right: true }, "last failure", "rebuild"]}>
        ${now.projections.map((one) => html`<tr key=${one.name}>
          <td><strong>${one.name}</strong> <span class="dim">v${one.version}</span></td>
          <td><${Badge} says=${one.state} /></td>
          <td class="right">${number(one.position)}</td>
          <td class="right" title=${`${number(one.lag_positions)} positions`}>${one.lag_positions ? `${number(one.lag_positions)}, ${duration(one.lag_s)}` : "–"}</td>
          <td class="right">${number(one.events)}</td>
          <td class="right">${number(one.restarts)}</td>
          <td>${one.found}</td>
          <td>${one.rebuild_position === null
            ? html`<${ActButton} act=${{ says: "Rebuild", title: `Rebuild ${one.name}`, about: "Make it anew from the first event, beside the one that answers; it takes its place when it is done.", path: path(["projections", one.name, "rebuild"]), done: () => setTold(`${one.name} is being rebuilt.`) }} />`
            : html`<${Progress} one=${one} until=${now.position} />`}</td>
        </tr>`)}
      <//>
    <//>
  </div>`;
}
