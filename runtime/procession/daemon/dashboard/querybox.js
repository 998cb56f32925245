// A search box that tells how the search may go on, and where it can't be read.
import { ask, path } from "./api.js";
import { html, useEffect, useRef, useState } from "./lib.js";

const PAUSE_MS = 120;

export function QueryBox({ value, error, search }) {
  const input = useRef(null);
  const [text, setText] = useState(value);
  const [offer, setOffer] = useState({ start: 0, end: 0, suggestions: [] });
  const [at, setAt] = useState(-1);
  const [open, setOpen] = useState(false);
  const timer = useRef(null);
  const running = useRef(null);
  useEffect(() => {
    setText(value);
    setOpen(false);
  }, [value]);
  useEffect(() => () => { clearTimeout(timer.current); running.current?.abort(); }, []);

  const complete = (typed, place) => {
    clearTimeout(timer.current);
    timer.current = setTimeout(async () => {
      running.current?.abort();
      running.current = new AbortController();
      // Places are counted in characters there, and in UTF-16 units here.
      const characters = [...typed.slice(0, place)].length;
      try {
        const found = await ask(path(["search", "complete"], { q: typed, at: characters }), { signal: running.current.signal });
        setOffer(found);
        setAt(-1);
        setOpen(found.suggestions.length > 0);
      } catch {
        setOpen(false); // what is half typed may be unreadable: the search itself says so when it is asked
      }
    }, PAUSE_MS);
  };
  const take = (suggestion) => {
    const letters = [...text];
    const before = letters.slice(0, offer.start).join("");
    const after = letters.slice(offer.end).join("");
    const glue = suggestion.kind === "field" || after.startsWith(" ") ? "" : " ";
    const place = before.length + suggestion.text.length + glue.length;
    const next = before + suggestion.text + glue + after;
    setText(next);
    setOpen(false);
    input.current.focus();
    requestAnimationFrame(() => {
      input.current.setSelectionRange(place, place);
      complete(next, place);
    });
  };
  const pressed = (event) => {
    const many = offer.suggestions.length;
    if (open && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
      event.preventDefault();
      setAt((was) => (event.key === "ArrowDown" ? (was + 1) % many : (was <= 0 ? many : was) - 1));
    } else if (open && at >= 0 && (event.key === "Enter" || event.key === "Tab")) {
      event.preventDefault();
      take(offer.suggestions[at]);
    } else if (event.key === "Escape" && open) {
      event.preventDefault();
      setOpen(false);
    }
  };
  const submit = (event) => {
    event.preventDefault();
    clearTimeout(timer.current);
    running.current?.abort();
    setOpen(false);
    search(text.trim());
  };
  // What is asked for would come when the focus is elsewhere; a suggestion that is clicked takes the focus for a moment.
  const left = () => {
    clearTimeout(timer.current);
    running.current?.abort();
    setTimeout(() => setOpen(false), 150);
  };
  const unreadable = error && (error.status === 400 || error.status === 422);
  const place = unreadable ? placeOf(error) : null;
  return html`<form class="query" role="search" onSubmit=${submit}>
    <label for="query" class="hidden">Search flows</label>
    <div class="query-line">
      <input ref=${input} id="query" type="text" class="mono" role="combobox" aria-autocomplete="list" aria-expanded=${open} aria-controls="query-offer"
        aria-activedescendant=${open && at >= 0 ? `query-${at}` : undefined} aria-invalid=${unreadable || undefined} aria-describedby="query-said"
        autocomplete="off" autocapitalize="off" spellcheck=${false} placeholder="process:order status:active age>1h key:42*" value=${text}
        onInput=${(event) => { setText(event.currentTarget.value); complete(event.currentTarget.value, event.currentTarget.selectionStart); }}
        onFocus=${(event) => complete(event.currentTarget.value, event.currentTarget.selectionStart)}
        onBlur=${left} onKeyDown=${pressed} />
      <button type="submit" class="main">Search</button>
      <ul id="query-offer" class="offer" role="listbox" aria-label="How the search may go on" hidden=${!open}>
        ${offer.suggestions.map((one, index) => html`<li id=${`query-${index}`} role="option" aria-selected=${index === at}
          onMouseDown=${(event) => { event.preventDefault(); take(one); }}><span class="mono">${one.text}</span> <span class="dim">${one.about || one.kind}</span></li>`)}
      </ul>
    </div>
    <p id="query-said" class=${unreadable ? "said" : "hidden"} role="alert">${unreadable && html`${error.message}
      ${place !== null && html`<br /><span class="mono">${[...value].slice(0, place).join("")}<mark>${[...value][place] || "␣"}</mark>${[...value].slice(place + 1).join("")}</span>`}`}</p>
  </form>`;
}

function placeOf(error) {
  if (Number.isInteger(error.found?.position)) return error.found.position;
  const said = /^at (\d+) of the search/.exec(error.message);
  return said ? Number(said[1]) : null;
}
