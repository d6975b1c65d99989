/** The flame graph: d3-flame-graph over a tree of frames, by mouse and by keyboard. */

import { brief, ms, share } from "./dom.js";
import { label, mostly } from "./model.js";
import flamegraph, { select } from "./vendor/d3-flame-graph.js";

/** @typedef {import("./model.js").Frame} Frame */
/** @typedef {{data: Frame, parent: Node | null, children?: Node[], id: number, depth: number, value: number,
 *    x0: number, x1: number, highlight?: boolean}} Node */

/** Frames drawn at the same time: the widest. */
const MOST_DRAWN = 2000;

/** Pixels under which a frame cannot be seen. */
const LEAST_WIDTH = 0.5;
const ROW = 20;

/** Labels by code signature. @type {Map<string, string>} */
const labels = new Map();

/** @param {Frame} frame */
function named(frame) {
  let found = labels.get(frame.text);
  if (found === undefined) {
    if (labels.size > 50_000) labels.clear();
    found = brief(label(frame)) || "(no name)";
    labels.set(frame.text, found);
  }
  return found;
}

/** Draws one tree in an element. Keys: arrows go to other frames, Enter zooms, Escape zooms out. */
export class Flame {
  /**
   * @param {HTMLElement} element
   * @param {Frame} root
   * @param {(frame: Frame) => void} chosen is told of the frame that was clicked or gone to
   */
  constructor(element, root, chosen) {
    this.element = element;
    this.root = root;
    this.chosen = chosen;
    /** @type {Node | null} */
    this.current = null;
    /** @type {Node | null} */
    this.zoomed = null;
    this.least = LEAST_WIDTH;
    this.chart = flamegraph()
      .cellHeight(ROW)
      .inverted(true)
      .transitionDuration(0)
      .resetHeightOnZoom(true)
      .sort((/** @type {Node} */ one, /** @type {Node} */ other) => other.data.total - one.data.total)
      .getName((/** @type {Node} */ node) => named(node.data))
      .getValue((/** @type {any} */ one) => ("total" in one ? one.total : one.value))
      .setLabelHandler((/** @type {Node} */ node) => title(node.data, this.root))
      .setColorMapper((/** @type {Node} */ node) => colour(node, this.root))
      .setSearchMatch((/** @type {Node} */ node, /** @type {string} */ term) => matches(node.data, term))
      .setSearchHandler((/** @type {Node[]} */ found, /** @type {number} */ sum) => (this.found = { count: found.length, sum }))
      .setDetailsHandler(() => {})
      .onClick((/** @type {Node} */ node) => this.#went(node, true));
    this.found = { count: 0, sum: 0 };
    element.addEventListener("click", (event) => this.#prepare(event), true);
    element.addEventListener("keydown", (event) => this.#key(event));
    this.#draw();
    this.observer = new ResizeObserver(() => this.#resize());
    this.observer.observe(element);
  }

  /** Frames so narrow are not drawn, px. */
  get hidden() {
    return this.least > LEAST_WIDTH ? this.least : 0;
  }

  /**
   * Mark the frames whose text holds `term`.
   * @param {string} term
   * @returns {{count: number, sum: number}} frames, and ms that they and those below take
   */
  search(term) {
    this.chart.search(term);
    this.#show();
    return this.found;
  }

  /** Show all of it. */
  reset() {
    this.#zoom(this.#top());
  }

  /**
   * Show a frame as wide as all.
   * @param {Frame} frame
   */
  zoom(frame) {
    const node = this.#find(frame);
    if (node) this.#zoom(node);
  }

  /** Forget the element. */
  close() {
    this.observer.disconnect();
  }

  #width() {
    return Math.max(this.element.clientWidth - 2, 200);
  }

  #draw() {
    this.chart.width(this.#width());
    this.#fit(this.root, this.root.total);
    select(this.element).datum(this.root).call(this.chart);
    const svg = this.element.querySelector("svg");
    svg?.setAttribute("aria-hidden", "true");
    svg?.querySelector("text.title")?.remove();
    this.current = this.zoomed = this.#top();
    this.#show();
  }

  #resize() {
    if (!this.element.isConnected || this.chart.width() === this.#width()) return;
    this.chart.width(this.#width());
    this.chart.update();
    this.#show();
  }

  /** @returns {Node} */
  #top() {
    return /** @type {any} */ (this.element).__data__;
  }

  /** @param {Frame} frame @returns {Node | undefined} */
  #find(frame) {
    const waiting = [this.#top()];
    for (let one = waiting.pop(); one; one = waiting.pop()) {
      if (one.data === frame) return one;
      waiting.push(...(one.children ?? []));
    }
    return undefined;
  }

  /**
   * Choose the width from which on frames are drawn: thousands of slivers take seconds, and show nothing.
   * @param {Frame} frame that is going to be as wide as all
   * @param {number} total
   */
  #fit(frame, total) {
    const widths = [];
    const waiting = [frame];
    const scale = total > 0 ? this.#width() / total : 0;
    for (let one = waiting.pop(); one; one = waiting.pop()) {
      const width = one.total * scale;
      if (width < LEAST_WIDTH) continue;
      widths.push(width);
      waiting.push(...one.children);
    }
    widths.sort((one, other) => other - one);
    // A bit more: the library reckons widths otherwise, and of thousands that are equal it would draw all.
    this.least = Math.max(LEAST_WIDTH, (widths[MOST_DRAWN] ?? 0) * (1 + 1e-9));
    this.chart.minFrameSize(this.least);
  }

  /** @param {MouseEvent} event */
  #prepare(event) {
    const node = /** @type {any} */ (event.target instanceof Element ? event.target.closest("g.frame") : null)?.__data__;
    if (node) this.#fit(node.data, node.data.total);
  }

  /** @param {Node} node */
  #zoom(node) {
    this.#fit(node.data, node.data.total);
    this.chart.zoomTo(node);
  }

