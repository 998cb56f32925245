// Human tasks: an inbox, and each task's form, drawn from its schema.
import { ActButton, Told } from "./acts.js";
import { path, post, readJson, useAnswer } from "./api.js";
import { plural } from "./format.js";
import { html, useId, useState } from "./lib.js";
import { useLive } from "./live.js";
import { Age, Badge, Empty, Folded, Section, Table, Time, Trouble, Typed } from "./parts.js";
import { keep, recall } from "./remember.js";
import { flowNamed, go, to } from "./route.js";
import { useMay, useName } from "./session.js";

const typeOf = (schema) => [schema.type].flat().find((type) => type && type !== "null") || schema.anyOf?.map(typeOf).find(Boolean);

const textOf = (choice) => choice?.rawJSON ?? String(choice);
const choicesOf = (schema) => schema.enum || (schema.anyOf || []).flatMap((one) => one.enum || []);

// What a text that was typed means to a field of this schema; undefined where it was left out.
export function meant(schema, text) {
  const type = typeOf(schema);
  if (type === "boolean") return text === true || text === "true";
  if (text === "" || text === undefined) return undefined;
  const choices = choicesOf(schema);
  if (choices.length) return choices.find((one) => textOf(one) === text);
  if (type === "integer" || type === "number") {
    const value = Number(text);
    return Number.isInteger(value) && !Number.isSafeInteger(value) ? readJson(text) : value;
  }
  return type === "string" ? text : readJson(text);
}

function Field({ name, schema, required, value, set }) {
  const id = useId();
  const type = typeOf(schema);
  const says = html`<label for=${id}>${schema.title || name.replaceAll("_", " ")}${required ? "" : html` <span class="dim">(may be left out)</span>`}</label>`;
  const choices = choicesOf(schema);
  if (type === "boolean") {
    return html`<div class="check"><input id=${id} type="checkbox" checked=${value === true} onChange=${(event) => set(event.currentTarget.checked)} /> ${says}</div>`;
  }
  if (choices.length) {
    return html`${says}<select id=${id} required=${required} value=${value ?? ""} onChange=${(event) => set(event.currentTarget.value)}><option value=""></option>${choices.map((one) => html`<option value=${textOf(one)}>${textOf(one)}</option>`)}</select>`;
  }
  if (type === "integer" || type === "number") {
    return html`${says}<input id=${id} type="number" step=${type === "integer" ? 1 : "any"} required=${required} value=${value ?? ""} onInput=${(event) => set(event.currentTarget.value)} />`;
  }
  if (type === "string") {
    return html`${says}<textarea id=${id} rows="2" value=${value ?? ""} onInput=${(event) => set(event.currentTarget.value)}></textarea>`;
  }
  return html`${says}<textarea id=${id} class="mono" rows="3" placeholder="JSON" required=${required} value=${value ?? ""} onInput=${(event) => set(event.currentTarget.value)}></textarea>`;
}

function Answer({ task, done }) {
  const name = useName();
  const [by, setBy] = useState(name || recall("by", ""));
  const [values, setValues] = useState({});
  const [said, setSaid] = useState("");
  const byId = useId();
  const properties = Object.entries(task.form.properties || {});
  const submit = async (event) => {
    event.preventDefault();
    try {
      const answer = {};
      for (const [field, schema] of properties) {
        const value = meant(schema, values[field]);
        if (value !== undefined) answer[field] = value;
        else if ((task.form.required || []).includes(field) && typeOf(schema) === "string") answer[field] = "";
      }
      await post(path(["tasks", task.task_id, "answer"]), { by: by.trim(), answer });
      if (!name) keep("by", by.trim());
      done();
    } catch (error) {
      setSaid(error.found?.fields?.length ? `${error.message}: ${error.found.fields.map((field) => `${field.path} ${field.found}`).join("; ")}` : error.message);
    }
  };
  return html`<form class="edit" onSubmit=${submit}>
    <label for=${byId}>Who answers</label>
    <input id=${byId} type="text" required readonly=${Boolean(name)} value=${by} onInput=${(event) => setBy(event.currentTarget.value)} autocomplete="username" />
    ${properties.map(([field, schema]) => html`<${Field} key=${field} name=${field} schema=${schema} required=${(task.form.required || []).includes(field)} value=${values[field]} set=${(value) => setValues({ ...values, [field]: value })} />`)}
    <p class="said" role="alert">${said}</p>
    <button type="submit" class="main">Answer</button>
  </form>`;
}

