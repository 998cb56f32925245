// What would have come of another history: change, insert or drop an event, and see which commands differ. Nothing is done.
import { path, post, readJson } from "./api.js";
import { plural } from "./format.js";
import { html, useId, useState } from "./lib.js";
import { Badge, Empty, Folded, Section, Trouble } from "./parts.js";
import { Changes, Unavailable } from "./states.js";

const name = (effect) => effect.command ?? effect.timer ?? effect.record ?? effect.cancel ?? effect.end ?? "effect";

function Effects({ says, effects, tone }) {
  if (effects.length === 0) return null;
  return html`<div><h3>${says}</h3><ul class="effects">${effects.map((effect) => html`<li><${Badge} says=${says} tone=${tone} /> <span class="mono">${name(effect)}</span><${Folded} says="data" data=${effect} /></li>`)}</ul></div>`;
}

function Answer({ found }) {
  if (found.same && !found.failure) return html`<p class="told" role="status"><${Badge} says="same" tone="good" /> No command, deadline, fact or outcome would differ.</p>`;
  return html`<div class="stack" role="status">
    ${found.failure && html`<div class="trouble">${found.failure}</div>`}
    <p>${plural(found.steps_same, "step")} the same, ${plural(found.steps.length, "step")} edited or different. Outcome: <strong>${found.outcome_before ?? "goes on"}</strong> → <strong>${found.outcome_after ?? "goes on"}</strong></p>
    <div class="columns">
      <${Effects} says="would be sent besides" effects=${found.commands_new} tone="warn" />
      <${Effects} says="would not be sent" effects=${found.commands_gone} tone="bad" />
      <${Effects} says="deadlines besides" effects=${found.timers_new} tone="info" />
      <${Effects} says="deadlines gone" effects=${found.timers_gone} tone="info" />
    </div>
    <h3>Steps</h3>
    <ol class="causes">${found.steps.map((step) => html`<li>step ${step.at}: <span class="mono">${step.type}</span> ${step.edit && html`<${Badge} says=${step.edit} tone="info" />`} ${step.differs && html`<${Badge} says="differs" tone="warn" />`} ${step.orphan && html`<${Badge} says="answers what would not have been asked" tone="bad" />`}
      <span class="dim">${step.before || "–"} → ${step.after || "–"}</span>
      ${step.differs && html`<${Folded} says="what the turn asked for" data=${{ before: step.commands_before, after: step.commands_after }} />`}</li>`)}</ol>
    <h3>The last state</h3><${Changes} changes=${found.state} />
  </div>`;
}

function Editor({ history, at, kind, add }) {
  const entries = history.timeline.filter((entry) => entry.step && entry.fate === "handled");
  const entry = entries.find((one) => one.step.version === at);
  const [type, setType] = useState(entry?.type || "");
  const [data, setData] = useState(JSON.stringify(entry?.data ?? {}, null, 2));
  const [said, setSaid] = useState("");
  const typeId = useId();
  const dataId = useId();
  const submit = (event) => {
    event.preventDefault();
    try {
      const edit = kind === "drop" ? { kind, at } : { kind, at, type: type.trim(), data: readJson(data) };
      setSaid("");
      add(edit);
    } catch (error) {
      setSaid(`This is no JSON: ${error.message}`);
    }
  };
  return html`<form class="edit" onSubmit=${submit}>
    ${kind !== "drop" && html`<label for=${typeId}>Event type</label><input id=${typeId} type="text" class="mono" required value=${type} onInput=${(event) => setType(event.currentTarget.value)} />
      <label for=${dataId}>Data, as JSON</label><textarea id=${dataId} class="mono" rows="8" value=${data} onInput=${(event) => setData(event.currentTarget.value)}></textarea>`}
    <p class="said" role="alert">${said}</p>
    <button type="submit" class="main">Add this edit</button>
  </form>`;
}

export function WhatIfView({ history, classes }) {
  const versions = history.timeline.filter((entry) => entry.step && entry.fate === "handled").map((entry) => [entry.step.version, entry.type]);
  const [at, setAt] = useState(versions.at(-1)?.[0] ?? 1);
  const [kind, setKind] = useState("change");
  const [edits, setEdits] = useState([]);
  const [answer, setAnswer] = useState({ data: null, error: null, busy: false });
  const atId = useId();
  const kindId = useId();
  if (classes) return html`<${Unavailable} what="A what-if" why=${classes} />`;
  if (versions.length === 0) return html`<${Empty}>It has handled no event yet: there is nothing to change.<//>`;
  const run = async () => {
    setAnswer({ data: null, error: null, busy: true });
    try {
      setAnswer({ data: await post(path(["flows", history.process, history.key, "what-if"]), { edits }), error: null, busy: false });
    } catch (error) {
      setAnswer({ data: null, error, busy: false });
    }
  };
  return html`<${Section} title="What if" aside=${html`<span class="dim">nothing is sent, written or changed</span>`}>
    <div class="columns">
      <div class="edit">
        <label for=${kindId}>Edit</label>
        <select id=${kindId} value=${kind} onChange=${(event) => setKind(event.currentTarget.value)}>
          <option value="change">change an event</option><option value="insert">insert an event before it</option><option value="drop">leave an event out</option>
        </select>
        <label for=${atId}>At step</label>
        <select id=${atId} value=${at} onChange=${(event) => setAt(Number(event.currentTarget.value))}>
          ${versions.map(([version, type]) => html`<option value=${version}>${version}: ${type}</option>`)}
          ${kind === "insert" && html`<option value=${history.version + 1}>after the last</option>`}
        </select>
        <${Editor} key=${`${kind}/${at}`} history=${history} at=${at} kind=${kind} add=${(edit) => setEdits([...edits.filter((one) => one.at !== edit.at || one.kind !== edit.kind), edit])} />
      </div>
      <div>
        <h3>Edits</h3>
        ${edits.length === 0 ? html`<p class="dim">None yet.</p>` : html`<ol>${edits.map((edit, index) => html`<li>${edit.kind} at step ${edit.at} ${edit.type && html`<span class="mono">${edit.type}</span>`}
          <button type="button" class="quiet" onClick=${() => setEdits(edits.filter((_, other) => other !== index))}>Take it back</button></li>`)}</ol>`}
        <button type="button" class="main" disabled=${edits.length === 0 || answer.busy} onClick=${run}>See what would differ</button>
      </div>
    </div>
    <${Trouble} error=${answer.error} />
    ${answer.data && html`<${Answer} found=${answer.data} />`}
  <//>`;
}
