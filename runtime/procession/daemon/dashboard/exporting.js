// A flow as a file of JSON lines, whole or up to one of its steps.
import { ask, path } from "./api.js";
import { html, useState } from "./lib.js";
import { download } from "./parts.js";
import { useRank } from "./session.js";

export function Exporting({ flow, at, says = "Download as JSON lines" }) {
  const [said, setSaid] = useState("");
  const may = useRank("operator"); // what is secret is in it
  const save = async () => {
    try {
      const lines = await ask(path(["flows", flow.process, flow.key, "export"], { at }), { text: true });
      const name = `${flow.process}-${flow.key}${at ? `-${at}` : ""}`.replace(/[^\w.-]+/g, "_");
      download(`${name}.jsonl`, lines, "application/x-ndjson");
      setSaid("");
    } catch (error) {
      setSaid(error.message);
    }
  };
  return html`<button type="button" disabled=${!may} title=${may ? "Whole, with what is secret" : "It holds what is secret: that needs the role operator"} onClick=${save}>${says}</button> <span class="said" role="status">${said}</span>`;
}
