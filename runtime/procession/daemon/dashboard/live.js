// The overview, every second: one stream for the whole page. It pauses while nobody looks.
import { ask } from "./api.js";
import { createContext, useContext, useEffect, useRef, useState } from "./lib.js";
import { remembered } from "./remember.js";

const POINTS_MAX = 900;
const AGAIN_MS = 3000;

// An event source tries again by itself where its connection broke, and gives up for ever where it was refused: then
// a new one is made a little later, and whatever else is asked beside it hears why.
export function triedAgain(events, again) {
  return events.readyState === EventSource.CLOSED ? setTimeout(again, AGAIN_MS) : null;
}

export const Live = createContext({ now: null, points: [], state: "waiting", at: 0 });
export const useLive = () => useContext(Live);

// What the page knows of the whole. `state` is waiting, live, paused or lost.
export function useStream(known) {
  const [found, setFound] = useState({ now: null, points: [], at: 0, error: null });
  const [state, setState] = useState("waiting");
  const [away, setAway] = useState(false);
  const [hidden, setHidden] = useState(document.hidden);
  const [round, setRound] = useState(0);
  const [always, setAlways] = remembered("live-always", false);
  const [paused, setPaused] = useState(false);
  const source = useRef(null);

  useEffect(() => {
    const left = () => setAway(true);
    const came = () => {
      setAway(document.hidden);
      setHidden(document.hidden);
    };
    window.addEventListener("blur", left);
    window.addEventListener("focus", came);
    document.addEventListener("visibilitychange", came);
    return () => {
      window.removeEventListener("blur", left);
      window.removeEventListener("focus", came);
      document.removeEventListener("visibilitychange", came);
    };
  }, []);

  // A tab that nobody can see gives its connection back: a browser has few for all tabs together.
  const stopped = !known || paused || hidden || (away && !always);
  useEffect(() => {
    if (!known) return undefined;
    if (stopped) {
      setState("paused");
      return undefined;
    }
    let over = false;
    ask("/v1/overview").then(
      (now) => !over && setFound({ now, points: now.history, at: Date.now(), error: null }),
      (error) => !over && setFound((was) => ({ ...was, error })),
    );
    const events = new EventSource("/v1/overview/stream");
    source.current = events;
    events.onopen = () => setState("live");
    events.onmessage = (message) => {
      const now = JSON.parse(message.data);
      setState("live");
      setFound((was) => {
        const last = was.points.at(-1);
        const fresh = now.point && (!last || now.point[0] > last[0]);
        return { now, points: fresh ? [...was.points, now.point].slice(-POINTS_MAX) : was.points, at: Date.now(), error: null };
      });
    };
    let retry = null;
    events.onerror = () => {
      setState("lost");
      retry = triedAgain(events, () => setRound((count) => count + 1));
    };
    return () => {
      over = true;
      clearTimeout(retry);
      events.close();
    };
  }, [known, stopped, round]);

  return { ...found, state, paused, setPaused, always, setAlways };
}
