// Doing something: a dialog that asks who and why, since both stay in the journal.
import { post } from "./api.js";
import { html, useEffect, useId, useRef, useState } from "./lib.js";
import { recall, keep } from "./remember.js";
import { useMay, useName } from "./session.js";
import { useLive } from "./live.js";

// A button that asks for a reason, acts, and tells. `act` is {says, title, path, body, about, danger, reason, done}.
export function ActButton({ act, disabled, why }) {
  const may = useMay("operator", useLive().now);
  const [open, setOpen] = useState(false);
  const refused = !may ? "You may not: it needs a runtime, and the role operator." : why;
  return html`<button type="button" class=${act.danger ? "danger" : ""} disabled=${disabled || !may} title=${disabled || !may ? refused : act.about}
      onClick=${() => setOpen(true)}>${act.says}</button>
    ${open && html`<${ActDialog} act=${act} close=${() => setOpen(false)} />`}`;
}

export function ActDialog({ act, close, children }) {
  const dialog = useRef(null);
  const name = useName();
  const asks = act.reason !== false;
  const [by, setBy] = useState(name || recall("by", ""));
  const [reason, setReason] = useState("");
  const [said, setSaid] = useState("");
  const [busy, setBusy] = useState(false);
  const title = useId();
  const byId = useId();
  const reasonId = useId();
  useEffect(() => {
    dialog.current.showModal();
  }, []);
  const submit = async (event) => {
    event.preventDefault();
    setBusy(true);
    setSaid("");
    try {
      const done = await post(act.path, { by: by.trim(), ...(asks ? { why: reason.trim() } : {}), ...(act.body || {}) });
      if (!name) keep("by", by.trim());
      dialog.current?.close();
      act.done?.(done);
    } catch (error) {
      setSaid(error.message);
      setBusy(false);
    }
  };
  return html`<dialog ref=${dialog} onClose=${close} aria-labelledby=${title}>
    <form onSubmit=${submit}>
      <h2 id=${title}>${act.title || act.says}</h2>
      ${act.about && html`<p>${act.about}</p>`}
      ${children}
      <label for=${byId}>Who</label>
      <input id=${byId} type="text" required value=${by} readonly=${Boolean(name)} onInput=${(event) => setBy(event.currentTarget.value)} autocomplete="username" />
      ${asks && html`<label for=${reasonId}>Reason, which stays in the journal</label>
        <textarea id=${reasonId} required rows="2" value=${reason} onInput=${(event) => setReason(event.currentTarget.value)}></textarea>`}
      <p class="said" role="alert">${said}</p>
      <div class="buttons">
        <button type="button" onClick=${() => dialog.current.close()}>Do nothing</button>
        <button type="submit" class=${act.danger ? "danger" : "main"} disabled=${busy}>${act.says}</button>
      </div>
    </form>
  </dialog>`;
}

// A line that tells what was done, also to those who hear the page.
export function Told({ says }) {
  return html`<p class="told" role="status">${says}</p>`;
}
