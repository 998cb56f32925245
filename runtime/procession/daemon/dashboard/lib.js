// The one place that knows where Preact and htm lie.
import { h, render, createContext, Fragment } from "./preact.js";
import htm from "./htm.js";

export { h, render, createContext, Fragment };
export { useState, useEffect, useLayoutEffect, useMemo, useRef, useCallback, useContext, useId } from "./preact-hooks.js";
export const html = htm.bind(h);
