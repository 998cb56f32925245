// Flows that were set aside: one, those of a filter, or all are repaired; counted first, and with a reason.
import { ActButton, Told } from "./acts.js";
import { path, post, useAnswer } from "./api.js";
import { number, plural } from "./format.js";
import { html, useEffect, useId, useRef, useState } from "./lib.js";
import { useLive } from "./live.js";
import { Age, Empty, FlowLink, Section, Table, Time, Trouble, Typed } from "./parts.js";
import { recall, keep } from "./remember.js";
import { go, to } from "./route.js";
import { useMay, useName } from "./session.js";

const LIMIT = 50;
const VERBS = [
  ["retry", "Retry", "Run the event again at which each failed."],
  ["skip", "Skip", "Leave out the event at which each failed."],
  ["release", "Release", "Run all events that wait, in order."],
];

// Who, why, a dry run that counts, and only then the act itself.
function ManyDialog({ verb, says, about, filter, close, done }) {
  const dialog = useRef(null);
  const name = useName();
  const [by, setBy] = useState(name || recall("by", ""));
  const [why, setWhy] = useState("");
  const [counted, setCounted] = useState(null);
  const [said, setSaid] = useState("");
  const [busy, setBusy] = useState(false);
  const ids = [useId(), useId(), useId()];
  useEffect(() => {
    dialog.current.showModal();
  }, []);
  const submit = async (event) => {
    event.preventDefault();
    setBusy(true);
    setSaid("");
    try {
      const dry = counted === null;
      const found = await post(path(["quarantine", verb]), { by: by.trim(), why: why.trim(), ...filter, ...(dry ? {} : { limit: counted.matched }), dry_run: dry });
      if (dry) {
        setCounted(found);
      } else {
        if (!name) keep("by", by.trim());
        dialog.current?.close();
        done(found);
      }
    } catch (error) {
      setSaid(error.message);
    }
    setBusy(false);
  };
  return html`<dialog ref=${dialog} onClose=${close} aria-labelledby=${ids[0]}>
    <form onSubmit=${submit}>
      <h2 id=${ids[0]}>${says} many flows</h2>
      <p>${about} ${Object.keys(filter).length ? html`Only ${Object.entries(filter).map(([field, value]) => html`<span class="chip">${field}: ${value}</span> `)}` : "All that are in quarantine."}</p>
      <label for=${ids[1]}>Who</label>
      <input id=${ids[1]} type="text" required readonly=${Boolean(name)} value=${by} onInput=${(event) => setBy(event.currentTarget.value)} autocomplete="username" />
      <label for=${ids[2]}>Reason, which stays in the journal</label>
      <textarea id=${ids[2]} required rows="2" value=${why} onInput=${(event) => setWhy(event.currentTarget.value)}></textarea>
      <div role="status">${counted && html`<p><strong>${plural(counted.matched, "flow")}${counted.more ? " (and more, after these)" : ""}</strong> would be acted on. Nothing was done yet.</p>
        <ul class="mono">${counted.flows.map((flow) => html`<li>${flow}</li>`)}</ul>`}</div>
      <p class="said" role="alert">${said}</p>
      <div class="buttons">
        <button type="button" onClick=${() => dialog.current.close()}>Do nothing</button>
        <button type="submit" class=${counted ? "danger" : "main"} disabled=${busy || counted?.matched === 0}>${counted ? `${says} ${plural(counted.matched, "flow")}` : "Count them first"}</button>
      </div>
    </form>
  </dialog>`;
}

function Many({ filter, tell }) {
  const may = useMay("operator", useLive().now);
  const [verb, setVerb] = useState(null);
  return html`<div class="buttons" role="group" aria-label="Repair all of these">
    <span>All of these:</span>
    ${VERBS.map((one) => html`<button type="button" disabled=${!may} title=${one[2]} onClick=${() => setVerb(one)}>${one[1]} all</button>`)}
    ${verb && html`<${ManyDialog} verb=${verb[0]} says=${verb[1]} about=${verb[2]} filter=${filter} close=${() => setVerb(null)} done=${tell} />`}
  </div>`;
}

