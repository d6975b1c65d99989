// What scripts/vendor.py makes one file of.
export { default } from "d3-flame-graph";
export { select } from "d3-selection";
