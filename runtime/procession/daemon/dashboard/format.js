// Numbers and times for people. Exact times stand in titles.
const UNITS = [
  ["d", 86400],
  ["h", 3600],
  ["m", 60],
];
const numbers = new Intl.NumberFormat("en");

export const number = (value) => numbers.format(value);

export function rate(value) {
  if (value === null || value === undefined) return "–";
  return value >= 100 ? number(Math.round(value)) : value >= 10 ? value.toFixed(0) : value.toFixed(value ? 1 : 0);
}

export function duration(seconds) {
  if (seconds === null || seconds === undefined || Number.isNaN(seconds)) return "–";
  const size = Math.abs(seconds);
  if (size < 0.001) return `${Math.round(size * 1e6)} µs`;
  if (size < 1) return `${Math.round(size * 1000)} ms`;
  if (size < 10) return `${size.toFixed(1)} s`;
  for (const [name, unit] of UNITS) {
    if (size >= unit) {
      const next = UNITS[UNITS.findIndex(([other]) => other === name) + 1];
      const rest = next ? Math.floor((size % unit) / next[1]) : Math.round(size % unit);
      return `${Math.floor(size / unit)} ${name}${rest ? ` ${rest} ${next ? next[0] : "s"}` : ""}`;
    }
  }
  return `${Math.round(size)} s`;
}

export function ago(iso, nowMs) {
  const seconds = (nowMs - Date.parse(iso)) / 1000;
  if (Math.abs(seconds) < 1) return "now";
  return seconds >= 0 ? `${duration(Math.floor(seconds))} ago` : `in ${duration(Math.ceil(-seconds))}`;
}

export const exact = (iso) => new Date(iso).toISOString().replace("T", " ").replace("Z", " UTC");

export function short(text, most = 80) {
  const letters = [...String(text)];
  return letters.length <= most ? String(text) : `${letters.slice(0, most - 1).join("")}…`;
}

export const plural = (count, word, many = `${word}s`) => `${number(count)} ${count === 1 ? word : many}`;
