// A flow as a file of JSON lines, whole or up to one of its steps.
import { ask, path, post } from "./api.js";
import { html, useState } from "./lib.js";
import { download } from "./parts.js";
import { flowAt } from "./route.js";
import { useRank } from "./session.js";

const named = (flow, at) => `${flow.process}-${flow.key}${at ? `-${at}` : ""}`.replace(/[^\w.-]+/g, "_");

// The flow as it was after a step, in a journal of its own: nothing that is tried there happens to the real one.
export function Sandbox({ flow, at }) {
  const [said, setSaid] = useState("");
  const [file, setFile] = useState("");
  const [opened, setOpened] = useState("");
  const may = useRank("operator");
  const save = async () => {
    const name = `${named(flow, at)}.db`;
    try {
      download(name, await ask(path(["flows", flow.process, flow.key, "sandbox"], { at }), { blob: true }), "application/vnd.sqlite3");
      setFile(name);
      setSaid("");
    } catch (error) {
      setFile("");
      setSaid(error.message);
    }
  };
  // Where the server can't open one that this browser reaches, its file is saved.
  const fork = async () => {
    try {
      const found = new URL((await post(path(["flows", flow.process, flow.key, "sandbox"]), { at })).address);
      found.hostname = location.hostname; // by the name at which who looks is known
      setOpened(`${found.origin}/${flowAt(flow.process, flow.key)}`);
      setSaid("");
    } catch (error) {
      if (error.status === 409) await save();
      else setSaid(error.message);
    }
  };
  const why = may ? undefined : "It holds what is secret: that needs the role operator";
  return html`<button type="button" disabled=${!may} title=${why || "A journal of its own, opened read-only at an address of its own"} onClick=${fork}>Fork here into a sandbox</button>
    <button type="button" disabled=${!may} title=${why || "With what is secret"} onClick=${save}>Save the sandbox</button>
    <span role="status">${opened && html`<a href=${opened} target="_blank" rel="noopener">Open the sandbox</a> `}${file && html`Open what was saved: <code>procession dashboard ${file}</code>`}</span><span class="said" role="alert">${said}</span>`;
}

export function Exporting({ flow, at, says = "Download as JSON lines" }) {
  const [said, setSaid] = useState("");
  const may = useRank("operator"); // what is secret is in it
  const save = async () => {
    try {
      const lines = await ask(path(["flows", flow.process, flow.key, "export"], { at }), { text: true });
      download(`${named(flow, at)}.jsonl`, lines, "application/x-ndjson");
      setSaid("");
    } catch (error) {
      setSaid(error.message);
    }
  };
  return html`<button type="button" disabled=${!may} title=${may ? "Whole, with what is secret" : "It holds what is secret: that needs the role operator"} onClick=${save}>${says}</button> <span class="said" role="status">${said}</span>`;
}
