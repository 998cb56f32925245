// Who looks, and what they may do. Where the server wants no token, whoever reaches it may do everything.
import { ask } from "./api.js";
import { createContext, html, useContext, useEffect, useState } from "./lib.js";

export const Session = createContext({ role: "reader" });
const RANKS = ["reader", "operator", "admin"];
const AGAIN_MS = 3000;

// Whether who looks has this role, or one above it.
export const useRank = (role) => RANKS.indexOf(useContext(Session).role) >= RANKS.indexOf(role);

// Whether who looks may change something; a file can't be changed by anybody.
export function useMay(role, now) {
  const ranks = useRank(role);
  return ranks && now?.about.kind !== "file";
}

export const useName = () => useContext(Session).name;

export function useSession() {
  const [found, setFound] = useState({ state: "asking", role: "reader", name: "", guarded: false });
  const look = async () => {
    try {
      const who = await ask("/v1/session");
      setFound({ state: "in", role: who.role, name: who.name, guarded: who.tokens_needed });
    } catch (error) {
      if (error.status === 401) setFound({ state: "out", role: "reader", name: "", guarded: true });
      else {
        setFound({ state: "in", role: "reader", name: "", guarded: false });
        setTimeout(look, AGAIN_MS);
      }
    }
  };
  useEffect(() => {
    look();
  }, []);
  const enter = async (token) => {
    await ask("/v1/session", { method: "POST", token });
    await look();
  };
  const leave = async () => {
    await ask("/v1/session", { method: "DELETE" });
    setFound({ state: "out", role: "reader", name: "", guarded: true });
  };
  const unknown = () => setFound((was) => (was.state === "in" ? { ...was, state: "out" } : was));
  return { ...found, enter, leave: found.guarded && found.state === "in" ? leave : null, unknown };
}

export function Login({ session }) {
  const [token, setToken] = useState("");
  const [said, setSaid] = useState("");
  const [busy, setBusy] = useState(false);
  const submit = async (event) => {
    event.preventDefault();
    setBusy(true);
    try {
      await session.enter(token.trim());
    } catch (error) {
      setSaid(error.message);
    }
    setToken("");
    setBusy(false);
  };
  return html`<main class="login">
    <h1>procession</h1>
    <form class="card" onSubmit=${submit}>
      <p>This service wants to know who you are. <code>procession token</code> makes tokens.</p>
      <label for="token">Token</label>
      <input id="token" type="password" autocomplete="current-password" required value=${token} onInput=${(event) => setToken(event.currentTarget.value)} />
      <button type="submit" class="main" disabled=${busy}>Log in</button>
      <p role="alert">${said}</p>
    </form>
  </main>`;
}
