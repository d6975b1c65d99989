/** The tree table: each frame a row, by mouse and by keyboard. */

import { brief, fill, grouped, h, share, signed } from "./dom.js";
import { place } from "./frames.js";
import { KINDS, mostly } from "./model.js";

/** @typedef {import("./model.js").Frame} Frame */
/** @typedef {{frame: Frame, depth: number, indent: number, open: boolean, row: HTMLTableRowElement}} Line */

/** Rows that are open at the beginning, children of a frame that are shown. */
const OPEN = 40;
const MOST_CHILDREN = 200;

/** How far a frame is indented below its caller: less in a stack so deep, where that called nothing else. */
const STEP = 1;
const CHAINED = 0.25;
const DEEP = 12;

/** Part of all under which a frame is not opened by itself. */
const LEAST = 0.02;

export class Tree {
  /**
   * @param {Frame} root
   * @param {(frame: Frame) => void} chosen is told of the row that was chosen
   */
  constructor(root, chosen) {
    this.root = root;
    this.chosen = chosen;
    this.body = h("tbody");
    this.element = h(
      "table",
      { role: "treegrid", "aria-label": "Frames as a tree", class: "tree" },
      h("thead", {}, h("tr", {}, ...columns(root).map(([title, hint]) => h("th", { scope: "col", title: hint }, title)))),
      this.body,
    );
    /** @type {Line[]} */
    this.lines = [];
    this.#begin();
    this.body.addEventListener("click", (event) => this.#click(event));
    this.body.addEventListener("keydown", (event) => this.#key(event));
  }

  /** The root's row, then whatever takes most of the time, as far as there is room. */
  #begin() {
    this.#insert(0, [this.#line(this.root, 0, 0)]);
    for (let opened = true; opened && this.lines.length < OPEN; ) {
      const widest = this.lines
        .filter((line) => !line.open && line.frame.children.length && line.frame.total >= LEAST * this.root.total)
        .sort((one, other) => other.frame.total - one.frame.total)[0];
      opened = Boolean(widest);
      if (widest) this.#open(widest);
    }
    this.lines[0]?.row.setAttribute("tabindex", "0");
  }

  /** @param {Frame} frame @param {number} depth @param {number} indent @returns {Line} */
  #line(frame, depth, indent) {
    const inner = frame.children.length > 0;
    const toggle = h("span", { class: "toggle", "aria-hidden": "true" }, inner ? "▸" : "");
    const row = h(
      "tr",
      { "aria-level": depth + 1, "aria-expanded": inner ? "false" : null, tabindex: "-1", class: frame.framework ? "framework" : null },
      h("th", { scope: "row" }, toggle, !frame.sides && h("span", { class: `swatch ${mostly(frame)}` }), text(frame)),
      ...cells(frame, this.root).map((cell) => h("td", { class: cell === "0" ? "zero" : null }, cell)),
    );
    row.style.setProperty("--indent", String(indent));
    return { frame, depth, indent, open: false, row };
  }

  /** @param {number} at @param {Line[]} lines */
  #insert(at, lines) {
    const after = at > 0 ? this.lines[at - 1].row : null;
    this.lines.splice(at, 0, ...lines);
    if (after) after.after(...lines.map((line) => line.row));
    else this.body.prepend(...lines.map((line) => line.row));
  }

  /** @param {Line} line */
  #open(line) {
    if (line.open || !line.frame.children.length) return;
    this.#mark(line, true);
    const sorted = [...line.frame.children].sort((one, other) => other.total - one.total).slice(0, MOST_CHILDREN);
    this.#insert(
      this.lines.indexOf(line) + 1,
      sorted.map((child) => this.#line(child, line.depth + 1, line.indent + (sorted.length > 1 || line.depth < DEEP ? STEP : CHAINED))),
    );
  }

  /** @param {Line} line */
  #close(line) {
    if (!line.open) return;
    this.#mark(line, false);
    const from = this.lines.indexOf(line) + 1;
    let to = from;
    while (to < this.lines.length && this.lines[to].depth > line.depth) this.lines[to++].row.remove();
    this.lines.splice(from, to - from);
  }

  /** @param {Line} line @param {boolean} open */
  #mark(line, open) {
    line.open = open;
    line.row.setAttribute("aria-expanded", String(open));
    fill(/** @type {Element} */ (line.row.querySelector(".toggle")), open ? "▾" : "▸");
  }

  /** @param {Event} event @returns {Line | undefined} */
  #at(event) {
    const row = event.target instanceof Element ? event.target.closest("tr") : null;
    return this.lines.find((line) => line.row === row);
  }

  /** @param {MouseEvent} event */
  #click(event) {
    const line = this.#at(event);
    if (!line) return;
    if (event.target instanceof Element && event.target.closest(".toggle")) {
      if (line.open) this.#close(line);
      else this.#open(line);
    }
    this.#go(line);
    this.chosen(line.frame);
  }

  /** @param {Line | undefined} line */
  #go(line) {
    if (!line) return;
    for (const each of this.body.querySelectorAll('[tabindex="0"]')) each.setAttribute("tabindex", "-1");
    line.row.setAttribute("tabindex", "0");
    line.row.focus();
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const line = this.#at(event);
    if (!line || event.ctrlKey || event.altKey || event.metaKey) return;
    const index = this.lines.indexOf(line);
    /** @type {Record<string, () => void>} */
    const ways = {
      ArrowDown: () => this.#go(this.lines[index + 1]),
      ArrowUp: () => this.#go(this.lines[index - 1]),
      ArrowRight: () => (line.open ? this.#go(this.lines[index + 1]) : this.#open(line)),
      ArrowLeft: () => (line.open ? this.#close(line) : this.#go(this.#above(line, index))),
      Home: () => this.#go(this.lines[0]),
      End: () => this.#go(this.lines[this.lines.length - 1]),
      Enter: () => this.chosen(line.frame),
      " ": () => this.chosen(line.frame),
    };
    if (!(event.key in ways)) return;
    ways[event.key]();
    event.preventDefault();
  }

  /** @param {Line} line @param {number} index */
  #above(line, index) {
    return this.lines.slice(0, index).findLast((each) => each.depth < line.depth);
  }
}

/** @param {Frame} frame */
function text(frame) {
  const { name, file, line } = place(frame.text);
  return h("span", { class: "frame-text" }, h("bdi", {}, brief(name) || "(no name)"), file && " ", file && h("bdi", { class: "file" }, `${brief(file)}:${line}`));
}

/** @param {Frame} root @returns {[string, string][]} */
function columns(root) {
  if (root.sides)
    return [
      ["Frame", "Function, file and line"],
      ["A, ms", "A request of A, on average"],
      ["B, ms", "A request of B, on average"],
      ["B − A", "What changed, ms"],
    ];
  return [
    ["Frame", "Function, file and line"],
    ["ms", "With all that it calls"],
    ["Share", "Of all that is shown"],
    ["Own", "ms in the line itself"],
    ["Working", "ms"],
    ["Waiting", "ms"],
    ["Queueing", "ms"],
    ["Snapshots", "In which it was seen"],
  ];
}

/** @param {Frame} frame @param {Frame} root @returns {string[]} */
function cells(frame, root) {
  if (frame.sides) {
    return [grouped(frame.sides.a), grouped(frame.sides.b), signed(frame.sides)];
  }
  const kinds = KINDS.filter((kind) => kind !== "unsampled").map((kind) => grouped(frame.times[kind]));
  return [grouped(frame.total), share(frame.total, root.total), grouped(frame.own), ...kinds, grouped(frame.count)];
}
