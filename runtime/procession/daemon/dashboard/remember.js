// What a person chose, kept in their browser. Where that is refused it lasts as long as the page.
import { useState } from "./lib.js";

const PREFIX = "procession.";

export function recall(name, otherwise) {
  try {
    const text = localStorage.getItem(PREFIX + name);
    return text === null ? otherwise : JSON.parse(text);
  } catch {
    return otherwise;
  }
}

export function keep(name, value) {
  try {
    localStorage.setItem(PREFIX + name, JSON.stringify(value));
  } catch {
    // Private windows may refuse: the choice then lasts as long as the page.
  }
}

export function remembered(name, otherwise) {
  const [value, setValue] = useState(() => recall(name, otherwise));
  const choose = (next) => {
    setValue(next);
    keep(name, next);
  };
  return [value, choose];
}
