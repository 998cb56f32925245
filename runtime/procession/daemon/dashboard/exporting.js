// A flow as a file of JSON lines, whole or up to one of its steps.
import { ask, path } from "./api.js";
import { html, useState } from "./lib.js";
import { download } from "./parts.js";
import { useRank } from "./session.js";

const named = (flow, at) => `${flow.process}-${flow.key}${at ? `-${at}` : ""}`.replace(/[^\w.-]+/g, "_");

// The flow as it was after a step, in a journal of its own: nothing that is tried there happens to the real one.
export function Sandbox({ flow, at }) {
  const [said, setSaid] = useState("");
  const [file, setFile] = useState("");
  const may = useRank("operator");
  const fork = async () => {
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
  return html`<button type="button" disabled=${!may} title=${may ? "A journal of its own, with what is secret" : "It holds what is secret: that needs the role operator"} onClick=${fork}>Fork here into a sandbox</button>
    <span role="status">${file && html`Open it: <code>procession dashboard ${file}</code>`}</span><span class="said" role="alert">${said}</span>`;
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
