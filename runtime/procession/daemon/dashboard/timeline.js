// What happened to a flow, in order: events, what their turns asked for, attempts that failed, deadlines.
import { ActButton } from "./acts.js";
import { path, plain } from "./api.js";
import { duration, plural } from "./format.js";
import { html, useState } from "./lib.js";
import { Badge, Empty, Folded, Section, Time } from "./parts.js";
import { flowAt, to } from "./route.js";
import { WhyView } from "./why.js";

const FAILURES_SHOWN = 5;

function Attempts({ command }) {
  const { failures } = command;
  if (failures.length === 0) return null;
  const shown = failures.slice(-FAILURES_SHOWN);
  return html`<ul class="attempts">
    ${failures.length > shown.length && html`<li class="dim">${plural(failures.length - shown.length, "attempt")} before</li>`}
    ${shown.map((failure) => html`<li><${Badge} says="failed" /> attempt ${failure.n}${failure.at && html`, <${Time} at=${failure.at} />`}: ${failure.found}</li>`)}
  </ul>`;
}

function Asked({ effect, commands, history, again, tell }) {
  const command = commands.get(effect.id);
  const resend = command?.state === "given_up" && history.status === "quarantined";
  return html`<li><span class="arrow" aria-hidden="true">→</span> command <span class="mono">${effect.command}</span>
    ${command && html` to <a href=${to("gateways", [command.gateway])}>${command.gateway}</a> <${Badge} says=${command.state} />${command.attempts > 1 && html` <span class="dim">after ${plural(command.attempts, "attempt")}</span>`}`}
    ${resend && html` <${ActButton} act=${{ says: "Send it again", title: `Send ${effect.command} again`, about: "Under the same id, so the other side does it once.", path: path(["flows", history.process, history.key, "retry"]), body: { command: effect.id }, done: () => { tell(`${effect.command} was sent again.`); again(); } }} />`}
    <${Folded} says="data" data=${effect.data} />
    ${command && html`<${Attempts} command=${command} />`}
  </li>`;
}

function Effect(given) {
  const { effect } = given;
  if (effect.command !== undefined) return html`<${Asked} ...${given} />`;
  if (effect.timer !== undefined) {
    return html`<li><span class="arrow" aria-hidden="true">○</span> deadline <span class="mono">${effect.timer}</span> armed${effect.after_us !== undefined ? html`, in ${duration(plain(effect.after_us) / 1e6)}` : ""}, due <${Time} at=${new Date(plain(effect.due_us) / 1000).toISOString()} /></li>`;
  }
  if (effect.cancel !== undefined) return html`<li><span class="arrow" aria-hidden="true">⊘</span> deadline <span class="mono">${effect.cancel}</span> cancelled</li>`;
  if (effect.record !== undefined) return html`<li><span class="arrow" aria-hidden="true">●</span> records <span class="mono">${effect.record}</span></li>`;
  if (effect.end !== undefined) return html`<li><span class="arrow" aria-hidden="true">■</span> ends as <strong>${effect.end}</strong></li>`;
  return html`<li><${Folded} says="effect" data=${effect} /></li>`;
}

function Entry({ entry, history, commands, again, tell }) {
  const [why, setWhy] = useState(false);
  const compensates = entry.step && /^procession\.(command_given_up|cancel_requested)$/.test(entry.type);
  return html`<li class=${`entry ${entry.fate}`}>
    <div class="entry-when"><${Time} at=${entry.recorded_at} /><span class="dim">+${duration(entry.after_s)}</span></div>
    <div class="entry-what">
      <p><strong class="mono">${entry.type}</strong> <${Badge} says=${entry.fate} />
        ${entry.step && html` by <span class="mono">${entry.step.handler}</span>, <a href=${flowAt(history.process, history.key, { tab: "states", at: entry.step.version })}>step ${entry.step.version}</a>`}
        ${compensates && html` <${Badge} says="compensates" tone="warn" />`}</p>
      <p class="dim">${entry.cause}, position ${entry.position}</p>
      ${entry.effects.length > 0 && html`<ul class="effects">${entry.effects.map((effect, index) => html`<${Effect} key=${index} effect=${effect} commands=${commands} history=${history} again=${again} tell=${tell} />`)}</ul>`}
      <${Folded} says="data of the event" data=${entry.data} />
      <button type="button" class="quiet" aria-expanded=${why} onClick=${() => setWhy(!why)}>Why?</button>
      ${why && html`<${WhyView} process=${history.process} name=${history.key} what=${entry.event_id} />`}
    </div>
  </li>`;
}

const PAGE = 200;

export function TimelineView({ history, again, tell }) {
  const [shown, setShown] = useState(PAGE);
  const commands = new Map(history.commands.map((command) => [command.id, command]));
  const { timeline } = history;
  if (timeline.length === 0) return html`<${Empty}>Nothing has happened yet.<//>`;
  const from = Math.max(0, timeline.length - shown);
  return html`<${Section} title="Timeline" aside=${plural(timeline.length, "event")}>
    ${from > 0 && html`<button type="button" onClick=${() => setShown(shown + PAGE)}>Show ${plural(Math.min(PAGE, from), "event")} before these</button>`}
    <ol class="timeline">
      ${timeline.slice(from).map((entry) => html`<${Entry} key=${`${entry.position}/${entry.fate}`} entry=${entry} history=${history} commands=${commands} again=${again} tell=${tell} />`)}
      ${history.timers.map((timer) => html`<li class="entry pending" key=${timer.name}>
        <div class="entry-when"><${Time} at=${timer.due_at} /></div>
        <div class="entry-what"><p><strong class="mono">${timer.type}</strong> <${Badge} says="armed" tone="info" /> will come at its deadline</p></div>
      </li>`)}
    </ol>
  <//>`;
}
