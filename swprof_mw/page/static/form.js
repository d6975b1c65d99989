/** The form that creates a task. */

import { brief, clock, fill, h, name } from "./dom.js";
import { createTask, tasks } from "./queries.js";

/** @typedef {keyof import("./queries.js").Limits} Limit */

/** @type {[Limit, string, string, number, number, number, string][]} name, label, unit, default, least, most, what it is */
const FIELDS = [
  ["duration", "Profile for", "minutes", 1, 1, 15, "From now on, 1 to 15."],
  ["samples", "Requests", "", 5, 1, 9, "That each process profiles at the most, 1 to 9."],
  ["period", "A snapshot every", "ms", 10, 10, 60_000, "10 or more. Less time between them shows more and costs more."],
  ["minDuration", "Only if longer than", "ms", 0, 0, 2_000_000_000, "0 is all of them. What a longer one did before that is not seen."],
];

/**
 * Ask what a task of an endpoint is to do, and go to it. Leaving the page's state closes the form.
 * @param {import("./app.js").Page} page
 * @param {string} service its id
 * @param {import("./queries.js").Named} endpoint
 */
export function taskForm(page, service, endpoint) {
  const inputs = new Map(FIELDS.map((field) => [field[0], input(field)]));
  const refusal = h("p", { role: "alert", class: "refusal" });
  const start = h("button", { type: "submit", class: "primary", id: "start" }, "Start profiling");
  const form = h(
    "form",
    { novalidate: true },
    h("h2", { id: "form-title" }, "Profile ", name(endpoint.name)),
    ...FIELDS.map((field) => row(field, /** @type {HTMLInputElement} */ (inputs.get(field[0])))),
    refusal,
    h("p", { class: "buttons" }, start, h("button", { type: "button", onclick: () => dialog.close() }, "Cancel")),
  );
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const wrong = FIELDS.map((field) => ({ field, why: check(field, /** @type {HTMLInputElement} */ (inputs.get(field[0]))) })).find(({ why }) => why);
    fill(refusal, wrong?.why);
    if (wrong) return inputs.get(wrong.field[0])?.focus();
    start.disabled = true;
    try {
      const task = await createTask(service, endpoint.name, limits(inputs));
      location.hash = `#/task/${encodeURIComponent(service)}/${encodeURIComponent(task)}`;
    } catch (error) {
      fill(refusal, `It was refused: ${brief(error instanceof Error ? error.message : String(error), 500)}`, ...(await running(service)));
      start.disabled = false;
    }
  });
  const dialog = h("dialog", { "aria-labelledby": "form-title" }, form);
  dialog.addEventListener("close", () => dialog.remove());
  page.leave(() => dialog.close());
  document.body.append(dialog);
  dialog.showModal();
  start.focus();
}

/** The task that is in the way of another one, if there is one: of a service there is one at a time. @param {string} service its id */
async function running(service) {
  const end = (/** @type {import("./queries.js").Task} */ one) => one.startTime + 60_000 * one.duration;
  const found = (await tasks(service).catch(() => [])).find((one) => end(one) > Date.now());
  if (!found) return [];
  return [". Until ", clock(end(found)), " there is ", h("a", { href: `#/task/${encodeURIComponent(service)}/${encodeURIComponent(found.id)}` }, "another task"), " of the service."];
}

/** @param {Map<Limit, HTMLInputElement>} inputs @returns {import("./queries.js").Limits} */
function limits(inputs) {
  return /** @type {any} */ (Object.fromEntries([...inputs].map(([key, one]) => [key, Number(one.value)])));
}

/** @param {FIELDS[number]} field */
function input([key, , , value, least, most]) {
  return h("input", { type: "number", id: key, value, min: least, max: most, step: 1, required: true, inputmode: "numeric", "aria-describedby": `${key}-hint` });
}

/** @param {FIELDS[number]} field @param {HTMLInputElement} element */
function row([key, label, unit, , , , hint], element) {
  return h("div", { class: "field" }, h("label", { for: key }, label), h("span", {}, element, unit && ` ${unit}`), h("p", { class: "hint", id: `${key}-hint` }, hint));
}

/**
 * Why a value cannot be; the input is marked.
 * @param {FIELDS[number]} field
 * @param {HTMLInputElement} element
 */
function check([, label, unit, , least, most], element) {
  const good = element.validity.valid && element.value !== "";
  element.setAttribute("aria-invalid", String(!good));
  return good ? "" : `${label}: a whole number from ${least} to ${most}${unit && ` ${unit}`}.`;
}
