// Every view is an address: `#/flow/order/421?tab=states&at=3`.
import { useEffect, useState } from "./lib.js";

function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

// encodeURIComponent refuses half a surrogate pair: such a text can't be an address anyway.
function encoded(part) {
  return encodeURIComponent(String(part).toWellFormed ? String(part).toWellFormed() : String(part));
}

export function readRoute(hash = location.hash) {
  const [path, query = ""] = hash.replace(/^#/, "").split("?", 2);
  const parts = path.split("/").filter((part) => part !== "").map(decoded);
  return { page: parts[0] || "overview", parts: parts.slice(1), query: new URLSearchParams(query) };
}

// The address of a view; what is empty in the query is left out.
export function to(page, parts = [], query = {}) {
  const named = Object.entries(query).filter(([, value]) => value !== "" && value !== null && value !== undefined);
  const asked = new URLSearchParams(named).toString();
  return `#/${[page, ...parts].map(encoded).join("/")}${asked ? `?${asked}` : ""}`;
}

export function go(address, { replace = false } = {}) {
  if (replace) {
    history.replaceState(null, "", address);
    window.dispatchEvent(new HashChangeEvent("hashchange"));
  } else {
    location.hash = address;
  }
}

export function useRoute() {
  const [route, setRoute] = useState(readRoute());
  useEffect(() => {
    const heard = () => setRoute(readRoute());
    window.addEventListener("hashchange", heard);
    return () => window.removeEventListener("hashchange", heard);
  }, []);
  return route;
}

export const flowAt = (process, key, query) => to("flow", [process, key], query);

// `order/eu/7` is the flow eu/7 of the process order: names of processes hold no slash.
export function flowNamed(name, query) {
  const at = name.indexOf("/");
  return flowAt(name.slice(0, at), name.slice(at + 1), query);
}
