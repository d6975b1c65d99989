/** Elements, and names that strangers chose: all of them get into the page as text, never as HTML. */

/** @typedef {Node | string | number | null | undefined | false} Child */
/** @typedef {Record<string, string | number | boolean | null | undefined | ((event: any) => void)>} Properties */

/** What does not print, or turns the direction of writing. */
const UNPRINTABLE = /[\p{C}\p{Zl}\p{Zp}]|(?! )\p{Zs}/gu;

const NUMBERS = new Intl.NumberFormat("en-US");

/** Characters of a name that a list shows. */
const LONGEST = 200;

/**
 * A name with whatever does not print written as an escape.
 * @param {string} text
 * @returns {string}
 */
export function visible(text) {
  return text.replace(UNPRINTABLE, (found) => {
    const code = /** @type {number} */ (found.codePointAt(0));
    return code < 0x100 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u{${code.toString(16)}}`;
  });
}

/**
 * A name that fits a list: visible, its middle left out if it is long.
 * @param {string} text
 * @param {number} [longest] characters
 * @returns {string}
 */
export function brief(text, longest = LONGEST) {
  const shown = visible(text.length > 4 * longest ? text.slice(0, 2 * longest) + text.slice(-2 * longest) : text);
  if (shown.length <= longest) return shown;
  const half = Math.floor(longest / 2);
  return `${shown.slice(0, half)} … ${shown.slice(-half)}`;
}

/**
 * An element. Functions are listeners (`onclick`), `true` is an attribute without a value.
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag
 * @param {Properties} [properties]
 * @param {...Child} children
 * @returns {HTMLElementTagNameMap[T]}
 */
export function h(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (typeof value === "function") made.addEventListener(name.slice(2), value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(name, String(value));
  }
  made.append(.../** @type {(Node | string)[]} */ (kept(children)));
  return made;
}

/**
 * @param {Child[]} children
 * @returns {(Node | string)[]}
 */
function kept(children) {
  return children
    .filter((child) => child !== null && child !== undefined && child !== false)
    .map((child) => (typeof child === "number" ? String(child) : /** @type {Node | string} */ (child)));
}

/**
 * Put children in the place of those that an element has. What had the focus has it again, by its id.
 * @param {Element} element
 * @param {...Child} children
 */
export function fill(element, ...children) {
  const focused = element.contains(document.activeElement) ? document.activeElement?.id : "";
  element.replaceChildren(...kept(children));
  if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
}

/**
 * A stranger's name: cut to a list's size, and not mixing with the text around it.
 * @param {string} text
 * @param {number} [longest]
 */
export function name(text, longest) {
  const shown = brief(text, longest);
  return h("bdi", { class: "name", title: shown.length < text.length ? visible(text).slice(0, 2000) : null }, shown || "(no name)");
}

/**
 * Milliseconds as a person reads them.
 * @param {number} value
 */
export function ms(value) {
  return `${grouped(value)} ms`;
}

/**
 * A whole number, or one with a digit where it is small and broken.
 * @param {number} value
 */
export function grouped(value) {
  const rounded = Math.abs(value) < 100 ? Math.round(value * 10) / 10 : Math.round(value);
  return NUMBERS.format(rounded).replace("-", "−");
}

/**
 * What changed from one side to the other, with its sign.
 * @param {{a: number, b: number}} sides
 */
export function signed({ a, b }) {
  return `${b > a ? "+" : ""}${grouped(b - a)}`;
}

/**
 * @param {number} part
 * @param {number} whole
 */
export function share(part, whole) {
  return `${(whole > 0 ? (100 * part) / whole : 0).toFixed(1)} %`;
}

/**
 * A time of day, with its date where that is another day.
 * @param {number} at ms since the epoch
 */
export function clock(at) {
  const when = new Date(at);
  if (!Number.isFinite(when.getTime())) return "?";
  const time = when.toLocaleTimeString("en-GB");
  return when.toDateString() === new Date().toDateString() ? time : `${when.toLocaleDateString("en-CA")} ${time}`;
}

/**
 * @param {number} count
 * @param {string} one
 * @param {string} [many]
 */
export function plural(count, one, many = `${one}s`) {
  return `${grouped(count)} ${count === 1 ? one : many}`;
}
