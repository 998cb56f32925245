// Why a flow does not go on, and why something of it happened.
import { path, useAnswer, useRenewed } from "./api.js";
import { number } from "./format.js";
import { html } from "./lib.js";
import { Badge, Folded, Section, Time, Trouble } from "./parts.js";
import { flowNamed, to } from "./route.js";

function Command({ command }) {
  const when = command.under_way ? "an attempt is under way" : html`the next attempt may begin <${Time} at=${command.next_try_at} />`;
  return html`<li>waits for <a href=${to("gateways", [command.gateway])}>${command.gateway}</a> to answer <span class="mono">${command.type}</span>${command.answers.length > 0 && html` with ${command.answers.map((name, index) => html`${index ? " or " : ""}<span class="mono">${name}</span>`)}`};
    ${number(command.attempts)} failed so far, ${when}
    ${command.gateway_state && html` <${Badge} says=${command.gateway_state} tone="warn" />`}
    ${command.failures.length > 0 && html`<ul>${command.failures.map((failure) => html`<li>attempt ${failure.attempt}, <${Time} at=${failure.at} />: ${failure.found}</li>`)}</ul>`}
  </li>`;
}

function Ending({ ended }) {
  return html`<p>It ended as <strong>${ended.outcome}</strong> <${Time} at=${ended.at} />, by <span class="mono">${ended.handler}</span> (step ${ended.version}) on <span class="mono">${ended.event}</span>${ended.asked_by && html`; asked by ${ended.asked_by}`}.</p>`;
}

export function WhyNotView({ process, name, version, every }) {
  const found = useRenewed(path(["flows", process, name, "why-not"]), version, every);
  const why = found.data;
  if (found.error && !why) return html`<${Trouble} error=${found.error} again=${found.again} />`;
  if (!why) return html`<p class="dim" role="status">Looking for what it waits for …</p>`;
  const idle = !why.commands.length && !why.kept.length && !why.deadlines.length && !why.events.length && !why.quarantined;
  return html`<${Section} title=${why.ended ? "How it ended" : "What it waits for"}>
    ${why.ended ? html`<${Ending} ended=${why.ended} />` : html`<ul class="waits">
      ${why.running === false && html`<li><${Badge} says="nothing runs" tone="warn" /> no runtime owns the journal: nothing happens until one is started</li>`}
      ${why.process_state && html`<li>its process is <${Badge} says=${why.process_state} tone="warn" />; resume it once it is mended</li>`}
      ${why.quarantined && html`<li><${Badge} says="quarantined" /> ${why.quarantined}${why.head && html`, at <span class="mono">${why.head.type}</span>, position ${why.head.position}. Mend it, then retry, skip or release.`}</li>`}
      ${why.commands.map((command) => html`<${Command} key=${command.id} command=${command} />`)}
      ${why.kept.map((flow) => html`<li>waits for <a class="mono" href=${flowNamed(flow)}>${flow}</a>, which a gateway keeps for it</li>`)}
      ${why.deadlines.map((deadline) => html`<li>the deadline <span class="mono">${deadline.type}</span> falls due <${Time} at=${deadline.due_at} /></li>`)}
      ${why.events.map((event) => html`<li><span class="mono">${event.type}</span> at ${event.position} has come and is <${Badge} says=${event.state} /></li>`)}
      ${why.events_waiting > why.events.length && html`<li>and ${number(why.events_waiting - why.events.length)} more events</li>`}
      ${idle && html`<li>no command is open, no deadline is armed, no event waits: only an event from outside moves it</li>`}
      ${why.handles?.length > 0 && html`<li>from outside it would handle ${why.handles.map((event, index) => html`${index ? ", " : ""}<span class="mono">${event}</span>`)}</li>`}
    </ul>`}
  <//>`;
}

// The chain of causes of one event or command, asked for when it is opened.
export function WhyView({ process, name, what }) {
  const found = useAnswer(path(["flows", process, name, "why"], { what }));
  if (found.error) return html`<${Trouble} error=${found.error} />`;
  if (!found.data) return html`<p class="dim" role="status">Looking for causes …</p>`;
  return html`<ol class="causes">
    ${!found.data.complete && html`<li class="dim">those before are left out</li>`}
    ${found.data.causes.map((cause) => html`<li>
      <span class="dim">${cause.kind}</span> ${cause.says} ${cause.at && html`<${Time} at=${cause.at} />`}
      ${cause.flow && cause.flow !== `${process}/${name}` && html` <a class="mono" href=${flowNamed(cause.flow)}>${cause.flow}</a>`}
      ${cause.data !== null && html`<${Folded} says="data" data=${cause.data} />`}
    </li>`)}
  </ol>`;
}
