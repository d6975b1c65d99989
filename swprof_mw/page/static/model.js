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
 * @property {Frame} [above] that called it
 * @property {number} total ms, all below included
 * @property {Times} times `total` by kind
 * @property {{a: number, b: number}} [sides] of a difference: ms a request in each
 */

/** @typedef {{id: string, parentId: string, text: string, own: number, count: number}} Element */
/** @typedef {{elements: Element[]}[]} Trees as OAP answers them: parents come before their children */
/** @typedef {{stack: string[], own: number, count: number}} Stack */

const UNSAMPLED = "not sampled";

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
 * Requests, or parts of them, as one tree: it grows while they come in, and equal frames are one. What no snapshot
 * accounts for is a child of its own: so the root is as long as the requests.
 */
export class Together {
  #root = frame("");
  #missing = 0;

  /** @type {Map<Frame, Map<string, Frame>>} */
  #below = new Map();

  /**
   * @param {number} duration ms of the request
   * @param {Trees} trees
   */
  addTrees(duration, trees) {
    for (const { elements } of trees) {
      /** @type {Map<string, Frame>} */
      const frames = new Map();
      for (const one of elements) frames.set(one.id, this.#add(frames.get(one.parentId) ?? this.#root, one.text, ownTime(one), one.count));
    }
    this.#missing += Math.max(duration - sampled(trees), 0);
  }

  /**
   * @param {number} duration ms of the request
   * @param {Stack[]} stacks
   */
  addStacks(duration, stacks) {
    let missing = duration;
    for (const { stack, own, count } of stacks) {
      missing -= own;
      const leaf = stack.reduce((above, text) => this.#add(above, text, 0, count), this.#root);
      leaf.own += own;
    }
    this.#missing += Math.max(missing, 0);
  }

  /**
   * All that was added.
   * @param {string} text of the root
   * @returns {Frame}
   */
  tree(text) {
    const root = { ...this.#root, text, framework: false };
    root.count = root.children.reduce((sum, child) => sum + child.count, 0);
    if (this.#missing > 0) root.children = [...root.children, { ...frame(UNSAMPLED, this.#missing), kind: "unsampled", framework: false }];
    return reckoned(root);
  }

  /** @param {Frame} above @param {string} text @param {number} own @param {number} count */
  #add(above, text, own, count) {
    let known = this.#below.get(above);
    if (!known) this.#below.set(above, (known = new Map()));
    let found = known.get(text);
    if (!found) {
      found = frame(text);
      known.set(text, found);
      above.children.push(found);
    }
    found.own += own;
    found.count += count;
    return found;
  }
}

/**
 * ms that snapshots account for.
 * @param {Trees} trees
 */
export function sampled(trees) {
  return trees.reduce((sum, { elements }) => elements.reduce((part, one) => part + ownTime(one), sum), 0);
}

/** A negative time, as a clock that was set makes one, is none. @param {Element} one */
function ownTime(one) {
  return Math.max(one.own, 0);
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
    child.above = node;
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
 * What a frame is called where there is little room.
 * @param {Frame} one
 */
export function label(one) {
  const { name, file, line } = place(one.text);
  return file ? `${name} ${file.slice(file.lastIndexOf("/") + 1)}:${line}` : name;
}
