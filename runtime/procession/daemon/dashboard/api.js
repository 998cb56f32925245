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
  return response.status === 204 ? null : response.json();
}

export const post = (path, body) => ask(path, { method: "POST", body });

export function path(parts, query = {}) {
  const asked = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined && value !== null && value !== "") asked.set(name, value);
  }
  const at = `/v1/${parts.map((part) => encodeURIComponent(part)).join("/")}`;
  return asked.size ? `${at}?${asked}` : at;
}

// What an address answers, asked again when it changes, when told to, and every so many milliseconds while visible.
export function useAnswer(address, { every = 0 } = {}) {
  const [state, setState] = useState({ address: null, data: null, error: null, at: 0, loading: true });
  const running = useRef(null);
  const again = useCallback(async () => {
    running.current?.abort();
    if (address === null) return;
    const controller = new AbortController();
    running.current = controller;
    setState((was) => (was.address === address ? { ...was, loading: true } : { address, data: null, error: null, at: 0, loading: true }));
    try {
      const data = await ask(address, { signal: controller.signal });
      if (!controller.signal.aborted) setState({ address, data, error: null, at: Date.now(), loading: false });
    } catch (error) {
      if (!controller.signal.aborted) setState((was) => ({ ...was, address, error, loading: false }));
    }
  }, [address]);
  useEffect(() => {
    again();
    const timer = every ? setInterval(() => document.hidden || again(), every) : null;
    return () => {
      clearInterval(timer);
      running.current?.abort();
    };
  }, [again, every]);
  const fresh = state.address === address ? state : { address, data: null, error: null, at: 0, loading: address !== null };
  return { ...fresh, again };
}
