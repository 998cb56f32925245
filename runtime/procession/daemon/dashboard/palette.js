// Go anywhere by typing: pages, processes, gateways, a flow by its name, a search.
import { html, useEffect, useMemo, useRef, useState } from "./lib.js";
import { flowNamed, go, to } from "./route.js";

function places(pages, now, typed) {
  const found = pages.map(([name, says]) => ({ says, kind: "page", at: to(name) }));
  for (const name of now?.processes || []) {
    found.push({ says: name, kind: "process", at: to("processes", [name]) });
  }
  for (const gateway of now?.gateways || []) {
    found.push({ says: gateway.name, kind: "gateway", at: to("gateways", [gateway.name]) });
  }
  const words = typed.toLowerCase().split(/\s+/).filter(Boolean);
  const near = found.filter((place) => words.every((word) => `${place.kind} ${place.says}`.toLowerCase().includes(word)));
  if (/^[^\s/]+\/./.test(typed)) near.unshift({ says: typed, kind: "flow", at: flowNamed(typed) });
  if (typed.trim()) near.push({ says: typed, kind: "search flows for", at: to("flows", [], { q: typed }) });
  return near.slice(0, 12);
}

export function Palette({ pages, now, close }) {
  const dialog = useRef(null);
  const [typed, setTyped] = useState("");
  const [at, setAt] = useState(0);
  const found = useMemo(() => places(pages, now, typed), [pages, now, typed]);
  useEffect(() => {
    dialog.current.showModal();
  }, []);
  const choose = (place) => {
    dialog.current.close();
    go(place.at);
  };
  const pressed = (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) {
      event.preventDefault();
      setAt((was) => (was + step + found.length) % Math.max(1, found.length));
    } else if (event.key === "Enter") {
      // By what stands there now: who types quickly is ahead of what is drawn.
      const ahead = places(pages, now, event.currentTarget.value);
      const chosen = event.currentTarget.value === typed ? found[at] : ahead[0];
      event.preventDefault();
      if (chosen) choose(chosen);
    }
  };
  return html`<dialog class="palette" ref=${dialog} onClose=${close} aria-label="Go to">
    <input
      type="text" role="combobox" aria-label="Go to a page, process, gateway or flow" aria-expanded="true" aria-controls="palette-list"
      aria-autocomplete="list" aria-activedescendant=${found[at] ? `palette-${at}` : undefined}
      autocomplete="off" spellcheck=${false} placeholder="A page, a process, a gateway, order/421, or a search" value=${typed}
      onInput=${(event) => { setTyped(event.currentTarget.value); setAt(0); }} onKeyDown=${pressed} />
    <ul id="palette-list" role="listbox" aria-label="Places">
      ${found.map((place, index) => html`<li id=${`palette-${index}`} role="option" aria-selected=${index === at} onClick=${() => choose(place)}>
        <span class="dim">${place.kind}</span> ${place.says}
      </li>`)}
    </ul>
  </dialog>`;
}
