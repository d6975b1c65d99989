/** The second state: a service's endpoints with their slowest recent requests, and its tasks. */

import { clock, fill, h, ms, name } from "./dom.js";
import { taskForm } from "./form.js";
import { progress } from "./progress.js";
import { endpoints, RECENT, services, tasks } from "./queries.js";

/** @typedef {import("./app.js").Page} Page */
/** @typedef {import("./queries.js").Endpoint} Endpoint */
/** @typedef {import("./queries.js").Task} Task */

const PERIOD = 3;
const SHOWN = 3;
const MOST_TASKS = 20;

/** @param {Page} page */
export async function service(page) {
  const id = page.route.path[1] ?? "";
  const found = (await services()).find((one) => one.id === id);
  const title = found?.name ?? "A service that is not known";
  page.trail([title, ""]);
  const keyword = h("input", { type: "search", id: "keyword", autocomplete: "off", spellcheck: "false" });
  const list = h("div");
  const past = h("div");
  fill(
    page.main,
    h("h1", {}, name(title)),
    h("section", { "aria-labelledby": "endpoints" }, h("h2", { id: "endpoints" }, "Endpoints"), h("p", { class: "controls" }, h("label", { for: "keyword" }, "Filter"), keyword), list),
    h("section", { "aria-labelledby": "tasks" }, h("h2", { id: "tasks" }, "Profile tasks"), past),
  );
  const update = changes();
  const look = async () => {
    const asked = keyword.value;
    const [pages, made] = await Promise.all([endpoints(id, asked), tasks(id)]);
    if (asked !== keyword.value) return;
    update(list, [asked, pages], () => endpointTable(pages, page, id, asked));
    update(past, [made, made.map((task) => progress(task, null).word)], () => taskTable(made, id));
  };
  page.every(PERIOD, look);
  keyword.addEventListener("input", () => look().catch(() => {}));
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

/** @param {Endpoint[]} found @param {Page} page @param {string} service @param {string} keyword */
function endpointTable(found, page, service, keyword) {
  if (!found.length) return h("p", { class: "hint" }, keyword ? "No endpoint's name holds that." : "No request was reported yet: visit a page of the app.");
  const rows = found.map((one, number) =>
    h(
      "tr",
      {},
      h("th", { scope: "row" }, name(one.name)),
      h("td", {}, ...one.recent.slice(0, SHOWN).map(request)),
      h(
        "td",
        {},
        h("button", { type: "button", id: `profile-${number}`, class: number === 0 ? "primary" : null, onclick: () => taskForm(page, service, one) }, "Profile", h("span", { class: "unseen" }, " ", name(one.name, 60))),
      ),
    ),
  );
  return h(
    "div",
    { class: "scroll" },
    h(
      "table",
      {},
      h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Endpoint"), h("th", { scope: "col" }, `Slowest of the last ${RECENT} minutes`), h("td"))),
      h("tbody", {}, ...rows),
    ),
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
      h("td", {}, clock(task.startTime)),
      h("td", {}, progress(task, null).word),
    ),
  );
  const head = ["Endpoint", "Began", "State"].map((title) => h("th", { scope: "col" }, title));
  return h("div", { class: "scroll" }, h("table", {}, h("thead", {}, h("tr", {}, ...head)), h("tbody", {}, ...rows)));
}
