/** What the page asks an OAP, or the embedded collector, which answers alike. */

import { ask } from "./api.js";

/** @typedef {{id: string, name: string}} Named */
/** @typedef {{name: string, language: string}} Instance */
/** @typedef {Named & {instances: Instance[]}} Service */
/** @typedef {{duration: number, start: number, failed: boolean, endpoint: string}} Recent */
/** @typedef {Named & {recent: Recent[]}} Endpoint */
/** @typedef {{id: string, serviceName: string, endpointName: string, startTime: number, duration: number,
 *    minDurationThreshold: number, dumpPeriod: number, maxSamplingCount: number,
 *    logs: {instanceName: string, operationType: string, operationTime: number}[]}} Task */
/** @typedef {{segment: string, trace: string, instance: string, endpoint: string, method: string, status: string,
 *    start: number, end: number, failed: boolean}} Request */
/** @typedef {{duration: number, minDuration: number, period: number, samples: number}} Limits */

/** Fields at the top of one query; more are refused. */
const AT_ONCE = 20;
const MOST_ENDPOINTS = 200;
const SLOWEST = 50;
const MINUTE = 60_000;

/** Minutes without a sign of life after which a process is not shown. */
export const ALIVE = 5;

/** Minutes that "recent" means. */
export const RECENT = 30;

/** @type {Promise<number> | null} ms that the server's wall clock is ahead of UTC */
let zone = null;

/** @returns {Promise<number>} the server's clock, ms since the epoch, as if its wall clock were in UTC */
async function wallClock() {
  zone ??= ask("{getTimeInfo{timezone currentTimestamp}}").then(({ getTimeInfo: told }) => {
    const found = /^([+-])(\d\d):?(\d\d)$/.exec(told?.timezone ?? "");
    const offset = found ? (Number(found[2]) * 60 + Number(found[3])) * MINUTE * (found[1] === "-" ? -1 : 1) : 0;
    return Number(told?.currentTimestamp ?? Date.now()) - Date.now() + offset;
  });
  zone.catch(() => (zone = null));
  return Date.now() + (await zone);
}

/** @param {number} minutes until now, as GraphQL's `Duration` */
async function last(minutes) {
  const now = await wallClock();
  /** @param {number} at */
  const text = (at) => new Date(at).toISOString().slice(0, 16).replace("T", " ").replace(":", "");
  return { start: text(now - minutes * MINUTE), end: text(now + MINUTE), step: "MINUTE" };
}

/**
 * Ask the same of many: one field each, some at once.
 * @template T
 * @param {T[]} all
 * @param {string} head the query's variables
 * @param {(number: number) => string} field named `f` and the number
 * @param {(some: T[]) => Promise<Record<string, any>>} variables
 * @returns {Promise<any[]>}
 */
async function forEach(all, head, field, variables) {
  const found = [];
  for (let first = 0; first < all.length; first += AT_ONCE) {
    const some = all.slice(first, first + AT_ONCE);
    const declared = some.map((_, number) => `$v${number}: ID!`).join(", ");
    const answer = await ask(`query(${declared}, ${head}){${some.map((_, number) => field(number)).join(" ")}}`, await variables(some));
    found.push(...some.map((_, number) => answer[`f${number}`]));
  }
  return found;
}

/** @returns {Promise<Service[]>} those that have an agent, by name, with their processes that are alive */
export async function services() {
  const { listServices: listed } = await ask("query($layer: String){listServices(layer: $layer){id name}}", { layer: "GENERAL" });
  const sorted = [...listed].sort((one, other) => (one.name < other.name ? -1 : 1));
  const found = await forEach(
    sorted,
    "$duration: Duration!",
    (number) => `f${number}: listInstances(duration: $duration, serviceId: $v${number}){name language}`,
    async (some) => ({ duration: await last(ALIVE), ...ids(some) }),
  );
  return sorted.map((service, number) => ({ ...service, instances: found[number] }));
}

/** @param {string} service its id @returns {Promise<Instance[]>} its processes that are alive */
export async function processes(service) {
  const query = "query($duration: Duration!, $service: ID!){listInstances(duration: $duration, serviceId: $service){name language}}";
  return (await ask(query, { duration: await last(ALIVE), service })).listInstances;
}

/** @param {Named[]} some */
const ids = (some) => Object.fromEntries(some.map((one, number) => [`v${number}`, one.id]));

/**
 * The endpoints of a service, the slowest first, each with its slowest recent requests.
 * @param {string} service its id
 * @param {string} keyword that names have to hold
 * @returns {Promise<Endpoint[]>}
 */
