/** What is shown of a profile, in the page and in a report alike: numbers, flame graph, tree table, the chosen frame. */

import { fill, grouped, h, ms, plural, share } from "./dom.js";
import { changes, described, numbers } from "./figures.js";
import { Flame } from "./flame.js";
import { withoutFramework } from "./model.js";
import { Tree } from "./tree.js";

/** @typedef {import("./model.js").Frame} Frame */

/** Whether the framework's frames are left out; stays from one profile to the next. */
let hiding = true;

export class ProfileView {
  /** @type {Flame | null} */
  #flame = null;
  #graph = h("div", { class: "flame", id: "flame", tabindex: "0", role: "application", "aria-label": "Flame graph", "aria-describedby": "flame-keys" });
  #narrow = h("p", { class: "hint" });
  #details = h("div", { id: "frame-details", class: "details", role: "status" });
  #table = h("div", { class: "scroll" });
  #search = h("input", { type: "search", id: "search", autocomplete: "off", spellcheck: "false", oninput: () => this.#sought() });
  #found = h("span", { role: "status", class: "found" });

  /** @param {Frame} root */
  constructor(root) {
    this.root = this.shown = root;
    this.element = h(
      "div",
      { class: "profile" },
      root.sides ? changes(root) : numbers(root),
      this.#controls(),
      h("p", { class: "hint", id: "flame-keys" }, "Arrow keys go from frame to frame, Enter zooms in, Escape zooms out."),
      this.#graph,
      this.#narrow,
      this.#details,
      h("h2", {}, "Tree"),
      this.#table,
    );
    requestAnimationFrame(() => this.#draw());
  }

  /** Forget the elements. */
  close() {
    this.#flame?.close();
  }

  #controls() {
    const hide = h("input", { type: "checkbox", id: "hide-framework", onchange: () => ((hiding = hide.checked), this.#draw()) });
    hide.checked = hiding;
    return h(
      "div",
      { class: "controls" },
      h("label", { for: "search" }, "Search"),
      this.#search,
      h("label", { class: "check" }, hide, " Hide framework code"),
      h("button", { type: "button", onclick: () => this.#flame?.reset() }, "Reset zoom"),
      this.#found,
    );
  }

  #draw() {
    this.shown = hiding ? withoutFramework(this.root) : this.root;
    if (this.root.sides) this.shown.sides = this.root.sides;
    this.#flame?.close();
    fill(this.#graph);
    /** @type {any} */ (this.#graph).__data__ = undefined;
    const chosen = (/** @type {Frame} */ frame) => this.#chosen(frame);
    this.#flame = new Flame(this.#graph, this.shown, chosen);
    fill(this.#table, new Tree(this.shown, chosen).element);
    fill(this.#details, h("p", { class: "hint" }, "Click a frame, or go to it with the arrow keys, for its file and line."));
    if (this.#search.value) this.#sought();
    this.#tellNarrow();
  }

  /** @param {Frame} frame */
  #chosen(frame) {
    fill(this.#details, described(frame, this.shown, () => this.#flame?.zoom(frame)));
    this.#tellNarrow();
  }

  #tellNarrow() {
    const hidden = this.#flame?.hidden ?? 0;
    fill(this.#narrow, hidden > 0 && `Frames narrower than ${grouped(hidden)} px are not drawn: zoom in to see them.`);
  }

  #sought() {
    const { count, sum } = this.#flame?.search(this.#search.value) ?? { count: 0, sum: 0 };
    fill(this.#found, this.#search.value && `${plural(count, "frame")}, ${ms(sum)}, ${share(sum, this.shown.total)}`);
  }
}