function Row({ flow, again, tell }) {
  const act = (verb, says, about, danger) => ({
    says, title: `${says} ${flow.flow}`, about, danger, path: path(["flows", flow.process, flow.key, verb]),
    done: (done) => { tell(`${done.flow} is ${done.status}.`); again(); },
  });
  return html`<tr>
    <td><${FlowLink} process=${flow.process} name=${flow.key} /></td>
    <td>${flow.reason}</td>
    <td><${Time} at=${flow.updated_at} /></td>
    <td><div class="buttons">${VERBS.map(([verb, says, about]) => html`<${ActButton} act=${act(verb, says, about, verb === "skip")} />`)}</div></td>
  </tr>`;
}

export function QuarantinePage({ route }) {
  const [told, setTold] = useState("");
  const process = route.query.get("process") || "";
  const prefix = route.query.get("prefix") || "";
  const reason = route.query.get("reason") || "";
  const cursor = route.query.get("cursor") || "";
  const { now, state } = useLive();
  const found = useAnswer(path(["flows"], { status: "quarantined", process, key_prefix: prefix, reason, limit: LIMIT, cursor }), { every: state === "paused" ? 0 : 3000 });
  const ids = [useId(), useId(), useId()];
  const form = useRef(null);
  const submit = (event) => {
    event.preventDefault();
    const given = new FormData(form.current);
    go(to("quarantine", [], { process: given.get("process"), prefix: given.get("prefix"), reason: given.get("reason") }));
  };
  const flows = found.data?.flows || [];
  const filter = { ...(process && { process }), ...(prefix && { key_prefix: prefix }), ...(reason && { reason }) };
  const tell = (done) => {
    setTold(typeof done === "string" ? done : `${plural(done.acted, "flow")} done${done.refused_in_all ? `, ${number(done.refused_in_all)} left as they are: ${done.refused.map((one) => one.found).slice(0, 3).join("; ")}` : ""}.`);
    found.again();
  };
  const names = [...new Set([...(now?.processes || []), process].filter(Boolean))].sort();
  return html`<div class="stack">
    <${Told} says=${told} />
    <form class="filter" ref=${form} onSubmit=${submit} key=${`${process}/${prefix}/${reason}`}>
      <div><label for=${ids[0]}>Process</label><select id=${ids[0]} name="process"><option value="">all</option>${names.map((name) => html`<option selected=${name === process}>${name}</option>`)}</select></div>
      <div><label for=${ids[1]}>Key begins with</label><${Typed} id=${ids[1]} name="prefix" value=${prefix} /></div>
      <div><label for=${ids[2]}>Reason holds</label><${Typed} id=${ids[2]} name="reason" value=${reason} /></div>
      <button type="submit">Filter</button>
    </form>
    <${Trouble} error=${found.error} again=${found.again} />
    <${Section} title="In quarantine" aside=${html`<${Age} at=${found.at} />`}>
      ${flows.length > 0 && html`<${Many} filter=${filter} tell=${tell} />`}
      <${Table} label="Flows in quarantine" heads=${["flow", "why", "since", "what can be done"]}
        empty=${found.data ? html`<${Empty}>${cursor ? "No more of them on this page; go to the first one." : process || prefix || reason ? "No flow in quarantine matches." : "No flow is in quarantine. Well done."}<//>` : html`<p class="dim" role="status">Reading …</p>`}>
        ${flows.map((flow) => html`<${Row} key=${flow.flow} flow=${flow} again=${found.again} tell=${setTold} />`)}
      <//>
      <p class="pages">
        ${cursor && html`<a class="button" href=${to("quarantine", [], { process, prefix, reason })}>First page</a>`}
        ${found.data?.next && html`<a class="button" href=${to("quarantine", [], { process, prefix, reason, cursor: found.data.next })}>Next page</a>`}
      </p>
    <//>
  </div>`;
}
