/** The page: which state it is in stands after the `#` of its address. */

import { about, keepToken, Locked, takeToken } from "./api.js";
import { brief, fill, h } from "./dom.js";
import { comparison } from "./comparison.js";
import { service } from "./service.js";
import { services } from "./services.js";
import { task } from "./task.js";

/** @typedef {{path: string[], query: URLSearchParams}} Route */
/** @typedef {{main: HTMLElement, route: Route, trail: (...steps: [string, string][]) => void,
 *    every: (seconds: number, work: () => Promise<boolean | void>) => void, leave: (work: () => void) => void}} Page */

/** @type {Record<string, (page: Page) => Promise<void>>} */
const STATES = { "": services, service, task, profile: comparison };

const element = (/** @type {string} */ id) => /** @type {HTMLElement} */ (document.getElementById(id));

/** What ends with the state that is left. @type {(() => void)[]} */
let leaving = [];

/** @returns {Route} */
function route() {
  const [path, query] = location.hash.replace(/^#\/?/, "").split("?", 2);
  return { path: path.split("/").map(part), query: new URLSearchParams(query ?? "") };
}

/** @param {string} text */
function part(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** @param {...[string, string]} steps name and address of each, the last is where one is */
function trail(...steps) {
  const items = steps.map(([name, address], number) =>
    h("li", {}, number < steps.length - 1 ? h("a", { href: address }, h("bdi", {}, brief(name, 60))) : h("bdi", { "aria-current": "page" }, brief(name, 60))),
  );
  fill(element("trail"), ...items);
  document.title = steps.length ? `${brief(steps[steps.length - 1][0], 60)} · swprof_mw` : "swprof_mw";
}

/** Do something now and again and again, until the state is left or it returns `true`. @param {() => boolean} gone */
function repeated(gone) {
  return (/** @type {number} */ seconds, /** @type {() => Promise<boolean | void>} */ work) => {
    const again = async () => {
      if (gone()) return;
      let over = false;
      try {
        over = Boolean(await work());
        if (!gone()) fill(element("alert"));
      } catch (error) {
        if (!gone()) failed(error);
        over = error instanceof Locked;
      }
      if (!over && !gone()) setTimeout(again, seconds * 1000);
    };
    again();
  };
}

/** @param {unknown} error */
function failed(error) {
  if (error instanceof Locked) return locked();
  fill(element("alert"), h("p", {}, brief(error instanceof Error ? error.message : String(error), 500)));
}

function locked() {
  const token = h("input", { type: "password", id: "token", autocomplete: "off", required: true });
  const form = h("form", { class: "panel token" }, h("h1", {}, "A token is needed"), h("p", {}, "The one that the server was started with (--token)."), h("p", { class: "controls" }, h("label", { for: "token" }, "Token"), token, h("button", { type: "submit", class: "primary" }, "Go on")));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    keepToken(token.value.trim());
    show();
    where();
  });
  trail();
  fill(element("main"), form);
  token.focus();
}

async function show() {
  for (const work of leaving.splice(0)) work();
  let left = false;
  leaving = [() => (left = true)];
  const here = route();
  const main = h("div"); // one for each state: what comes late for a state that was left is not seen
  fill(element("main"), main);
  fill(element("alert"));
  trail();
  const state = STATES[here.path[0]] ?? services;
  const steps = (/** @type {[string, string][]} */ ...all) => left || trail(...all);
  const page = { main, route: here, trail: steps, every: repeated(() => left), leave: (/** @type {() => void} */ work) => leaving.push(work) };
  try {
    await state(page);
  } catch (error) {
    if (!left) failed(error);
  }
}

async function where() {
  try {
    const { version, backend, oap } = await about();
    fill(element("about"), oap ? `over ${oap}` : backend ? `agents report to ${backend}` : "", ` · swprof_mw ${version}`);
  } catch {
    fill(element("about"));
  }
}

/** @type {HTMLElement} */ (document.querySelector(".skip")).addEventListener("click", (event) => {
  event.preventDefault();
  element("main").focus();
});
window.addEventListener("hashchange", () => {
  show();
  element("main").focus({ preventScroll: true });
  window.scrollTo(0, 0);
});
takeToken();
show();
where();