export async function endpoints(service, keyword) {
  const duration = await last(RECENT);
  const [{ findEndpoint: listed }, { queryBasicTraces: slowest }] = await Promise.all([
    ask("query($service: ID!, $keyword: String, $limit: Int!){findEndpoint(serviceId: $service, keyword: $keyword, limit: $limit){id name}}", {
      service,
      keyword,
      limit: MOST_ENDPOINTS,
    }),
    ask("query($condition: TraceQueryCondition){queryBasicTraces(condition: $condition){traces{endpointNames duration start isError}}}", {
      condition: condition(service, duration, SLOWEST),
    }),
  ]);
  const of = new Map(listed.map((/** @type {Named} */ one) => [one.name, { ...one, recent: /** @type {Recent[]} */ ([]) }]));
  for (const trace of slowest.traces) of.get(trace.endpointNames[0])?.recent.push(recent(trace));
  const silent = [...of.values()].filter((one) => !one.recent.length).slice(0, AT_ONCE);
  const found = await forEach(
    silent,
    "$service: ID!, $duration: Duration!",
    (number) => `f${number}: queryBasicTraces(condition: {serviceId: $service, endpointId: $v${number}, queryDuration: $duration,
      traceState: ALL, queryOrder: BY_DURATION, paging: {pageNum: 1, pageSize: 3}}){traces{endpointNames duration start isError}}`,
    async (some) => ({ service, duration, ...ids(some) }),
  );
  silent.forEach((one, number) => (one.recent = found[number].traces.map(recent)));
  return [...of.values()].sort((one, other) => (other.recent[0]?.duration ?? -1) - (one.recent[0]?.duration ?? -1));
}

/**
 * @param {string} serviceId
 * @param {object} queryDuration
 * @param {number} pageSize
 */
function condition(serviceId, queryDuration, pageSize) {
  return { serviceId, queryDuration, traceState: "ALL", queryOrder: "BY_DURATION", paging: { pageNum: 1, pageSize } };
}

/** @param {Record<string, any>} trace @returns {Recent} */
function recent(trace) {
  return { duration: trace.duration, start: Number(trace.start), failed: Boolean(trace.isError), endpoint: trace.endpointNames[0] };
}

/**
 * @param {string} service its id
 * @param {string} endpoint its name
 * @param {Limits} limits
 * @returns {Promise<string>} the new task's id; throws the server's reason if there is none
 */
export async function createTask(service, endpoint, limits) {
  const request = {
    serviceId: service,
    endpointName: endpoint,
    duration: limits.duration,
    minDurationThreshold: limits.minDuration,
    dumpPeriod: limits.period,
    maxSamplingCount: limits.samples,
  };
  const { createProfileTask: made } = await ask(
    "mutation($request: ProfileTaskCreationRequest){createProfileTask(creationRequest: $request){errorReason id}}",
    { request },
  );
  if (!made.id) throw new Error(made.errorReason || "no reason was given");
  return made.id;
}

/** @param {string} service its id @returns {Promise<Task[]>} the latest first */
export async function tasks(service) {
  const { getProfileTaskList: found } = await ask(
    `query($service: ID){getProfileTaskList(serviceId: $service){id serviceName endpointName startTime duration
      minDurationThreshold dumpPeriod maxSamplingCount logs{instanceName operationType operationTime}}}`,
    { service },
  );
  return found.map((/** @type {Task} */ one) => ({ ...one, startTime: Number(one.startTime) }));
}

/** @param {string} task its id @returns {Promise<Request[]>} what it has profiled so far */
export async function requests(task) {
  const { getProfileTaskSegments: found } = await ask(
    `query($task: ID!){getProfileTaskSegments(taskID: $task){traceId instanceName
      spans{spanId segmentId startTime endTime endpointName type isError profiled tags{key value}}}}`,
    { task },
  );
  return found.flatMap(request);
}

/** @param {Record<string, any>} one @returns {Request[]} none if no span of it was profiled */
function request(one) {
  const spans = one.spans.filter((/** @type {any} */ span) => span.profiled);
  const span = spans.find((/** @type {any} */ each) => each.type === "Entry") ?? spans[0];
  if (!span) return [];
  const tags = new Map(span.tags.map((/** @type {any} */ tag) => [tag.key, tag.value ?? ""]));
  return [
    {
      segment: span.segmentId,
      trace: one.traceId,
      instance: one.instanceName,
      endpoint: span.endpointName ?? "",
      method: tags.get("http.method") ?? "",
      status: tags.get("http.status_code") ?? tags.get("http.status.code") ?? "",
      start: Number(span.startTime),
      end: Number(span.endTime),
      failed: Boolean(span.isError),
    },
  ];
}

/**
 * The trees of a request's snapshots from one time to another, ms since the epoch.
 * @param {string} segment
 * @param {number} start
 * @param {number} end
 * @returns {Promise<{tip: string | null, trees: import("./model.js").Trees}>}
 */
export async function analysis(segment, start, end) {
  // Short names, since there are tens of thousands of elements.
  const { getSegmentsProfileAnalyze: found } = await ask(
    `query($queries: [SegmentProfileAnalyzeQuery!]!){getSegmentsProfileAnalyze(queries: $queries){
      tip trees{elements{id parentId text: codeSignature own: durationChildExcluded count}}}}`,
    { queries: [{ segmentId: segment, timeRange: { start, end } }] },
  );
  return found;
}
