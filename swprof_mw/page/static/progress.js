/** How far a task has come, as its logs tell. */

import { plural } from "./dom.js";

/** @typedef {import("./queries.js").Task} Task */
/** @typedef {{word: string, text: string, step: number, over: boolean}} Progress */

const MINUTE = 60_000;

/** ms after a task's end in which agents may still report: they ask every 20 s, and OAP stores a bit later. */
const GRACE = 45_000;

export const STEPS = ["Waiting for agents", "Notified", "Sampling", "Finished"];

/**
 * @param {Task} task
 * @param {number | null} listed requests that were profiled, if that is known
 * @param {number} [now] ms since the epoch
 * @returns {Progress}
 */
export function progress(task, listed, now = Date.now()) {
  const notified = instances(task, "NOTIFIED");
  const finished = instances(task, "EXECUTION_FINISHED");
  const end = task.startTime + task.duration * MINUTE;
  const all = notified.size > 0 && [...notified].every((one) => finished.has(one));
  const most = task.maxSamplingCount * Math.max(notified.size, 1);
  const processes = plural(notified.size, "process", "processes");
  const left = Math.max(0, Math.ceil((end - now) / 1000));
  if (all || now > end + GRACE) return { word: STEPS[3], text: outcome(listed), step: 3, over: all || now > end + 2 * GRACE };
  if (now < task.startTime - 1000) return { word: STEPS[0], text: `It begins in ${Math.ceil((task.startTime - now) / 1000)} s.`, step: 0, over: false };
  if (!notified.size) return { word: STEPS[0], text: "Agents ask for tasks every 20 seconds.", step: 0, over: false };
  if (!listed) {
    const text = `${processes} took the task, ${left} s left. ${listed === 0 ? "Now visit the endpoint: no request of it was profiled yet." : ""}`;
    return { word: STEPS[1], text, step: 1, over: false };
  }
  return { word: STEPS[2], text: `${listed} of at most ${most} requests profiled in ${processes}, ${left} s left.`, step: 2, over: false };
}

/** @param {number | null} listed */
function outcome(listed) {
  if (listed === null) return "";
  return listed ? `${plural(listed, "request")} profiled.` : "No request of it was profiled: none came in time. Start another task, and visit the endpoint while it runs.";
}

/** @param {Task} task @param {string} operation */
function instances(task, operation) {
  return new Set(task.logs.filter((log) => log.operationType === operation).map((log) => log.instanceName));
}
