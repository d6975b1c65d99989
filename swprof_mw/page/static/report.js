/** The script of the HTML report: what it shows stands in the file itself. */

import { fill, h, plural } from "./dom.js";
import { fromStacks, together } from "./model.js";
import { profileView } from "./profile.js";

/** @typedef {{name: string, duration: number, stacks: [number[], number, number][]}} Reported */
/** @typedef {{frames: string[], profiles: Reported[]}} Content */

const main = /** @type {HTMLElement} */ (document.getElementById("main"));
/** @type {Content} */
const content = JSON.parse(/** @type {HTMLElement} */ (document.getElementById("profiles")).textContent ?? "");

/** @param {Reported} one @returns {import("./model.js").Part} */
function part({ name, duration, stacks }) {
  const own = stacks.map(([stack, time, count]) => ({ stack: stack.map((index) => content.frames[index]), own: time, count }));
  return { text: name, duration, roots: fromStacks(own) };
}

const boxes = content.profiles.map((one) => {
  const box = h("input", { type: "checkbox", onchange: () => show() });
  box.checked = true;
  return { box, label: h("label", { class: "check" }, box, " ", h("bdi", {}, one.name)) };
});
const place = h("div");
/** @type {() => void} */
let close = () => {};

function show() {
  close();
  const chosen = content.profiles.filter((_, number) => boxes[number].box.checked);
  if (!chosen.length) return fill(place, h("p", {}, "Choose a request."));
  const view = profileView(together(chosen.length === 1 ? "request" : plural(chosen.length, "request"), chosen.map(part)));
  close = view.close;
  fill(place, view.element);
}

fill(
  main,
  h("h1", {}, plural(content.profiles.length, "profiled request")),
  h("fieldset", { class: "groups" }, h("legend", {}, "Requests that are shown"), h("div", {}, ...boxes.map((one) => one.label))),
  place,
);
show();
