// The ten laws: what the check says of the flows that run, what the guard and the shadow found, which invariants hold.
import { useAnswer } from "./api.js";
import { number, plural } from "./format.js";
import { html } from "./lib.js";
import { useLive } from "./live.js";
import { Age, Badge, Empty, FlowLink, Section, Table, Trouble } from "./parts.js";
import { to } from "./route.js";

const WATCHED = [
  ["turns_handled", "turns", false],
  ["turns_impure", "turns in which the guard found work (laws 3 and 4)", true],
  ["turns_shadowed", "turns that ran again in a second process", false],
  ["turns_differing", "turns that came out differently there (law 3)", true],
  ["turns_unshadowed", "sampled turns that no second process ran", false],
  ["histories_judged", "histories judged by invariants", false],
  ["histories_not_judged", "histories that could not be judged", true],
  ["invariants_broken", "invariants found broken since the start", true],
];

function Watched({ counters }) {
  return html`<${Section} title="While running, since the start">
    <dl class="facts">${WATCHED.map(([name, says, bad]) => {
      const value = counters[`procession_${name}`] || 0;
      return html`<div><dt>${says}</dt><dd>${bad && value ? html`<${Badge} says=${number(value)} tone="bad" />` : number(value)}</dd></div>`;
    })}</dl>
  <//>`;
}

function Alerts({ counted }) {
  return html`<${Section} title="Alerts" aside=${plural(counted.alerts_total, "alert")}>
    <${Table} label="Alerts" heads=${["flow", { says: "position", right: true }]} empty=${html`<${Empty}>No invariant was found broken.<//>`}>
      ${counted.alerts.map((alert) => html`<tr key=${`${alert.position}/${alert.process}/${alert.key}`}><td><${FlowLink} process=${alert.process} name=${alert.key} /></td><td class="right">${number(alert.position)}</td></tr>`)}
    <//>
  <//>`;
}

export function LawsPage() {
  const { now } = useLive();
  const found = useAnswer("/v1/laws");
  if (!now) return html`<p class="dim" role="status">The first figures are on their way.</p>`;
  const laws = found.data;
  return html`<div class="stack">
    <${Section} title="What the check says" aside=${html`<${Age} at=${found.at} />`}>
      <${Trouble} error=${found.error} again=${found.again} />
      ${!laws && !found.error && html`<p class="dim" role="status">The code of the flows is being read …</p>`}
      ${laws?.unchecked && html`<${Empty} run="procession check">Nothing was checked: ${laws.unchecked}<//>`}
      ${laws && !laws.unchecked && html`<${Table} label="Findings" heads=${["law", "where", "what", "found", "cure"]}
          empty=${html`<${Empty}>No law is broken by ${plural(laws.processes, "process", "processes")} and what belongs to them.<//>`}>
        ${laws.findings.map((one) => html`<tr>
          <td><${Badge} says=${one.code} tone=${one.allowed ? "dim" : "bad"} /></td><td class="mono">${one.file}:${one.line}</td><td class="mono">${one.subject}</td>
          <td>${one.found}${one.allowed && html`<br /><span class="dim">allowed: ${one.allowed}</span>`}</td><td>${one.cure}</td>
        </tr>`)}
      <//>`}
    <//>
    <${Section} title="Invariants">
      <${Table} label="Invariants" heads=${["process", "rule", "says"]} empty=${html`<${Empty}>No invariant is declared. <code>@invariant(Order)</code> makes one.<//>`}>
        ${(laws?.invariants || []).map((one) => html`<tr><td><a href=${to("processes", [one.process])}>${one.process}</a></td><td class="mono">${one.name}</td><td>${one.says}</td></tr>`)}
      <//>
    <//>
    <${Alerts} counted=${now.counted} />
    ${now.about.kind !== "file" && html`<${Watched} counters=${now.counters} />`}
  </div>`;
}
