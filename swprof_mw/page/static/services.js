/** The first state: services with their processes that are alive, or how to start an app. */

import { about } from "./api.js";
import { fill, h, name } from "./dom.js";
import { ALIVE, services as listed } from "./queries.js";

/** @typedef {import("./app.js").Page} Page */
/** @typedef {import("./queries.js").Service} Service */

/** Seconds between two looks. */
const PERIOD = 2;

/** Processes that are named. */
const NAMED = 3;

/** @param {Page} page */
export async function services(page) {
  const list = h("div");
  let last = "";
  page.every(PERIOD, async () => {
    const found = await listed();
    const text = JSON.stringify(found);
    if (text === last) return;
    last = text;
    const content = found.length ? [table(found)] : await empty();
    fill(list, ...content);
    if (!list.isConnected) fill(page.main, h("h1", {}, "Services"), list);
  });
}

/** @param {Service[]} found */
function table(found) {
  const rows = found.map((one, number) =>
    h(
      "tr",
      {},
      h("th", { scope: "row" }, h("a", { href: `#/service/${encodeURIComponent(one.id)}`, id: `service-${number}` }, name(one.name))),
      h("td", {}, one.instances.length ? String(one.instances.length) : h("span", { class: "hint" }, `none in the last ${ALIVE} minutes`)),
      h("td", {}, ...processes(one)),
    ),
  );
  return h(
    "div",
    { class: "scroll" },
    h("table", {}, h("thead", {}, h("tr", {}, ...["Service", "Processes alive", "Names"].map((title) => h("th", { scope: "col" }, title)))), h("tbody", {}, ...rows)),
  );
}

/** @param {Service} one */
function processes(one) {
  const shown = one.instances.slice(0, NAMED).map((instance) => h("div", { class: "process" }, name(instance.name, 80), instance.language !== "UNKNOWN" && h("span", { class: "hint" }, ` ${instance.language.toLowerCase()}`)));
  const more = one.instances.length - NAMED;
  return more > 0 ? [...shown, h("div", { class: "hint" }, `and ${more} more`)] : shown;
}

/** How to start an app that reports here. */
async function empty() {
  const { backend, oap } = await about();
  const address = backend ?? "the OAP's gRPC port, such as oap.example.com:11800";
  const start = backend ? `$ SW_AGENT_COLLECTOR_BACKEND_SERVICES=${backend} gunicorn shop:app` : "$ gunicorn shop:app";
  return [
    h("p", {}, h("strong", {}, "No app reports here yet. "), "Start one, and visit it: it shows up by itself."),
    h(
      "ol",
      { class: "steps" },
      h("li", {}, "Install the middleware beside the app:", code("$ pip install 'swprof-mw[flask]'      # or [django], [asgi]")),
      h(
        "li",
        {},
        "Put it in. Flask:",
        code('from swprof_mw.flask import SWProfiler\n\napp.wsgi_app = SWProfiler(app, service_name="shop")'),
        "Django, in its settings:",
        code('MIDDLEWARE = ["swprof_mw.django.SWProfilerMiddleware", ...]\nSWPROF = {"service_name": "shop"}'),
        "FastAPI, Starlette, any ASGI app:",
        code('from swprof_mw.asgi import SWProfilerMiddleware\n\napp.add_middleware(SWProfilerMiddleware, service_name="shop")'),
      ),
      h("li", {}, `Let it report to ${oap ? address : backend ?? address}:`, code(start)),
      h("li", {}, "Visit a page of it. Within seconds the service is listed here."),
    ),
  ];
}

/** @param {string} text */
function code(text) {
  return h("pre", { tabindex: "0" }, h("code", {}, text));
}
