// What the page uses of the library, for the check of its types; no browser reads it.
export default function flamegraph(): any;
export function select(element: Element): any;
