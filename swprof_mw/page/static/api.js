/** Questions to the page's own server. */

/** @typedef {Record<string, any>} Data */

const KEPT = "swprof-token";

/** The server asks for a token, or for another one. */
export class Locked extends Error {}

/** Take the token out of the address, where it came after `#token=`. */
export function takeToken() {
  const found = /^#token=(.*)$/s.exec(location.hash);
  if (!found) return;
  keepToken(decoded(found[1]));
  history.replaceState(null, "", "#/");
}

/** @param {string} text */
function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** @param {string} token kept as long as the browser's tab */
export function keepToken(token) {
  sessionStorage.setItem(KEPT, token);
}

/**
 * What a GraphQL query answers. An answer with an error throws it.
 * @param {string} query
 * @param {Data} [variables]
 * @returns {Promise<Data>}
 */
export async function ask(query, variables = {}) {
  const answer = await send("graphql", { query, variables });
  const told = await answer.json();
  if (told.errors?.length) throw new Error(told.errors.map((/** @type {Data} */ one) => one.message).join("; "));
  return told.data ?? {};
}

/** @returns {Promise<{version: string, backend: string | null, oap: string | null}>} */
export async function about() {
  return (await send("about")).json();
}

/**
 * A file with requests, and the name it is to have.
 * @param {string} format
 * @param {{segmentId: string, start: number, end: number, name: string}[]} segments
 * @returns {Promise<{content: Blob, name: string}>}
 */
export async function exported(format, segments) {
  const answer = await send("export", { format, segments });
  const name = /filename="([^"]+)"/.exec(answer.headers.get("content-disposition") ?? "")?.[1] ?? `profile.${format}`;
  return { content: await answer.blob(), name };
}

/**
 * @param {string} path
 * @param {Data} [body] posted as JSON if there is one
 * @returns {Promise<Response>}
 */
async function send(path, body) {
  const token = sessionStorage.getItem(KEPT);
  const headers = { ...(token ? { Authorization: `Bearer ${token}` } : {}), ...(body ? { "Content-Type": "application/json" } : {}) };
  const answer = await fetch(path, { method: body ? "POST" : "GET", headers, body: body ? JSON.stringify(body) : undefined }).catch(() => {
    throw new Error("The server does not answer. Is it still running?");
  });
  if (answer.status === 401) throw new Locked("a token is needed");
  if (!answer.ok) throw new Error(await reason(answer));
  return answer;
}

/**
 * @param {Response} answer
 * @returns {Promise<string>}
 */
async function reason(answer) {
  try {
    return (await answer.json()).errors.map((/** @type {Data} */ one) => one.message).join("; ");
  } catch {
    return `the server answers ${answer.status}`;
  }
}
