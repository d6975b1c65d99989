/** The third state: a task's progress, and the requests that it has profiled. */

import { clock, fill, h, ms, name, plural, share } from "./dom.js";
import { sampled } from "./model.js";
import { progress, STEPS } from "./progress.js";
import { analysis, requests, tasks } from "./queries.js";

/** @typedef {import("./app.js").Page} Page */
/** @typedef {import("./queries.js").Request} Request */
/** @typedef {import("./queries.js").Task} Task */
/** @typedef {{endpoint: string, covered: Map<string, number>, chosen: Set<string>, address: (chosen: string[]) => string}} Shown */

const PERIOD = 1;

/** Looks after a task's end: snapshots may come later than the request that they are of. */
const LATE = 10;

/** Columns that a narrow screen has no room for. */
const ROOMY = new Set(["Began", "Process"]);

/** Part of a request that its snapshots tell of, from which on it is worth a look before others. */
const TOLD = 0.5;

/** Requests whose snapshots are looked at in one go. */
const AT_ONCE = 5;

/** @param {Page} page */
export async function task(page) {
  const [, service = "", id = ""] = page.route.path;
  /** @type {Shown} */
  const shown = {
    endpoint: "",
    covered: new Map(),
    chosen: new Set(),
    address: (chosen) => `#/profile/${encodeURIComponent(service)}/${encodeURIComponent(id)}?${new URLSearchParams({ a: chosen.join(",") })}`,
  };
  const head = h("div");
  const state = h("div");
  const list = h("div");
  fill(page.main, head, state, h("h2", {}, "Profiled requests"), list);
  let last = "";
  let late = 0;
  page.every(PERIOD, async () => {
    const [made, found] = await Promise.all([tasks(service), requests(id)]);
    const here = made.find((one) => one.id === id);
    if (!here) {
      fill(page.main, h("h1", {}, "No such task"), h("p", {}, "It is over, and was deleted since, or never was."));
      return true;
    }
    const at = progress(here, found.length);
    const begun = last !== "";
    if (!begun) heading(page, head, here);
    shown.endpoint = here.endpointName;
    fill(state, steps(at));
    await cover(found, shown.covered, at.over && late > 0 && late < LATE);
    const text = JSON.stringify([found, [...shown.covered], at.over]);
    if (text !== last) fill(list, requestList(found, shown, telling(found, shown.covered, at.over)));
    last = text;
    return at.over && ++late > LATE;
  });
}

/** @param {Page} page @param {HTMLElement} head @param {Task} task */
function heading(page, head, task) {
  page.trail([task.serviceName, `#/service/${encodeURIComponent(page.route.path[1])}`], [task.endpointName, ""]);
  fill(
    head,
    h("h1", {}, name(task.endpointName)),
    h(
      "p",
      { class: "hint" },
      `Begun ${clock(task.startTime)}, for ${plural(task.duration, "minute")}; a snapshot every ${ms(task.dumpPeriod)}; at most ${plural(task.maxSamplingCount, "request")} a process`,
      task.minDurationThreshold ? `, each from ${ms(task.minDurationThreshold)} on.` : ".",
    ),
  );
}

/** @param {import("./progress.js").Progress} at */
function steps(at) {
  const items = STEPS.map((word, number) => h("li", { class: number < at.step ? "done" : null, "aria-current": number === at.step ? "step" : null }, word));
  return h("div", { class: "panel" }, h("ol", { class: "progress", "aria-label": "Progress" }, ...items), h("p", { role: "status" }, at.text));
}

/**
 * Find out how much of each request its snapshots cover; of those that were covered well that is known already.
 * @param {Request[]} found
 * @param {Map<string, number>} covered ms, by segment
 * @param {boolean} all ask again
 */
async function cover(found, covered, all) {
  const open = found.filter((one) => all || (covered.get(one.segment) ?? 0) < 0.9 * (one.end - one.start)).slice(-AT_ONCE);
  const asked = open.map(async (one) => {
    const { trees } = await analysis(one.segment, one.start, one.end);
    covered.set(one.segment, sampled(trees));
  });
  await Promise.all(asked);
}

/**
 * The request to look at first: the slowest that its snapshots tell of. One that was under way when its process took the
 * task may have a few at its end; such a one only if no other will come.
 * @param {Request[]} found
 * @param {Map<string, number>} covered ms, by segment
 * @param {boolean} over whether all are there
 */
function telling(found, covered, over) {
  const told = found.filter((one) => (covered.get(one.segment) ?? 0) >= TOLD * (one.end - one.start));
  const among = told.length || !over ? told : found;
  return among.reduce((/** @type {Request | null} */ best, one) => (best && best.end - best.start >= one.end - one.start ? best : one), null);
}

/** @param {Request[]} found @param {Shown} shown @param {Request | null} first to be looked at */
function requestList(found, shown, first) {
  if (!found.length) return h("p", { class: "hint" }, "None yet.");
  const together = h("a", { class: "button", id: "together" });
  const choose = () => {
    const all = found.filter((one) => shown.chosen.has(one.segment));
    const some = all.length ? all : found;
    together.href = shown.address(some.map((one) => one.segment));
    fill(together, all.length ? `Flame graph of ${plural(all.length, "chosen request")}` : "Flame graph of all together");
  };
  choose();
  const rows = found.map((one, number) => row(one, number, shown, choose, one === first));
  const head = ["Choose", "Request", "Duration", "Covered", "Began", "Process"].map((title) => h("th", { scope: "col", class: ROOMY.has(title) ? "roomy" : null }, title));
  return h(
    "div",
    {},
    h("div", { class: "scroll requests" }, h("table", {}, h("thead", {}, h("tr", {}, ...head, h("td"))), h("tbody", {}, ...rows))),
    h("p", {}, together),
  );
}

/** @param {Request} one @param {number} number @param {Shown} shown @param {() => void} choose @param {boolean} first */
function row(one, number, shown, choose, first) {
  const duration = one.end - one.start;
  const covered = shown.covered.get(one.segment);
  const box = h("input", {
    type: "checkbox",
    id: `choose-${number}`,
    "aria-label": `Choose request ${number + 1}`,
    onchange: () => {
      if (box.checked) shown.chosen.add(one.segment);
      else shown.chosen.delete(one.segment);
      choose();
    },
  });
  box.checked = shown.chosen.has(one.segment);
  return h(
    "tr",
    {},
    h("td", {}, box),
    h("th", { scope: "row" }, one.method, " ", (one.endpoint !== shown.endpoint || !(one.method || one.status)) && name(one.endpoint), " ", h("span", { class: one.failed ? "status failed" : "status" }, one.status, one.failed && " error")),
    h("td", { class: "figure" }, ms(duration)),
    h("td", { class: "figure" }, covered === undefined ? "…" : covered ? `${share(Math.min(covered, duration), duration)}` : "no snapshot yet"),
    h("td", { class: "figure roomy" }, clock(one.start)),
    h("td", { class: "roomy" }, name(one.instance, 60)),
    h(
      "td",
      {},
      h("a", { class: first ? "button primary" : "button", id: `flame-${number}`, href: shown.address([one.segment]) }, "Flame graph", h("span", { class: "unseen" }, ` of request ${number + 1}`)),
    ),
  );
}
