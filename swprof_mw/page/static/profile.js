/** What is shown of a profile, in the page and in a report alike: numbers, flame graph, tree table, the chosen frame. */

import { brief, fill, grouped, h, ms, plural, share, signed, visible } from "./dom.js";
import { Flame } from "./flame.js";
import { place } from "./frames.js";
import { KINDS, withoutFramework } from "./model.js";
import { Tree } from "./tree.js";

/** @typedef {import("./model.js").Frame} Frame */

export const WORDS = { working: "Working", waiting: "Waiting", queued: "Queueing", unsampled: "Not sampled" };

const MEANING = {
  working: "Ran on a processor",
  waiting: "For a database, another service, a lock, a timer",
  queued: "Could go on, but its event loop was busy with others",
  unsampled: "No snapshot tells what the request did",
};

/** Whether the framework's frames are left out; stays from one profile to the next. */
let hiding = true;

/**
 * @param {Frame} root
 * @returns {{element: HTMLElement, close: () => void}}
 */
export function profileView(root) {
  /** @type {Flame | null} */
  let flame = null;
  const graph = h("div", {
    class: "flame",
    id: "flame",
    tabindex: "0",
    role: "application",
    "aria-label": "Flame graph",
    "aria-describedby": "flame-keys",
  });
  const table = h("div", { class: "scroll" });
  const details = h("div", { id: "frame-details", class: "details", role: "status" });
  const found = h("span", { role: "status", class: "found" });
  const narrow = h("p", { class: "hint" });

  /** @param {Frame} frame */
  const chosen = (frame) => {
    fill(details, described(frame, shown, () => flame?.zoom(frame)));
    tellNarrow();
  };
  const tellNarrow = () => fill(narrow, flame?.hidden ? `Frames narrower than ${grouped(flame.hidden)} px are not drawn: zoom in to see them.` : "");
  const search = h("input", { type: "search", id: "search", autocomplete: "off", spellcheck: "false", oninput: () => sought() });
  const sought = () => {
    const { count, sum } = flame?.search(search.value) ?? { count: 0, sum: 0 };
    fill(found, search.value ? `${plural(count, "frame")}, ${ms(sum)}, ${share(sum, shown.total)}` : "");
  };

  let shown = root;
  const draw = () => {
    shown = hiding ? withoutFramework(root) : root;
    if (root.sides) shown.sides = root.sides;
    flame?.close();
    fill(graph);
    /** @type {any} */ (graph).__data__ = undefined;
    flame = new Flame(graph, shown, chosen);
    fill(table, new Tree(shown, chosen).element);
    fill(details, h("p", { class: "hint" }, "Click a frame, or go to it with the arrow keys, for its file and line."));
    if (search.value) sought();
    tellNarrow();
  };
  const hide = h("input", { type: "checkbox", id: "hide-framework", onchange: () => ((hiding = hide.checked), draw()) });
  hide.checked = hiding;

  const element = h(
    "div",
    { class: "profile" },
    root.sides ? changes(root) : numbers(root),
    h(
      "div",
      { class: "controls" },
      h("label", { for: "search" }, "Search"),
      search,
      found,
      h("label", { class: "check" }, hide, " Hide framework code"),
      h("button", { type: "button", onclick: () => flame?.reset() }, "Reset zoom"),
    ),
    h("p", { class: "hint", id: "flame-keys" }, "Arrow keys go from frame to frame, Enter zooms in, Escape zooms out."),
    graph,
    narrow,
    details,
    h("h2", {}, "Tree"),
    table,
  );
  requestAnimationFrame(draw);
  return { element, close: () => flame?.close() };
}

/** @param {Frame} root */
function numbers(root) {
  const bar = h("div", { class: "bar", "aria-hidden": "true" });
  for (const kind of KINDS) {
    const part = h("span", { class: kind });
    part.style.width = `${root.total > 0 ? (100 * root.times[kind]) / root.total : 0}%`;
    bar.append(part);
  }
  return h(
    "section",
    { class: "numbers", "aria-label": "Where the time went" },
    bar,
    h(
      "dl",
      {},
      number("Total", "", root.total, root.total, "All that is shown"),
      ...KINDS.map((kind) => number(WORDS[kind], kind, root.times[kind], root.total, MEANING[kind])),
    ),
  );
}

/** @param {string} word @param {string} kind @param {number} value @param {number} whole @param {string} meaning */
function number(word, kind, value, whole, meaning) {
  return h(
    "div",
    { class: "number", "data-kind": kind || "total" },
    h("dt", {}, kind && h("span", { class: `swatch ${kind}` }), word),
    h("dd", {}, h("strong", {}, ms(value)), kind && ` ${share(value, whole)}`),
    h("dd", { class: "hint" }, meaning),
  );
}

/** @param {Frame} root */
function changes(root) {
  const { a, b } = root.sides ?? { a: 0, b: 0 };
  /** @param {string} word @param {string} value @param {string} hint @param {string} [swatch] */
  const one = (word, value, hint, swatch) =>
    h("div", { class: "number" }, h("dt", {}, swatch && h("span", { class: `swatch ${swatch}` }), word), h("dd", {}, h("strong", {}, value)), h("dd", { class: "hint" }, hint));
  return h(
    "section",
    { class: "numbers", "aria-label": "What changed" },
    h(
      "dl",
      {},
      one("A", ms(a), "A request of A, on average"),
      one("B", ms(b), "A request of B, on average"),
      one("B − A", `${signed({ a, b })} ms`, "Frames are as wide as both together"),
      one("Slower in B", "red", "The more, the darker", "slower"),
      one("Faster in B", "blue", "The more, the darker", "faster"),
    ),
  );
}

/** @param {Frame} frame @param {Frame} root @param {() => void} zoom */
function described(frame, root, zoom) {
  const { name, file, line } = place(frame.text);
  const longest = 12_000;
  /** @type {[string, string][]} */
  const times = frame.sides
    ? [
        ["A", ms(frame.sides.a)],
        ["B", ms(frame.sides.b)],
        ["B − A", `${signed(frame.sides)} ms`],
      ]
    : [
        ["Total", `${ms(frame.total)}, ${share(frame.total, root.total)}`],
        ["Own", `${ms(frame.own)}, ${share(frame.own, root.total)}`],
        ...KINDS.filter((kind) => frame.times[kind] > 0).map((kind) => /** @type {[string, string]} */ ([WORDS[kind], ms(frame.times[kind])])),
        ["Snapshots", grouped(frame.count)],
      ];
  return h(
    "div",
    {},
    h("h2", {}, h("bdi", { class: "long", tabindex: name.length > 500 ? "0" : null }, visible(name).slice(0, longest) || "(no name)")),
    file && h("p", { class: "place" }, h("bdi", {}, `${brief(file, 1000)}:${line}`)),
    h("dl", { class: "pairs" }, ...times.map(([word, value]) => h("div", {}, h("dt", {}, word), h("dd", {}, value)))),
    h("button", { type: "button", id: "zoom-in", onclick: zoom }, "Zoom in"),
  );
}
