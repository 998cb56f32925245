// Flows: a search with completion, kept in the address, page by page.
import { path, useAnswer } from "./api.js";
import { number } from "./format.js";
import { html, useState } from "./lib.js";
import { Age, Badge, Empty, FlowLink, Section, Table, Time, Trouble } from "./parts.js";
import { QueryBox } from "./querybox.js";
import { remembered } from "./remember.js";
import { go, to } from "./route.js";

const LIMIT = 50;
const EXAMPLES = ["status:quarantined", "status:active age>1h", "outcome:completed", "status:waiting updated>10m"];

function Row({ flow }) {
  return html`<tr>
    <td><${FlowLink} process=${flow.process} name=${flow.key} /></td>
    <td><${Badge} says=${flow.status} />${flow.outcome && flow.outcome !== flow.status ? html` ${flow.outcome}` : ""}</td>
    <td class="clip">${flow.reason}</td>
    <td class="right">${number(flow.version)}</td>
    <td><${Time} at=${flow.started_at} /></td>
    <td><${Time} at=${flow.updated_at} /></td>
  </tr>`;
}

function Saved({ query }) {
  const [saved, setSaved] = remembered("searches", []);
  const there = saved.includes(query);
  return html`<p class="saved">
    ${[...EXAMPLES, ...saved].map((one) => html`<a class="chip mono" href=${to("flows", [], { q: one })}>${one}</a> `)}
    ${query && html`<button type="button" class="quiet" onClick=${() => setSaved(there ? saved.filter((one) => one !== query) : [...saved, query].slice(-12))}>
      ${there ? "Forget this search" : "Keep this search"}</button>`}
  </p>`;
}

export function FlowsPage({ route }) {
  const query = route.query.get("q") || "";
  const cursor = route.query.get("cursor") || "";
  const order = route.query.get("order") || "newest";
  const [walked, setTrail] = useState([]);
  // Links and the browser's own way back leave it behind: what counts is how one came to this page.
  const trail = !cursor ? [] : walked.includes(cursor) ? walked.slice(0, walked.indexOf(cursor)) : walked;
  const found = useAnswer(path(["search"], { q: query, order, limit: LIMIT, cursor }));
  const search = (text) => {
    setTrail([]);
    go(to("flows", [], { q: text, order: order === "newest" ? "" : order }));
  };
  const next = () => {
    setTrail([...trail, cursor]);
    go(to("flows", [], { q: query, order, cursor: found.data.next }));
  };
  const back = () => {
    setTrail(trail.slice(0, -1));
    go(to("flows", [], { q: query, order, cursor: trail.at(-1) }));
  };
  const flows = found.data?.flows || [];
  const none = !found.data ? html`<p class="dim" role="status">Searching …</p>` : query || cursor
    ? html`<${Empty}>${found.data.complete ? "No flow matches." : "None of the flows looked at so far matches; go on with the next page."} <a href=${to("flows")}>Show all flows.</a><//>`
    : html`<${Empty} run="procession demo">No flow has started yet. Publish an event that starts one, or let generated traffic run:<//>`;
  return html`<div class="stack">
    <${QueryBox} value=${query} error=${found.error} search=${search} />
    <${Saved} query=${query} />
    ${found.error && found.error.status !== 400 && found.error.status !== 422 && html`<${Trouble} error=${found.error} again=${found.again} />`}
    <${Section} title=${found.data?.query ? "Flows that match" : "Flows"} aside=${html`<${Age} at=${found.at} />
      <button type="button" onClick=${found.again}>Look again</button>
      <a href=${to("flows", [], { q: query, order: order === "newest" ? "oldest" : "" })}>${order === "newest" ? "oldest first" : "newest first"}</a>`}>
      <${Table} label="Flows" empty=${none} heads=${["flow", "status", "reason", { says: "steps", right: true }, "began", "moved"]}>
        ${flows.map((flow) => html`<${Row} key=${flow.flow} flow=${flow} />`)}
      <//>
      <p class="pages">
        ${(trail.length > 0 || cursor) && html`<button type="button" onClick=${trail.length ? back : () => search(query)}>${trail.length ? "Page before" : "First page"}</button>`}
        ${found.data && found.data.next !== null && html`<button type="button" onClick=${next}>Next page</button>`}
        ${found.data && !found.data.complete && html`<span class="dim">The search goes on with the next page: so many flows were looked at.</span>`}
      </p>
    <//>
  </div>`;
}