function One({ id }) {
  const found = useAnswer(path(["tasks", id]));
  const may = useMay("operator", useLive().now);
  const [told, setTold] = useState("");
  const task = found.data;
  if (!task) return html`<${Trouble} error=${found.error} again=${found.again} />${!found.error && html`<p class="dim" role="status">Reading …</p>`}`;
  const done = (says) => () => {
    setTold(says);
    found.again();
  };
  return html`<div class="stack">
    <p><a href=${to("tasks")}>All tasks</a></p>
    <${Told} says=${told} />
    <${Section} title=${task.title} aside=${html`<${Badge} says=${task.status} tone=${task.status === "open" ? "info" : "good"} />`}>
      <p>${task.description}</p>
      <dl class="facts">
        <div><dt>asked by</dt><dd><a class="mono" href=${flowNamed(task.asked_by)}>${task.asked_by}</a></dd></div>
        <div><dt>asked</dt><dd><${Time} at=${task.asked_at} /></dd></div>
        <div><dt>deadline</dt><dd><${Time} at=${task.deadline_at} /></dd></div>
        <div><dt>whose</dt><dd>${task.person || (task.group ? `anyone of ${task.group}` : "anyone")}${task.escalated ? `, given on ${plural(task.escalated, "time")}` : ""}</dd></div>
        ${task.settled_by && html`<div><dt>settled by</dt><dd>${task.settled_by} <${Time} at=${task.settled_at} /></dd></div>`}
      </dl>
      <dl class="facts">${Object.entries(task.shown).map(([field, value]) => html`<div><dt>${field.replaceAll("_", " ")}</dt><dd>${typeof value === "object" ? JSON.stringify(value) : String(value)}</dd></div>`)}</dl>
      ${task.answer && html`<${Folded} says="The answer" data=${task.answer} open />`}
    <//>
    ${task.status === "open" && may && html`<${Section} title="Answer">
      <${Answer} key=${task.task_id} task=${task} done=${done("Answered.")} />
      <div class="buttons"><${ActButton} act=${{ says: "Claim", title: `Claim ${task.title}`, reason: false, path: path(["tasks", task.task_id, "claim"]), about: "Take it: nobody else can answer it then.", done: done("It is yours.") }} />
      <${ActButton} act=${{ says: "Withdraw", title: `Withdraw ${task.title}`, danger: true, path: path(["tasks", task.task_id, "cancel"]), about: "Nobody can answer it any more; the flow is told.", done: done("Withdrawn.") }} /></div>
    <//>`}
  </div>`;
}

export function TasksPage({ route }) {
  const state = route.query.get("state") || "open";
  const person = route.query.get("person") || "";
  const found = useAnswer(route.parts.length ? null : path(["tasks"], { state, assignee: person, limit: 50 }), { every: 5000 });
  const id = useId();
  if (route.parts.length) return html`<${One} id=${route.parts[0]} />`;
  const tasks = found.data?.tasks || [];
  return html`<div class="stack">
    <form class="filter" onSubmit=${(event) => { event.preventDefault(); go(to("tasks", [], { person: new FormData(event.currentTarget).get("person"), state: state === "open" ? "" : state })); }}>
      <div><label for=${id}>For this person</label><${Typed} id=${id} name="person" value=${person} /></div>
      <button type="submit">Filter</button>
      <a href=${to("tasks", [], { person, state: state === "open" ? "all" : "" })}>${state === "open" ? "show settled ones too" : "only open ones"}</a>
    </form>
    <${Trouble} error=${found.error} again=${found.again} />
    <${Section} title="Tasks" aside=${html`<${Age} at=${found.at} />`}>
      <${Table} label="Tasks" heads=${["task", "status", "whose", "asked by", "asked", "deadline"]}
        empty=${found.data ? html`<${Empty}>${person ? "Nobody asks this person for anything." : "No flow asks people for anything now. A gateway made of HumanTasks asks."}<//>` : html`<p class="dim" role="status">Reading …</p>`}>
        ${tasks.map((task) => html`<tr key=${task.task_id}>
          <td><a href=${to("tasks", [task.task_id])}>${task.title}</a></td>
          <td><${Badge} says=${task.status} tone=${task.status === "open" ? "info" : "good"} /></td>
          <td>${task.person || (task.group ? `anyone of ${task.group}` : "anyone")}</td>
          <td><a class="mono" href=${flowNamed(task.asked_by)}>${task.asked_by}</a></td>
          <td><${Time} at=${task.asked_at} /></td>
          <td><${Time} at=${task.deadline_at} /></td>
        </tr>`)}
      <//>
      ${found.data?.more && html`<p class="dim">There are more.</p>`}
    <//>
  </div>`;
}
