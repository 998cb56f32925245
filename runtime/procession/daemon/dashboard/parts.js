// Small pieces that every page is made of.
import { ago, exact } from "./format.js";
import { html, useEffect, useId, useLayoutEffect, useRef, useState } from "./lib.js";
import { flowAt } from "./route.js";

const ticking = new Set();
setInterval(() => document.hidden || ticking.forEach((tick) => tick()), 1000);

function useTick() {
  const [, tick] = useState(0);
  useEffect(() => {
    const beat = () => tick((count) => count + 1);
    ticking.add(beat);
    return () => ticking.delete(beat);
  }, []);
}

// A time as people say it; the exact one stands in its title.
export function Time({ at }) {
  useTick();
  if (!at) return html`<span class="dim">–</span>`;
  return html`<time datetime=${at} title=${exact(at)}>${ago(at, Date.now())}</time>`;
}

// How old what is shown is.
export function Age({ at, every }) {
  useTick();
  if (!at) return null;
  const iso = new Date(at).toISOString();
  return html`<span class="age" title=${exact(iso)}>as of ${ago(iso, Date.now())}${every ? `, renewed every ${every / 1000} s` : ""}</span>`;
}

const TONES = {
  active: "info", ended: "good", quarantined: "bad", cancelled: "dim", unstarted: "dim",
  running: "good", closed: "good", open: "bad", half_open: "warn", paused: "warn", held: "bad",
  backing_off: "warn", failed: "bad", starting: "info", live: "good", stopped: "bad", lost: "bad",
  "catching up": "info", "backing off": "warn", outdated: "warn",
  handled: "good", skipped: "warn", act: "info", pending: "info", waiting: "warn",
  late: "warn", missing: "warn", alert: "bad", answered: "good", given_up: "bad", refused: "warn",
  error: "bad", warning: "warn", note: "info",
};

export function Badge({ says, tone }) {
  return html`<span class=${`badge ${tone || TONES[says] || "dim"}`}>${says}</span>`;
}

export function FlowLink({ process, name }) {
  return html`<a class="mono" href=${flowAt(process, name)}>${process}/${name}</a>`;
}

// Nothing to show, and what to do about it.
export function Empty({ children, run }) {
  return html`<div class="empty"><p>${children}</p>${run && html`<p><code>${run}</code></p>`}</div>`;
}

export function Trouble({ error, again }) {
  if (!error) return null;
  const fields = error.found?.fields || [];
  return html`<div class="trouble" role="alert">
    <p>${error.message}</p>
    ${fields.length > 0 && html`<ul>${fields.map((field) => html`<li><code>${field.path}</code> ${field.found}</li>`)}</ul>`}
    ${again && html`<button type="button" onClick=${again}>Ask again</button>`}
  </div>`;
}

// JSON, folded: keys and values are text, whatever they hold.
export function Folded({ says, data, open = false }) {
  const [shown, setShown] = useState(open);
  return html`<details class="folded" open=${shown} onToggle=${(event) => setShown(event.currentTarget.open)}>
    <summary>${says}</summary>
    ${shown && html`<pre tabindex="0">${typeof data === "string" ? data : JSON.stringify(data, null, 2)}</pre>`}
  </details>`;
}

export function Section({ title, aside, children, id }) {
  const made = useId();
  const name = id || made;
  return html`<section class="card" aria-labelledby=${name}>
    <div class="card-head"><h2 id=${name}>${title}</h2>${aside && html`<div class="aside">${aside}</div>`}</div>
    ${children}
  </section>`;
}

// A table that scrolls by itself where it is too wide, also by keyboard.
export function Table({ label, heads, children, empty }) {
  const rows = [children].flat(2).filter(Boolean);
  if (rows.length === 0 && empty) return empty;
  return html`<div class="scroll" tabindex="0" role="group" aria-label=${label}>
    <table>
      <thead><tr>${heads.map((head) => html`<th scope="col" class=${head.right ? "right" : ""}>${head.says ?? head}</th>`)}</tr></thead>
      <tbody>${rows}</tbody>
    </table>
  </div>`;
}

// A field whose text belongs to who types it, until it is sent: as `value` of an input, each refresh would take it back.
export function Typed({ value, ...given }) {
  const field = useRef(null);
  useLayoutEffect(() => { field.current.value = value; }, [value]);
  return html`<input ref=${field} type="text" defaultValue=${value} ...${given} />`;
}

export function Copy({ text, says }) {
  const [done, setDone] = useState("");
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text());
      setDone("copied");
    } catch (error) {
      setDone(`not copied: ${error.message}`);
    }
  };
  return html`<button type="button" onClick=${copy}>${says}</button><span class="dim" role="status">${done}</span>`;
}

export function download(name, text, media) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: media }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}
