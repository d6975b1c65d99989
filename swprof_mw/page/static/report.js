/** The script of the HTML report: what it shows stands in the file itself. */

import { fill, h, plural } from "./dom.js";
import { Together } from "./model.js";
import { ProfileView } from "./profile.js";

/** @typedef {{name: string, duration: number, stacks: [number[], number, number][]}} Reported */
/** @typedef {{frames: string[], profiles: Reported[]}} Content */

const main = /** @type {HTMLElement} */ (document.getElementById("main"));
/** @type {Content} */
const content = JSON.parse(/** @type {HTMLElement} */ (document.getElementById("profiles")).textContent ?? "");

/** @param {Reported[]} chosen */
function tree(chosen) {
  const all = new Together();
  for (const { duration, stacks } of chosen) {
    all.addStacks(duration, stacks.map(([stack, own, count]) => ({ stack: stack.map((index) => content.frames[index]), own, count })));
  }
  return all.tree(chosen.length === 1 ? "request" : plural(chosen.length, "request"));
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
  const view = new ProfileView(tree(chosen));
  close = () => view.close();
  fill(place, view.element);
}

fill(
  main,
  h("h1", {}, plural(content.profiles.length, "profiled request")),
  h("fieldset", { class: "groups" }, h("legend", {}, "Requests that are shown"), h("div", {}, ...boxes.map((one) => one.label))),
  place,
);
show();
