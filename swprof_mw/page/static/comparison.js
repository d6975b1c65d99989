/** The fourth state: chosen requests as a flame graph and a tree, a part of their time, and what differs from others. */

import { fill, h, name, plural } from "./dom.js";
import { difference, Together } from "./model.js";
import { profileView } from "./profile.js";
import { analysis, requests, tasks } from "./queries.js";
import { bounds, choices, exportButtons, rangeForm } from "./selection.js";

/** @typedef {import("./app.js").Page} Page */
/** @typedef {import("./queries.js").Request} Request */
/** @typedef {import("./selection.js").Side} Side */

/** Requests that are asked for at the same time: the server works at one while the page adds up another. */
const AT_ONCE = 2;

/** @param {Page} page */
export async function comparison(page) {
  const [, service = "", id = ""] = page.route.path;
  const query = page.route.query;
  const other = query.get("task") || id;
  const [made, ours] = await Promise.all([tasks(service), requests(id)]);
  const task = made.find((one) => one.id === id);
  const theirs = other === id ? ours : await requests(other);
  const a = side(ours, query, "a");
  const b = side(theirs, query, "b");
  const taskAddress = `#/task/${encodeURIComponent(service)}/${encodeURIComponent(id)}`;
  const title = b.requests.length ? "Difference" : plural(a.requests.length, "request");
  page.trail([task?.serviceName ?? "service", `#/service/${encodeURIComponent(service)}`], [task?.endpointName ?? "task", taskAddress], [title, ""]);
  if (!a.requests.length) {
    fill(page.main, h("h1", {}, "Nothing was chosen"), h("p", {}, h("a", { href: taskAddress }, "Choose requests"), " of the task."));
    return;
  }
  const tips = new Set();
  const [left, right] = await Promise.all([tree(a, tips), b.requests.length ? tree(b, tips) : null]);
  const view = profileView(right ? difference(left, a.requests.length, right, b.requests.length) : left);
  page.leave(view.close);
  fill(
    page.main,
    h("h1", {}, right ? "Difference" : heading(a)),
    right && h("p", {}, `A: ${described(a)}. B: ${described(b)}.`),
    ...[...tips].map((tip) => h("p", { class: "panel" }, name(String(tip), 500))),
    view.element,
    h(
      "div",
      { class: "side-by-side" },
      rangeForm("a", a, page.route),
      right && rangeForm("b", b, page.route),
      right ? null : exportButtons(a),
      choices({ ours: ours, theirs, tasks: made, route: page.route, task: other }),
    ),
  );
}

/** @param {Side} one */
function heading(one) {
  const [first] = one.requests;
  const words = one.requests.length === 1 ? `${first.method} ` : `${plural(one.requests.length, "request")} of `;
  return h("span", {}, words, name(first.endpoint), one.requests.length === 1 && ` ${first.status}`);
}

/** @param {Side} one */
function described(one) {
  const { from, to } = one.range;
  const part = from === null && to === null ? "" : `, from ${from ?? 0} ms to ${to === null ? "the end" : `${to} ms`}`;
  return plural(one.requests.length, "request") + part;
}

/** @param {Request[]} found @param {URLSearchParams} query @param {"a" | "b"} letter @returns {Side} */
function side(found, query, letter) {
  const chosen = new Set((query.get(letter) ?? "").split(",").filter(Boolean));
  /** @param {string} key */
  const bound = (key) => (/^\d{1,9}$/.test(query.get(letter + key) ?? "") ? Number(query.get(letter + key)) : null);
  return { requests: found.filter((one) => chosen.has(one.segment)), range: { from: bound("from"), to: bound("to") } };
}

/** @param {Side} side @param {Set<unknown>} tips gets what the server has to say */
async function tree(side, tips) {
  const all = new Together();
  const waiting = [...side.requests];
  const work = async () => {
    for (let one = waiting.shift(); one; one = waiting.shift()) {
      const [start, end] = bounds(one, side.range);
      const { tip, trees } = await analysis(one.segment, start, end);
      if (tip) tips.add(tip);
      all.addTrees(end - start, trees);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return all.tree(side.requests.length === 1 ? "request" : plural(side.requests.length, "request"));
}
