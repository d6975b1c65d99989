// node speedscope.js BUNDLE FILE: what speedscope's own importer makes of FILE, as JSON.
// The bundle is the page's program. It is stopped before it draws, and what loads a file in it is taken out.
const fs = require("node:fs"), path = require("node:path"), vm = require("node:vm");

const [bundle, file] = process.argv.slice(2);
const program = fs.readFileSync(bundle, "utf8");
const loader = /loadFileFromBase64:\((\w+),(\w+)\)=>\{this\.loadProfile\(\(\)=>(\w+)\(\1,\2\)\)\}/.exec(program);
const draws = program.indexOf("console.log(`speedscope v");
if (!loader || draws < 0) throw new Error("this version of speedscope is put together in another way");

const handler = { apply: () => anything, construct: () => anything, set: () => true };
handler.get = (_, key) => (key === Symbol.toPrimitive ? () => "" : anything);
const anything = new Proxy(function () {}, handler);
const silent = { ...console, log: () => {}, time: () => {}, timeEnd: () => {} };
const page = { console: silent, TextDecoder, TextEncoder, setTimeout, URL, atob, btoa, document: anything };
Object.assign(page, { addEventListener: anything, matchMedia: anything });
Object.assign(page, { navigator: { userAgent: "" }, location: { hash: "" }, localStorage: anything, global: {} });
Object.assign(page, { HTMLElement: class {}, HTMLCanvasElement: class {} });
page.self = page.window = page.globalThis = page;
vm.createContext(page);
vm.runInContext(`${program.slice(0, draws)}globalThis.importFile = ${loader[3]};})();`, page);

const shown = (profile) => ({
  name: profile.name,
  total: profile.totalWeight,
  weights: profile.weights,
  frames: [...profile.frames].map(({ name, file, line }) => ({ name, file, line })),
});
page.importFile(path.basename(file), fs.readFileSync(file).toString("base64")).then(
  (group) => console.log(JSON.stringify(group && group.profiles.map(shown))),
  (error) => { console.error(error); process.exit(1); },
);
