/** What is chosen to be looked at: a part of a request's time, requests to compare with, files to save. */

import { exported } from "./api.js";
import { brief, clock, fill, h, ms, name, share } from "./dom.js";
import { requests as profiled } from "./queries.js";

/** @typedef {{from: number | null, to: number | null}} Range */
/** @typedef {{requests: Request[], range: Range}} Side */
/** @typedef {import("./app.js").Route} Route */
/** @typedef {import("./queries.js").Request} Request */

/** @type {[string, string][]} */
const FORMATS = [
  ["speedscope", "speedscope"],
  ["collapsed", "Collapsed stacks"],
  ["pprof", "pprof"],
  ["html", "HTML report"],
];

/**
 * The part of a request that is looked at, ms since the epoch.
 * @param {Request} one
 * @param {Range} range
 * @returns {[number, number]}
 */
export function bounds(one, { from, to }) {
  const start = Math.min(one.start + (from ?? 0), one.end);
  return [start, Math.max(start, to === null ? one.end : Math.min(one.start + to, one.end))];
}

/** @param {Route} route @param {Record<string, string | null>} changed go to the same state with other parameters */
function go(route, changed) {
  const query = new URLSearchParams(route.query);
  for (const [key, value] of Object.entries(changed)) {
    if (value === null || value === "") query.delete(key);
    else query.set(key, value);
  }
  location.hash = `#/${route.path.map(encodeURIComponent).join("/")}?${query}`;
}

/**
 * A form for a part of the requests' time.
 * @param {"a" | "b"} letter
 * @param {Side} side
 * @param {Route} route
 */
export function rangeForm(letter, side, route) {
  const longest = Math.max(...side.requests.map((one) => one.end - one.start));
  const from = bound(letter, "from", "From", side.range.from ?? 0, longest);
  const to = bound(letter, "to", "To", side.range.to ?? longest, longest);
  const form = h(
    "form",
    { class: "panel range", "aria-label": `Part of the time${route.query.get("b") ? ` of ${letter.toUpperCase()}` : ""}` },
    h("h2", {}, route.query.get("b") ? `Part of the time of ${letter.toUpperCase()}` : "Part of the time"),
    ...from.row,
    ...to.row,
    h("p", { class: "hint" }, "ms since a request began"),
    h("button", { type: "submit" }, "Show that part"),
    (side.range.from !== null || side.range.to !== null) && h("button", { type: "button", onclick: () => go(route, { [`${letter}from`]: null, [`${letter}to`]: null }) }, "Show all"),
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const [first, last] = [from.number, to.number].map((one) => Math.round(Number(one.value))).sort((one, other) => one - other);
    go(route, { [`${letter}from`]: first > 0 ? String(first) : null, [`${letter}to`]: last < longest ? String(last) : null });
  });
  return form;
}

/** @param {string} letter @param {string} key @param {string} label @param {number} value @param {number} most */
function bound(letter, key, label, value, most) {
  const id = `${letter}${key}`;
  const slider = h("input", { type: "range", min: 0, max: most, value, "aria-label": `${label}, slider`, oninput: () => (number.value = slider.value) });
  const number = h("input", { type: "number", id, min: 0, max: most, value, step: 1, required: true, oninput: () => (slider.value = number.value) });
  return { number, row: [h("div", { class: "bound" }, h("label", { for: id }, label), slider, number)] };
}

/** @param {Side} side */
export function exportButtons(side) {
  const told = h("p", { role: "status", class: "hint" });
  const segments = side.requests.map((one) => {
    const [start, end] = bounds(one, side.range);
    const words = [one.method, one.endpoint, one.status].filter(Boolean).join(" ");
    return { segmentId: one.segment, start, end, name: `${brief(words, 300)}  ${end - start} ms` };
  });
  /** @param {string} format */
  const save = async (format) => {
    fill(told, "Preparing …");
    try {
      const { content, name: file } = await exported(format, segments);
      const address = URL.createObjectURL(content);
      h("a", { href: address, download: file }).click();
      setTimeout(() => URL.revokeObjectURL(address), 60_000);
      fill(told, `Saved as ${file}`);
    } catch (error) {
      fill(told, `It could not be saved: ${error instanceof Error ? brief(error.message, 300) : error}`);
    }
  };
  const buttons = FORMATS.map(([format, label]) => h("button", { type: "button", id: `export-${format}`, onclick: () => save(format) }, label));
  return h("section", { class: "panel", "aria-label": "Save as a file" }, h("h2", {}, "Save as a file"), h("p", { class: "buttons" }, ...buttons), told);
}

/**
 * What else could be looked at: other requests together with these, and others to compare with.
 * @param {{ours: Request[], theirs: Request[], tasks: import("./queries.js").Task[], route: Route, task: string}} known
 */
export function choices({ ours, theirs, tasks, route, task }) {
  const endpoint = (/** @type {string} */ id) => tasks.find((one) => one.id === id)?.endpointName ?? "";
  const groups = h("div", { class: "groups" }, group("a", ours, route, endpoint(route.path[2])), group("b", theirs, route, endpoint(task)));
  const select = h("select", { id: "compare-task" }, ...tasks.map((one) => option(one, task)));
  select.addEventListener("change", async () => {
    const chosen = select.value;
    const found = await profiled(chosen).catch(() => []);
    groups.lastElementChild?.replaceWith(group("b", found, route, endpoint(chosen)));
  });
  const form = h(
    "form",
    { class: "panel compare", "aria-labelledby": "compare" },
    h("h2", { id: "compare" }, "Choose and compare"),
    h("p", { class: "hint" }, "A alone is shown; with requests in B, what is slower or faster in B."),
    h("p", {}, h("label", { for: "compare-task" }, "Requests of B are of "), select),
    groups,
    h("button", { type: "submit", id: "compare-show" }, "Show"),
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    /** @param {string} letter */
    const checked = (letter) => [.../** @type {NodeListOf<HTMLInputElement>} */ (form.querySelectorAll(`input[name=${letter}]:checked`))].map((one) => one.value).join(",");
    const b = checked("b");
    go(route, { a: checked("a"), b, task: b && select.value !== route.path[2] ? select.value : null, ...(b ? {} : { bfrom: null, bto: null }) });
  });
  return form;
}

/** @param {import("./queries.js").Task} one @param {string} chosen */
function option(one, chosen) {
  return h("option", { value: one.id, selected: one.id === chosen }, `${brief(one.endpointName, 40)}, ${clock(one.startTime)}`);
}

/** @param {"a" | "b"} letter @param {Request[]} found @param {Route} route @param {string} endpoint of the task */
function group(letter, found, route, endpoint) {
  const chosen = new Set((route.query.get(letter) ?? "").split(","));
  const longest = Math.max(1, ...found.map((one) => one.end - one.start));
  const rows = found.map((one) => {
    const box = h("input", { type: "checkbox", name: letter, value: one.segment });
    box.checked = chosen.has(one.segment);
    const bar = h("span", { class: "length", title: share(one.end - one.start, longest), "aria-hidden": "true" });
    bar.style.setProperty("--part", String((one.end - one.start) / longest));
    return h("label", { class: "check" }, box, ` ${clock(one.start)} `, h("strong", {}, ms(one.end - one.start)), " ", bar, " ", one.status, one.failed && " error", " ", one.endpoint !== endpoint && name(one.endpoint, 40));
  });
  return h("fieldset", {}, h("legend", {}, letter.toUpperCase()), ...(rows.length ? rows : [h("p", { class: "hint" }, "No request.")]));
}
