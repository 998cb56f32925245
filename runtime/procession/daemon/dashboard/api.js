// Asking the server. A refusal is a problem document; it becomes an error that says what to do.
import { useCallback, useEffect, useRef, useState } from "./lib.js";

export class Refusal extends Error {
  constructor(status, found) {
    super(found.detail || found.title || `the server answered ${status}`);
    this.status = status;
    this.found = found;
  }
}

const heard = new Set();

// Who wants to know that the server asks for a token.
export function onUnknown(listener) {
  heard.add(listener);
  return () => heard.delete(listener);
}

export async function ask(path, { method = "GET", body, signal, token, text = false, blob = false } = {}) {
  const headers = { Accept: "application/json" };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (token !== undefined) headers.Authorization = `Bearer ${token}`;
  const response = await fetch(path, {
    method,
    headers,
    signal,
    body: body === undefined ? undefined : JSON.stringify(body),
    credentials: "same-origin",
    cache: "no-store",
    redirect: "error",
  });
  if (response.status === 401 && token === undefined) heard.forEach((listener) => listener());
  if (!response.ok) {
    let found = {};
    try {
      found = await response.json();
    } catch {
      found = { title: response.statusText };
    }
    throw new Refusal(response.status, found);
  }
  if (text) return response.text();
  if (blob) return response.blob();
  return response.status === 204 ? null : readJson(await response.text());
}

// Whole numbers beyond 2^53 keep their digits, where the browser knows how: shown, edited and sent as they came.
export function readJson(text) {
  if (!JSON.rawJSON || !/\d{16}/.test(text)) return JSON.parse(text);
  return JSON.parse(text, (_, value, seen) => (Number.isInteger(value) && !Number.isSafeInteger(value) ? JSON.rawJSON(seen.source) : value));
}

// Such a number where it is counted with, and a few units more or less do not matter.
export const plain = (value) => (value?.rawJSON === undefined ? value : Number(value.rawJSON));

export const post = (path, body) => ask(path, { method: "POST", body });

export function path(parts, query = {}) {
  const asked = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined && value !== null && value !== "") asked.set(name, value);
  }
  const at = `/v1/${parts.map((part) => encodeURIComponent(part)).join("/")}`;
  return asked.size ? `${at}?${asked}` : at;
}

const ANSWER_MS_MAX = 60_000;

// Whether nobody would see what is asked for, or would lose what they are doing.
const isAway = () => document.hidden || document.querySelector("dialog[open]") !== null;

// What an address answers, asked again when it changes, when told to, and every so many milliseconds while visible:
// not before the answer under way has come, and not behind an open dialog, which may stand in what would change.
export function useAnswer(address, { every = 0 } = {}) {
  const [state, setState] = useState({ address: null, data: null, error: null, at: 0, loading: true });
  const running = useRef(null);
  const again = useCallback(async () => {
    running.current?.controller.abort();
    if (address === null) return;
    const controller = new AbortController();
    const asked = { controller, at: Date.now() };
    running.current = asked;
    setState((was) => (was.address === address ? { ...was, loading: true } : { address, data: null, error: null, at: 0, loading: true }));
    try {
      const data = await ask(address, { signal: controller.signal });
      if (!controller.signal.aborted) setState({ address, data, error: null, at: Date.now(), loading: false });
    } catch (error) {
      if (!controller.signal.aborted) setState((was) => ({ ...was, address, error, loading: false }));
    }
    if (running.current === asked) running.current = null;
  }, [address]);
  useEffect(() => {
    again();
    const look = () => {
      const isAnswering = running.current !== null && Date.now() < running.current.at + ANSWER_MS_MAX;
      if (!isAway() && !isAnswering) again();
    };
    const timer = every ? setInterval(look, every) : null;
    return () => {
      clearInterval(timer);
      running.current?.controller.abort();
    };
  }, [again, every]);
  const fresh = state.address === address ? state : { address, data: null, error: null, at: 0, loading: address !== null };
  return { ...fresh, again };
}

// The same, asked at once when what it is about has another version: what is shown stays until the answer comes.
export function useRenewed(address, version, every) {
  const found = useAnswer(address, { every });
  const seen = useRef(version);
  useEffect(() => {
    if (seen.current === version) return;
    seen.current = version;
    found.again();
  }, [version]);
  return found;
}
