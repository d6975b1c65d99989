/** A profile as a tree of times in ms. Whatever is done to it, each node's time is its own and that of its children. */

import { isFramework, mark, place } from "./frames.js";

/** @typedef {import("./frames.js").Kind} Kind */
/** @typedef {Record<Kind, number>} Times */

/**
 * @typedef {object} Frame
 * @property {string} text the code signature
 * @property {number} own ms that no child accounts for
 * @property {number} count snapshots that hold it
 * @property {Kind} kind what its own time is
 * @property {boolean} framework
 * @property {Frame[]} children
 * @property {number} total ms, all below included
 * @property {Times} times `total` by kind
 * @property {{a: number, b: number}} [sides] of a difference: ms a request in each
 */

/** @typedef {{id: string, parentId: string, codeSignature: string, durationChildExcluded: number, count: number}} Element */
/** @typedef {{stack: string[], own: number, count: number}} Stack */
/** @typedef {{text: string, duration: number, roots: Frame[]}} Part */

export const UNSAMPLED = "not sampled";

/** @type {readonly Kind[]} */
export const KINDS = ["working", "waiting", "queued", "unsampled"];

/**
 * @param {string} text
 * @param {number} [own]
 * @param {number} [count]
 * @returns {Frame}
 */
export function frame(text, own = 0, count = 0) {
  const kind = mark(text) ?? "working";
  const times = { working: 0, waiting: 0, queued: 0, unsampled: 0 };
  return { text, own, count, kind, framework: isFramework(text), children: [], total: 0, times };
}

/**
 * The roots of OAP's trees; a negative own time, as a clock that was set makes one, is none.
 * @param {{elements: Element[]}[]} trees
 * @returns {Frame[]}
 */
export function fromTrees(trees) {
  return trees.flatMap(({ elements }) => {
    const frames = new Map(
      elements.map((one) => [one.id, frame(one.codeSignature, Math.max(one.durationChildExcluded, 0), one.count)]),
    );
    const roots = /** @type {Frame[]} */ ([]);
    for (const one of elements) {
      const above = frames.get(one.parentId);
      (above ? above.children : roots).push(/** @type {Frame} */ (frames.get(one.id)));
    }
    return roots;
  });
}

/**
 * The roots that stacks make together.
 * @param {Stack[]} stacks
 * @returns {Frame[]}
 */
export function fromStacks(stacks) {
  const top = frame("");
  const known = new Map([[top, /** @type {Map<string, Frame>} */ (new Map())]]);
  for (const { stack, own, count } of stacks) {
    let at = top;
    for (const text of stack) {
      const children = /** @type {Map<string, Frame>} */ (known.get(at));
      let child = children.get(text);
      if (!child) {
        child = frame(text);
        children.set(text, child);
        known.set(child, new Map());
        at.children.push(child);
      }
      child.count += count;
      at = child;
    }
    at.own += own;
  }
  return top.children;
}

/**
 * Requests, or parts of them, as one tree. What no snapshot accounts for is a child of its own: so the root is as
 * long as the requests.
 * @param {string} text of the root
 * @param {Part[]} parts
 * @returns {Frame}
 */
export function together(text, parts) {
  const root = frame(text);
  root.framework = false;
  root.children = merged(parts.flatMap((part) => part.roots));
  const missing = parts.reduce((sum, part) => sum + Math.max(part.duration - sampled(part), 0), 0);
  root.count = root.children.reduce((sum, child) => sum + child.count, 0);
  if (missing > 0) root.children.push({ ...frame(UNSAMPLED, missing), kind: "unsampled", framework: false });
  return reckoned(root);
}

/**
 * ms of a part that its snapshots account for.
 * @param {Part} part
 */
export function sampled(part) {
  let sum = 0;
  walk(part.roots, (one) => (sum += one.own));
  return sum;
}

