/** The second state: a service's endpoints with their slowest recent requests, and its tasks. */

import { clock, fill, h, ms, name } from "./dom.js";
import { taskForm } from "./form.js";
import { progress } from "./progress.js";
import { ALIVE, endpoints, processes, RECENT, services, tasks } from "./queries.js";

/** @typedef {import("./app.js").Page} Page */
/** @typedef {import("./queries.js").Endpoint} Endpoint */
/** @typedef {import("./queries.js").Task} Task */

const PERIOD = 3;
const SHOWN = 3;
const MOST_TASKS = 20;

/** Endpoints that are listed before somebody wants all of them. */
const MOST_ENDPOINTS = 20;

/** @typedef {{page: Page, service: string, most: number}} Shown `most`: endpoints that are listed */

/** @param {Page} page */
export async function service(page) {
  const id = page.route.path[1] ?? "";
  const found = (await services()).find((one) => one.id === id);
  const title = found?.name ?? "A service that is not known";
  page.trail([title, ""]);
  /** @type {Shown} */
  const shown = { page, service: id, most: MOST_ENDPOINTS };
  const keyword = h("input", { type: "search", id: "keyword", autocomplete: "off", spellcheck: "false", oninput: () => look().catch(() => {}) });
  const [silent, list, past] = [h("div"), h("div"), h("div")];
  fill(
    page.main,
    h("h1", {}, name(title)),
    silent,
    h("section", { "aria-labelledby": "endpoints" }, h("h2", { id: "endpoints" }, "Endpoints"), h("p", { class: "controls" }, h("label", { for: "keyword" }, "Filter"), keyword), list),
    h("section", { "aria-labelledby": "tasks" }, h("h2", { id: "tasks" }, "Profile tasks"), past),
  );
  const update = changes();
  const look = async () => {
    const asked = keyword.value;
    const [pages, made, alive] = await Promise.all([endpoints(id, asked), tasks(id), processes(id)]);
    if (asked !== keyword.value) return;
    update(silent, alive.length > 0, () => (alive.length ? h("div") : h("p", { class: "panel" }, `No process of it was heard of in the last ${ALIVE} minutes: a task would wait for one.`)));
    const all = () => ((shown.most = Infinity), look().catch(() => {}));
    update(list, [asked, pages, shown.most], () => endpointList(pages, shown, asked, all));
    update(past, [made, made.map((task) => progress(task, null).word)], () => taskTable(made, id));
  };
  page.every(PERIOD, look);
}

/** Fills an element only if what it shows has changed. */
function changes() {
  /** @type {Map<Element, string>} */
  const last = new Map();
  return (/** @type {Element} */ element, /** @type {unknown} */ data, /** @type {() => Node} */ made) => {
    const text = JSON.stringify(data);
    if (last.get(element) === text) return;
    last.set(element, text);
    fill(element, made());
  };
}

/** @param {Endpoint[]} found @param {Shown} shown @param {string} keyword @param {() => void} all */
function endpointList(found, shown, keyword, all) {
  if (!found.length) return h("p", { class: "hint" }, keyword ? "No endpoint's name holds that." : "No request was reported yet: visit a page of the app.");
  const more = found.length > shown.most && h("p", {}, h("button", { type: "button", id: "all-endpoints", onclick: all }, `Show all ${found.length} endpoints`));
  const head = ["Endpoint", `Slowest of the last ${RECENT} minutes`].map((title) => h("th", { scope: "col" }, title));
  const rows = found.slice(0, shown.most).map((one, number) => endpointRow(one, number, shown));
  return h("div", {}, h("div", { class: "scroll" }, h("table", {}, h("thead", {}, h("tr", {}, ...head, h("td"))), h("tbody", {}, ...rows))), more);
}

/** @param {Endpoint} one @param {number} number @param {Shown} shown */
function endpointRow(one, number, shown) {
  const profile = () => taskForm(shown.page, shown.service, one);
  return h(
    "tr",
    {},
    h("th", { scope: "row" }, name(one.name)),
    h("td", {}, ...one.recent.slice(0, SHOWN).map(request)),
    h("td", {}, h("button", { type: "button", id: `profile-${number}`, class: number === 0 ? "primary" : null, onclick: profile }, "Profile", h("span", { class: "unseen" }, " ", name(one.name, 60)))),
  );
}

/** @param {import("./queries.js").Recent} one */
function request(one) {
  return h("div", { class: one.failed ? "recent failed" : "recent" }, h("strong", {}, ms(one.duration)), ` at ${clock(one.start)}`, one.failed && " error");
}

/** @param {Task[]} found @param {string} service */
function taskTable(found, service) {
  if (!found.length) return h("p", { class: "hint" }, "None yet: choose Profile beside an endpoint.");
  const rows = found.slice(0, MOST_TASKS).map((task, number) =>
    h(
      "tr",
      {},
      h("th", { scope: "row" }, h("a", { id: `task-${number}`, href: `#/task/${encodeURIComponent(service)}/${encodeURIComponent(task.id)}` }, name(task.endpointName))),
      h("td", { class: "figure" }, clock(task.startTime)),
      h("td", {}, progress(task, null).word),
    ),
  );
  const head = ["Endpoint", "Began", "State"].map((title) => h("th", { scope: "col" }, title));
  return h("div", { class: "scroll" }, h("table", {}, h("thead", {}, h("tr", {}, ...head)), h("tbody", {}, ...rows)));
}
