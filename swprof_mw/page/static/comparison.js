/** The fourth state: chosen requests as a flame graph and a tree, a part of their time, and what differs from others. */

import { clock, fill, h, ms, name, plural } from "./dom.js";
import { difference, Together } from "./model.js";
import { ProfileView } from "./profile.js";
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
  const theirs = other === id ? ours : await requests(other);
  const [a, b] = [side(ours, query, "a"), side(theirs, query, "b")];
  const task = made.find((one) => one.id === id);
  const taskAddress = `#/task/${encodeURIComponent(service)}/${encodeURIComponent(id)}`;
  const title = b.requests.length ? "Difference" : plural(a.requests.length, "request");
  page.trail([task?.serviceName ?? "service", `#/service/${encodeURIComponent(service)}`], [task?.endpointName ?? "task", taskAddress], [title, ""]);
  if (!a.requests.length) {
    fill(page.main, h("h1", {}, "Nothing was chosen"), h("p", {}, h("a", { href: taskAddress }, "Choose requests"), " of the task."));
    return;
  }
  const tips = new Set();
  const text = b.requests.length || a.requests.length === 1 ? "request" : title;
  const [left, right] = await Promise.all([tree(a, text, tips), b.requests.length ? tree(b, text, tips) : null]);
  const view = new ProfileView(right ? difference(left, a.requests.length, right, b.requests.length) : left);
  page.leave(() => view.close());
  fill(
    page.main,
    ...(right ? [h("h1", {}, "Difference"), described("A: ", a), described("B: ", b)] : [heading(a), described("", a)]),
    ...[...tips].map((tip) => h("p", { class: "panel" }, name(String(tip), 500))),
    view.element,
    h(
      "div",
      { class: "side-by-side" },
      rangeForm("a", a, page.route),
      right ? rangeForm("b", b, page.route) : exportButtons(a),
      choices({ ours, theirs, tasks: made, route: page.route, task: other }),
    ),
  );
}

/** @param {Side} one */
function heading(one) {
  const [first] = one.requests;
  if (one.requests.length === 1) return h("h1", {}, `${first.method} `, name(first.endpoint), ` ${first.status}`);
  return h("h1", {}, `${plural(one.requests.length, "request")} of `, name(first.endpoint));
}

/** When and where it was, and which part of it. @param {string} letter @param {Side} one */
function described(letter, one) {
  const [first] = one.requests;
  const { from, to } = one.range;
  const part = from === null && to === null ? "" : `, from ${from ?? 0} ms to ${to === null ? "the end" : `${to} ms`}`;
  if (one.requests.length > 1) return h("p", { class: "hint" }, letter, plural(one.requests.length, "request"), ` since ${clock(first.start)}`, part);
  return h("p", { class: "hint" }, letter, `${ms(first.end - first.start)} at ${clock(first.start)} in `, name(first.instance, 80), ", trace ", name(first.trace, 80), part);
}

/** @param {Request[]} found @param {URLSearchParams} query @param {"a" | "b"} letter @returns {Side} */
function side(found, query, letter) {
  const chosen = new Set((query.get(letter) ?? "").split(",").filter(Boolean));
  /** @param {string} key */
  const bound = (key) => (/^\d{1,9}$/.test(query.get(letter + key) ?? "") ? Number(query.get(letter + key)) : null);
  return { requests: found.filter((one) => chosen.has(one.segment)), range: { from: bound("from"), to: bound("to") } };
}

/** @param {Side} side @param {string} text of the root @param {Set<unknown>} tips gets what the server has to say */
async function tree(side, text, tips) {
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
  return all.tree(text);
}