/**
 * The same tree without the framework's frames; their own time is that of whoever called them.
 * @param {Frame} root
 * @returns {Frame}
 */
export function withoutFramework(root) {
  const [own, children] = lifted(root);
  return reckoned({ ...root, own: root.own + own, children: merged(children) });
}

/**
 * @param {Frame} parent
 * @returns {[number, Frame[]]}
 */
function lifted(parent) {
  let own = 0;
  const kept = /** @type {Frame[]} */ ([]);
  for (const child of parent.children) {
    const [extra, below] = lifted(child);
    if (child.framework) {
      own += child.own + extra;
      kept.push(...below);
    } else {
      kept.push({ ...child, own: child.own + extra, children: below });
    }
  }
  return [own, kept];
}

/**
 * What changed from one tree to another: ms a request in each, and how wide both are together.
 * @param {Frame} a
 * @param {number} ofA requests in it
 * @param {Frame} b
 * @param {number} ofB
 * @returns {Frame}
 */
export function difference(a, ofA, b, ofB) {
  /** @param {Frame | null} one @param {Frame | null} other @returns {Frame} */
  const both = (one, other) => {
    const some = /** @type {Frame} */ (one ?? other);
    const pairs = new Map((one?.children ?? []).map((child) => [key(child), [child, null]]));
    for (const child of other?.children ?? []) pairs.set(key(child), [pairs.get(key(child))?.[0] ?? null, child]);
    return {
      ...some,
      own: (one?.own ?? 0) / ofA + (other?.own ?? 0) / ofB,
      count: (one?.count ?? 0) + (other?.count ?? 0),
      children: [...pairs.values()].map(([left, right]) => both(/** @type {any} */ (left), /** @type {any} */ (right))),
      sides: { a: (one?.total ?? 0) / ofA, b: (other?.total ?? 0) / ofB },
    };
  };
  return reckoned(both(a, b));
}

/** @param {Frame} one */
const key = (one) => `${one.kind} ${one.text}`;

/**
 * Equal frames as one, all the way down.
 * @param {Frame[]} frames
 * @returns {Frame[]}
 */
function merged(frames) {
  const found = /** @type {Map<string, Frame[]>} */ (new Map());
  for (const one of frames) {
    const same = found.get(key(one));
    if (same) same.push(one);
    else found.set(key(one), [one]);
  }
  return [...found.values()].map((same) => ({
    ...same[0],
    own: same.reduce((sum, one) => sum + one.own, 0),
    count: same.reduce((sum, one) => sum + one.count, 0),
    children: merged(same.length === 1 ? same[0].children : same.flatMap((one) => one.children)),
  }));
}

/**
 * Totals, from the leaves up.
 * @param {Frame} node
 * @returns {Frame}
 */
function reckoned(node) {
  node.times = { working: 0, waiting: 0, queued: 0, unsampled: 0 };
  node.times[node.kind] = node.own;
  for (const child of node.children) {
    reckoned(child);
    for (const kind of KINDS) node.times[kind] += child.times[kind];
  }
  node.total = KINDS.reduce((sum, kind) => sum + node.times[kind], 0);
  return node;
}

/**
 * What most of a frame's time is.
 * @param {Frame} one
 * @returns {Kind}
 */
export function mostly(one) {
  return KINDS.reduce((best, kind) => (one.times[kind] > one.times[best] ? kind : best), one.kind);
}

/**
 * Every frame once, parents first.
 * @param {Frame[]} roots
 * @param {(one: Frame) => void} visit
 */
export function walk(roots, visit) {
  const waiting = [...roots];
  for (let one = waiting.pop(); one; one = waiting.pop()) {
    visit(one);
    waiting.push(...one.children);
  }
}

/**
 * What a frame is called where there is little room.
 * @param {Frame} one
 */
export function label(one) {
  const { name, file, line } = place(one.text);
  return file ? `${name} ${file.slice(file.lastIndexOf("/") + 1)}:${line}` : name;
}
