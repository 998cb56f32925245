// Trio's tasks: who started whom, and where in the code each waits.
import { useAnswer } from "./api.js";
import { number, plural } from "./format.js";
import { html } from "./lib.js";
import { useLive } from "./live.js";
import { Age, Section, Trouble } from "./parts.js";
import { go, to } from "./route.js";

const EVERY_MS = 3000;

// Each task stands behind the one that started it, one deeper.
function nested(tasks) {
  const open = [{ depth: -1, started: [] }];
  for (const task of tasks) {
    const node = { ...task, started: [] };
    while (open.at(-1).depth >= task.depth) open.pop();
    open.at(-1).started.push(node);
    open.push(node);
  }
  return open[0].started;
}

function Task({ task }) {
  const line = html`<span class="mono">${task.name}</span>${task.waits_at.length > 0 && html` <span class="dim mono" title=${task.waits_at.join("\n")}>${task.waits_at[0]}</span>`}`;
  if (task.started.length === 0 && task.children_left_out === 0) return html`<li class="leaf">${line}</li>`;
  return html`<li><details open=${task.depth < 4}><summary>${line}</summary>
    <ul class="tree">${task.started.map((one, index) => html`<${Task} key=${index} task=${one} />`)}
      ${task.children_left_out > 0 && html`<li class="dim leaf">and ${plural(task.children_left_out, "other")}</li>`}</ul>
  </details></li>`;
}

export function Tasks({ route }) {
  const open = route.query.get("tasks") === "open";
  const { state } = useLive();
  const found = useAnswer(open ? "/v1/runtime/tasks" : null, { every: state === "paused" ? 0 : EVERY_MS });
  const turned = (event) => {
    if (event.currentTarget.open !== open) go(to("tree", [], { tasks: open ? "" : "open" }), { replace: true });
  };
  return html`<${Section} title="Tasks of the process" aside=${open && html`<${Age} at=${found.at} />`}>
    <details open=${open} onToggle=${turned}><summary>Each task of trio, and where it waits</summary>
      ${open && html`<${Trouble} error=${found.error} again=${found.again} />
        ${!found.data && !found.error && html`<p class="dim" role="status">Looking …</p>`}
        ${found.data && html`<p class="dim">${number(found.data.total)} tasks run. Beside each stands the innermost place in the code where it waits.</p>
          <ul class="tree">${nested(found.data.tasks).map((task, index) => html`<${Task} key=${index} task=${task} />`)}</ul>`}`}
    </details>
  <//>`;
}
