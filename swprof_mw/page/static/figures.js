/** The numbers of a profile, of a difference, and of a single frame. */

import { brief, grouped, h, ms, share, signed, visible } from "./dom.js";
import { mark, place } from "./frames.js";
import { KINDS } from "./model.js";

/** @typedef {import("./model.js").Frame} Frame */

const WORDS = { working: "Working", waiting: "Waiting", queued: "Queueing", unsampled: "Not sampled" };

const MEANING = {
  working: "Ran on a processor",
  waiting: "For a database, a service, a lock, a timer, a processor",
  queued: "Could go on, but its event loop was busy with others",
  unsampled: "No snapshot tells what the request did",
};

/** Characters of a name from which on it is scrolled by keyboard, and those that are shown at all. */
const LONG = 500;
const LONGEST = 12_000;

/** Where the time of a profile went. @param {Frame} root */
export function numbers(root) {
  const bar = h("div", { class: "bar", "aria-hidden": "true" });
  for (const kind of KINDS) {
    const part = h("span", { class: kind });
    part.style.width = `${root.total > 0 ? (100 * root.times[kind]) / root.total : 0}%`;
    bar.append(part);
  }
  const kinds = KINDS.map((kind) => number(WORDS[kind], ms(root.times[kind]), MEANING[kind], kind, kind, share(root.times[kind], root.total)));
  return h("section", { class: "numbers", "aria-label": "Where the time went" }, bar, h("dl", {}, number("Total", ms(root.total), "All that is shown", "", "total"), ...kinds));
}

/** What is different on two sides. @param {Frame} root */
export function changes(root) {
  const { a, b } = root.sides ?? { a: 0, b: 0 };
  return h(
    "section",
    { class: "numbers", "aria-label": "What changed" },
    h(
      "dl",
      {},
      number("A", ms(a), "A request of A, on average"),
      number("B", ms(b), "A request of B, on average"),
      number("B − A", `${signed({ a, b })} ms`, "Frames are as wide as both together"),
      number("Slower in B", "red", "The more, the darker", "slower"),
      number("Faster in B", "blue", "The more, the darker", "faster"),
    ),
  );
}

/** @param {string} word @param {string} value @param {string} hint @param {string} [swatch] its colour's name @param {string} [kind] @param {string} [part] */
function number(word, value, hint, swatch, kind, part) {
  return h(
    "div",
    { class: "number", "data-kind": kind },
    h("dt", {}, swatch && h("span", { class: `swatch ${swatch}` }), word),
    h("dd", {}, h("strong", {}, value), " ", part && h("span", { class: "part" }, part)),
    h("dd", { class: "hint" }, hint),
  );
}

/**
 * All about a frame. A mark is where its caller is.
 * @param {Frame} frame
 * @param {Frame} root
 * @param {() => void} zoom
 */
export function described(frame, root, zoom) {
  const { name, file, line } = place(frame.text);
  const above = mark(frame.text) && frame.above ? place(frame.above.text) : null;
  return h(
    "div",
    {},
    h("h2", {}, h("bdi", { class: "long", tabindex: name.length > LONG ? "0" : null }, visible(name).slice(0, LONGEST) || "(no name)")),
    file && h("p", { class: "place" }, h("bdi", {}, `${brief(file, 1000)}:${line}`)),
    above && h("p", { class: "place" }, "in ", h("bdi", {}, brief(above.name)), above.file && " ", above.file && h("bdi", {}, `${brief(above.file, 1000)}:${above.line}`)),
    h("dl", { class: "pairs" }, ...times(frame, root).map(([word, value]) => h("div", {}, h("dt", {}, word), h("dd", {}, value)))),
    h("button", { type: "button", id: "zoom-in", onclick: zoom }, "Zoom in"),
  );
}

/** @param {Frame} frame @param {Frame} root @returns {[string, string][]} */
function times(frame, root) {
  if (frame.sides)
    return [
      ["A", ms(frame.sides.a)],
      ["B", ms(frame.sides.b)],
      ["B − A", `${signed(frame.sides)} ms`],
    ];
  return [
    ["Total", `${ms(frame.total)}, ${share(frame.total, root.total)}`],
    ["Own", `${ms(frame.own)}, ${share(frame.own, root.total)}`],
    ...KINDS.filter((kind) => frame.times[kind] > 0).map((kind) => /** @type {[string, string]} */ ([WORDS[kind], ms(frame.times[kind])])),
    ["Snapshots", grouped(frame.count)],
  ];
}
