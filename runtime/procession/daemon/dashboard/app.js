// The frame of every page: where one can go, who looks, whether what is shown is live.
import { onUnknown } from "./api.js";
import { FlowsPage } from "./flows.js";
import { exact } from "./format.js";
import { html, render, useEffect, useRef, useState } from "./lib.js";
import { Live, useStream } from "./live.js";
import { Palette } from "./palette.js";
import { Age, Badge, Trouble } from "./parts.js";
import { recall, keep } from "./remember.js";
import { readRoute, to, useRoute } from "./route.js";
import { Login, Session, useSession } from "./session.js";

// What a page is made of is loaded when the page is opened first: most visits need two or three of them.
const PAGES = [
  ["overview", "Overview", () => import("./overview.js").then((found) => found.OverviewPage)],
  ["flows", "Flows", async () => FlowsPage],
  ["processes", "Processes", () => import("./processes.js").then((found) => found.ProcessesPage)],
  ["gateways", "Gateways", () => import("./gateways.js").then((found) => found.GatewaysPage)],
  ["quarantine", "Quarantine", () => import("./quarantine.js").then((found) => found.QuarantinePage)],
  ["tasks", "Human tasks", () => import("./tasks.js").then((found) => found.TasksPage)],
  ["projections", "Projections", () => import("./projections.js").then((found) => found.ProjectionsPage)],
  ["tree", "Supervision", () => import("./tree.js").then((found) => found.TreePage)],
  ["laws", "Laws", () => import("./laws.js").then((found) => found.LawsPage)],
  ["log", "Log", () => import("./log.js").then((found) => found.LogPage)],
];
const FLOW = ["flow", "Flow", () => import("./flow.js").then((found) => found.FlowPage)];
const NONE = ["", "Not found", async () => NotFound];
const placeOf = (name) => [...PAGES, FLOW].find(([known]) => known === name) || NONE;
const loaded = new Map([["flows", FlowsPage]]);

async function load(name) {
  const [known, , from] = placeOf(name);
  if (!loaded.has(known)) loaded.set(known, await from());
}

function Loaded({ name, route }) {
  const [known] = placeOf(name);
  const [error, setError] = useState(null);
  const [, came] = useState(0);
  const again = () => {
    setError(null);
    load(name).then(() => came((count) => count + 1), setError);
  };
  useEffect(() => {
    if (!loaded.has(known)) again();
  }, [known]);
  const Page = loaded.get(known);
  if (Page) return html`<${Page} route=${route} />`;
  return error ? html`<${Trouble} error=${error} again=${again} />` : html`<p class="dim" role="status">Loading …</p>`;
}

function theme(next) {
  if (next) keep("theme", next);
  const chosen = recall("theme", "auto");
  document.documentElement.dataset.theme = chosen;
  return chosen;
}

function ThemeToggle() {
  const [chosen, setChosen] = useState(() => theme());
  const next = { auto: "dark", dark: "light", light: "auto" }[chosen];
  return html`<button type="button" class="quiet" onClick=${() => setChosen(theme(next))} title=${`Colours: ${chosen}; change to ${next}`}>
    Colours: ${chosen}
  </button>`;
}

function Liveness({ live }) {
  const words = { waiting: "connecting", live: "live", paused: "paused", lost: "connection lost" };
  return html`<div class="liveness">
    <span role="status"><${Badge} says=${words[live.state]} tone=${{ live: "good", lost: "bad", paused: "warn", waiting: "dim" }[live.state]} /></span>
    <${Age} at=${live.at} every=${live.state === "live" ? 1000 : 0} />
    <button type="button" class="quiet" aria-pressed=${live.paused} onClick=${() => live.setPaused(!live.paused)}>${live.paused ? "Go on" : "Pause"}</button>
    <label class="quiet" title="Else it pauses while another window has the focus">
      <input type="checkbox" checked=${live.always} onChange=${(event) => live.setAlways(event.currentTarget.checked)} /> also in the background
    </label>
  </div>`;
}