  /** @param {Node} node @param {boolean} zoomed */
  #went(node, zoomed) {
    this.current = node;
    if (zoomed) this.zoomed = node;
    this.#show();
    this.chosen(node.data);
  }

  /** Outline the current frame. The library leaves two rows below the lowest. */
  #show() {
    this.element.querySelector("svg")?.setAttribute("height", String(this.chart.height() - 2 * ROW));
    const frames = /** @type {NodeListOf<any>} */ (this.element.querySelectorAll("g.frame"));
    for (const each of frames) each.classList.toggle("current", each.__data__ === this.current);
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const at = this.current;
    if (!at || event.ctrlKey || event.altKey || event.metaKey) return;
    const beside = at.parent?.children ?? [at];
    const index = beside.indexOf(at);
    /** @type {Record<string, () => Node | undefined | null>} */
    const ways = {
      ArrowUp: () => at.parent,
      ArrowDown: () => at.children?.[0],
      ArrowLeft: () => beside[index - 1],
      ArrowRight: () => beside[index + 1],
      Home: () => this.#top(),
    };
    if (event.key in ways) {
      const next = ways[event.key]();
      if (next) this.#went(next, false);
      this.element.querySelector(".current")?.scrollIntoView({ block: "nearest" });
    } else if (event.key === "Enter" || event.key === " ") {
      this.#zoom(at);
    } else if (event.key === "Escape") {
      this.reset();
    } else {
      return;
    }
    event.preventDefault();
  }
}

/** @param {Frame} frame @param {string} term */
function matches(frame, term) {
  return term !== "" && frame.text.toLowerCase().includes(term.toLowerCase());
}

/** @param {Frame} frame @param {Frame} root */
function title(frame, root) {
  const sides = frame.sides;
  const times = sides ? `A ${ms(sides.a)}, B ${ms(sides.b)}` : `${ms(frame.total)}, ${share(frame.total, root.total)}`;
  return `${named(frame)}: ${times}`;
}

/** @type {Record<import("./model.js").Kind, [string, string]>} a frame's colour, and that of the framework's */
const COLOURS = {
  working: ["#f6a560", "#f0d9c0"],
  waiting: ["#7cc4ea", "#cbe4f1"],
  queued: ["#c9a2f2", "#e2d5f0"],
  unsampled: ["#d4d4d4", "#d4d4d4"],
};

/** @param {Node} node @param {Frame} root */
function colour(node, root) {
  if (node.highlight) return "#ffe14d";
  const { sides, framework } = node.data;
  return sides ? changed(sides, root) : COLOURS[mostly(node.data)][framework ? 1 : 0];
}

/** Of a frame that takes as long in both, is slower in B, is faster. @type {[number, number, number][]} */
const [EVEN, SLOWER, FASTER] = [
  [226, 226, 226],
  [250, 120, 110],
  [110, 140, 255],
];

/**
 * The more of a whole request it is, the further from grey.
 * @param {{a: number, b: number}} sides
 * @param {Frame} root
 */
function changed(sides, root) {
  const whole = Math.max(root.sides?.a ?? 0, root.sides?.b ?? 0, 1);
  const part = Math.max(-1, Math.min(1, ((sides.b - sides.a) / whole) * 3));
  const far = part > 0 ? SLOWER : FASTER;
  return `rgb(${EVEN.map((value, at) => Math.round(value + (far[at] - value) * Math.abs(part))).join(",")})`;
}
