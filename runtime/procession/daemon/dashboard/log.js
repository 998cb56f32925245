// The log, as it comes: of the whole service on a page of its own, of one flow on that flow's page.
import { path } from "./api.js";
import { exact, number, plural } from "./format.js";
import { html, useEffect, useState } from "./lib.js";
import { triedAgain, useLive } from "./live.js";
import { Badge, Empty, Section, Table, Time, Typed } from "./parts.js";
import { flowNamed, go, to } from "./route.js";
import { useRank } from "./session.js";

export const LEVELS = ["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"];
const SHOWN_MAX = 500;
const TOGETHER_MS = 100;
const TONES = { DEBUG: "dim", INFO: "info", WARNING: "warn", ERROR: "bad", CRITICAL: "bad" };

// The newest records first. Many may come at once: they are shown together.
function useLog(address) {
  const [found, setFound] = useState({ records: [], missed: 0, state: "waiting" });
  const [round, setRound] = useState(0);
  useEffect(() => {
    if (address === null) return undefined;
    let coming = [];
    let timer = null;
    let first = true;
    const show = () => {
      const [fresh, anew] = [coming.reverse(), first];
      [coming, timer, first] = [[], null, false];
      setFound((was) => ({ ...was, records: [...fresh, ...(anew ? [] : was.records)].slice(0, SHOWN_MAX) }));
    };
    const events = new EventSource(address);
    events.onopen = () => {
      timer ??= setTimeout(show, TOGETHER_MS);
      setFound((was) => ({ ...was, state: "live" }));
    };
    events.onmessage = (message) => {
      coming.push(JSON.parse(message.data));
      timer ??= setTimeout(show, TOGETHER_MS);
    };
    events.addEventListener("missed", (message) => setFound((was) => ({ ...was, missed: was.missed + JSON.parse(message.data).missed })));
    let retry = null;
    events.onerror = () => {
      setFound((was) => ({ ...was, state: "lost" }));
      retry = triedAgain(events, () => setRound((count) => count + 1));
    };
    return () => {
      clearTimeout(timer);
      clearTimeout(retry);
      events.close();
    };
  }, [address, round]);
  return found;
}

function Line({ record, alone }) {
  return html`<tr>
    <td title=${exact(record.at)}><${Time} at=${record.at} /></td>
    <td><${Badge} says=${record.level} tone=${TONES[record.level]} /></td>
    <td class="said-log"><span>${record.message}</span>
      ${!alone && record.flow && html`<br /><a class="mono" href=${flowNamed(record.flow)}>${record.flow}</a>`}
      ${record.trace_id && html`<br /><span class="dim">trace <span class="mono">${record.trace_id}</span></span>`}
      ${record.error && html`<details class="folded"><summary>traceback</summary><pre tabindex="0">${record.error}</pre></details>`}</td>
    <td class="mono dim">${record.logger}</td>
  </tr>`;
}

export function LogView({ flow = "", level = "DEBUG", text = "", alone = false, none }) {
  const { now, state } = useLive();
  const may = useRank("operator");
  const file = now?.about.kind === "file";
  const off = !may || file || !now || state === "paused";
  const { records, missed, state: at } = useLog(off ? null : path(["logs", "stream"], { level, flow }));
  if (file) return html`<${Empty} run="procession run">Nothing runs beside a file, so nothing is logged. A runtime has a log:<//>`;
  if (!may) return html`<${Empty}>Lines of the log may hold what readers are not shown: that needs a token with the role operator.<//>`;
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const shown = words.length === 0 ? records : records.filter((one) => words.every((word) => `${one.message} ${one.logger} ${one.flow || ""} ${one.error || ""}`.toLowerCase().includes(word)));
  const says = { live: "live", lost: "connection lost", waiting: "connecting" }[at];
  return html`<${Section} title=${alone ? "Log of this flow" : "Newest first"} aside=${html`<${Badge} says=${state === "paused" ? "paused" : says} tone=${at === "live" && state !== "paused" ? "good" : "dim"} />
      <span class="dim">${plural(shown.length, "record")}${missed > 0 ? `, ${number(missed)} missed` : ""}</span>`}>
    <${Table} label="Log" heads=${["when", "level", "message", "logger"]} empty=${html`<${Empty}>${none || "Nothing was logged that matches."}<//>`}>
      ${shown.map((record) => html`<${Line} key=${record.number} record=${record} alone=${alone} />`)}
    <//>
  <//>`;
}

export function LogPage({ route }) {
  const asked = Object.fromEntries(["level", "flow", "text"].map((name) => [name, route.query.get(name) || ""]));
  const change = (name) => (event) => go(to("log", [], { ...asked, [name]: event.currentTarget.value }), { replace: true });
  return html`<div class="stack">
    <form class="filter card" onSubmit=${(event) => event.preventDefault()}>
      <div><label for="log-level">Level, and above</label><select id="log-level" value=${asked.level || "DEBUG"} onChange=${change("level")}>
        ${LEVELS.map((level) => html`<option value=${level}>${level}</option>`)}</select></div>
      <div><label for="log-flow">Flow</label><${Typed} id="log-flow" class="mono" placeholder="order/421" maxlength="1000" value=${asked.flow} onChange=${change("flow")} /></div>
      <div><label for="log-text">Words in it</label><input id="log-text" value=${asked.text} onInput=${change("text")} /></div>
    </form>
    <${LogView} flow=${asked.flow} level=${asked.level || "DEBUG"} text=${asked.text} />
    <p class="dim">The newest records in memory since this process began to serve. What is logged at all is set by <code>[log] level</code>; how many are kept by <code>http.log_records_max</code>.</p>
  </div>`;
}