function About({ about }) {
  if (!about || about.kind !== "file") return null;
  return html`<div class="notice" role="note">
    <p><strong>A file is open, read-only:</strong> <code>${about.journal}</code>. Nothing runs here, and nothing can be changed.</p>
    ${about.immutable && html`<p>Its folder can't be written, so it is read with <code>immutable=1</code>: as it stood when it was opened.</p>`}
    ${about.no_classes && html`<p>States and what-ifs are not available: ${about.no_classes}</p>`}
  </div>`;
}

function Nav({ page, session, onPalette }) {
  return html`<nav aria-label="Pages">
    <a class="brand" href=${to("overview")}><img src="/dashboard/mark.svg" alt="" width="24" height="24" /> procession</a>
    <button type="button" class="search" onClick=${onPalette}>Go to … <kbd>Ctrl K</kbd></button>
    <ul>
      ${PAGES.map(([name, says]) => html`<li><a href=${to(name)} aria-current=${page === name || (page === "flow" && name === "flows") ? "page" : undefined}>${says}</a></li>`)}
    </ul>
    <div class="foot">
      ${session.name && html`<p>${session.name}<br /><span class="dim">${session.role}</span></p>`}
      ${session.leave && html`<button type="button" class="quiet" onClick=${session.leave}>Log out</button>`}
      <${ThemeToggle} />
    </div>
  </nav>`;
}

function App() {
  const route = useRoute();
  const session = useSession();
  const live = useStream(session.state === "in");
  const [palette, setPalette] = useState(false);
  const main = useRef(null);
  const [, says] = placeOf(route.page);

  useEffect(() => onUnknown(session.unknown), []);
  useEffect(() => {
    const pressed = (event) => {
      if (event.key.toLowerCase() === "k" && (event.ctrlKey || event.metaKey)) {
        event.preventDefault();
        setPalette(true);
      }
    };
    window.addEventListener("keydown", pressed);
    return () => window.removeEventListener("keydown", pressed);
  }, []);
  const title = [...route.parts, says].join(" · ");
  useEffect(() => {
    document.title = `${title} · procession`;
  }, [title]);
  const where = [route.page, ...route.parts].join("/");
  const first = useRef(true);
  useEffect(() => {
    // As a browser does at a new page: reading goes on at its beginning.
    if (!first.current) main.current?.focus({ preventScroll: true });
    first.current = false;
    window.scrollTo(0, 0);
  }, [where]);

  if (session.state === "asking") return html`<p class="begin">Asking who you are …</p>`;
  if (session.state === "out") return html`<${Login} session=${session} />`;
  return html`<${Session.Provider} value=${session}><${Live.Provider} value=${live}>
    <a class="skip" href="#main" onClick=${(event) => { event.preventDefault(); main.current?.focus(); }}>Skip to the content</a>
    <${Nav} page=${route.page} session=${session} onPalette=${() => setPalette(true)} />
    <main id="main" ref=${main} tabindex="-1">
      <header><h1>${says}</h1><${Liveness} live=${live} /></header>
      <${About} about=${live.now?.about} />
      ${session.role === "reader" && html`<div class="notice" role="note">You may read. What changes something needs a token with the role operator.</div>`}
      ${live.now?.held && live.now.about.kind === "runtime" && html`<div class="trouble" role="alert">Nothing is accepted: ${live.now.held}</div>`}
      ${live.error && !live.now && html`<div class="trouble" role="alert">${live.error.message}</div>`}
      <${Loaded} key=${where} name=${route.page} route=${route} />
      <footer class="dim">${live.now && html`procession ${live.now.about.version}, ${live.now.about.journal || "journal in memory"}, position ${live.now.position}, <span title=${exact(live.now.at)}>server time ${live.now.at.slice(11, 19)}Z</span>`}</footer>
    </main>
    ${palette && html`<${Palette} pages=${PAGES} now=${live.now} close=${() => setPalette(false)} />`}
  </${Live.Provider}></${Session.Provider}>`;
}

function NotFound({ route }) {
  return html`<p>There is no page ${route.page}. <a href=${to("overview")}>Go to the overview.</a></p>`;
}

theme();
load(readRoute().page).catch(() => {}); // at once, beside asking who looks; where it fails, the page tries again and tells
const root = document.getElementById("app");
root.textContent = "";
render(html`<${App} />`, root);
