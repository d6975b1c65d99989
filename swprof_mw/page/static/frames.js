/** A code signature taken apart: `FILE.FUNCTION: LINE`, and whether it is the app's own. */

import { PACKAGES } from "./packages.js";

/** @typedef {{name: string, file: string, line: number}} Place */
/** @typedef {"working" | "waiting" | "queued" | "unsampled"} Kind */

const SUFFIX = String.raw`\.(?:py[a-z]?|html?|jinja2?|j2|mako|txt|xml)`;
const PLACE = new RegExp(String.raw`^(<[^>]*>|(?:.*/)?(?:[^/]*?${SUFFIX}|[^/.]+))\.([^/]+)$`, "s");
const LINE = /^[0-9]{1,9}$/;
const INSTALLED = /(?:^|\/)(?:site-packages|dist-packages|lib\/python3[^/]*)\//;

/** @type {ReadonlyMap<string, Kind>} */
const MARKS = new Map([
  ["[waiting]", "waiting"],
  ["[queued]", "queued"],
]);

/** Longer ones are no place in code. */
const LONGEST = 4096;

/**
 * The mark at a stack's end that says what the request did, if the text is one.
 * @param {string} text
 * @returns {Kind | null}
 */
export function mark(text) {
  return MARKS.get(text) ?? null;
}

/**
 * Where a frame is; of a text that has another form all is the name.
 * @param {string} text
 * @returns {Place}
 */
export function place(text) {
  const at = text.lastIndexOf(": ");
  const found = at > 0 && text.length <= LONGEST && LINE.test(text.slice(at + 2)) && PLACE.exec(text.slice(0, at));
  return found ? { name: found[2], file: found[1], line: Number(text.slice(at + 2)) } : { name: text, file: "", line: 0 };
}

/**
 * Whether a frame is of the standard library or lies between the server and the app, by its path.
 * @param {string} text
 * @returns {boolean}
 */
export function isFramework(text) {
  if (text.startsWith("<frozen ") || INSTALLED.test(text.slice(0, LONGEST))) return true;
  const at = text.lastIndexOf(": ");
  if (at < 0 || !LINE.test(text.slice(at + 2))) return false;
  return PACKAGES.has(text.split("/", 1)[0].split(".", 1)[0]);
}
