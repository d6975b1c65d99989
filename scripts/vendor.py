"""Write what the page and the report are made of but nobody edits: libraries of npm, and names of packages.

``page/static/vendor``: d3-flame-graph with the parts of d3 it needs as one module, and their licences.
``page/static/packages.js``: the packages whose frames are the framework's.
``export/report.js``: the script of the HTML report, the page's own modules as one file.

With ``--check``, fail if one of them is not up to date. Needs npm.
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

from swprof_mw.cli.tree import FRAMEWORKS

ROOT = pathlib.Path(__file__).resolve().parent.parent
WEB = ROOT / "scripts" / "web"
STATIC = ROOT / "swprof_mw" / "page" / "static"
VENDOR = STATIC / "vendor"
REPORT = ROOT / "swprof_mw" / "export" / "report.js"

#: Modules of the standard library of Python 3.10 to 3.13 that the running one may lack.
OTHER_PYTHONS = frozenset(["asynchat", "asyncore", "distutils", "imp", "smtpd", "tomllib"])


def installed(directory: pathlib.Path) -> pathlib.Path:
    """``node_modules`` with the versions of the lock file, in ``directory``."""
    for name in ("package.json", "package-lock.json", "d3-flame-graph.js"):
        (directory / name).write_bytes((WEB / name).read_bytes())
    npm = shutil.which("npm") or sys.exit("npm is needed, and not on the path")
    subprocess.run([npm, "ci", "--no-audit", "--no-fund", "--silent"], cwd=directory, check=True)  # noqa: S603
    return directory / "node_modules"


def bundled(modules: pathlib.Path, entry: pathlib.Path, *options: str) -> bytes:
    """One file of a module and all that it imports. Names stay as they are: d3-flame-graph asks for one."""
    command = [str(modules / ".bin" / "esbuild"), str(entry), "--bundle", "--loader:.css=empty", "--charset=utf8"]
    environ = {**os.environ, "NODE_PATH": str(modules)}
    done = subprocess.run(  # noqa: S603
        [*command, "--log-level=warning", "--target=es2022", *options],
        cwd=modules.parent,
        env=environ,
        check=True,
        stdout=subprocess.PIPE,
    )
    return done.stdout


def libraries(modules: pathlib.Path) -> list[str]:
    """The names of what is vendored: the library, and whatever it needs."""
    found: list[str] = []
    waiting = ["d3-flame-graph"]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.append(name)
            waiting.extend(json.loads((modules / name / "package.json").read_text()).get("dependencies", {}))
    return sorted(found)


def licences(modules: pathlib.Path) -> str:
    """The licence of each library, with its version."""
    parts = ["What d3-flame-graph.js is made of, each part under its own licence.\n"]
    for name in libraries(modules):
        about = json.loads((modules / name / "package.json").read_text())
        (licence,) = [one for one in (modules / name).iterdir() if one.name.upper().startswith("LICENSE")]
        parts.append(f"{'=' * 78}\n{name} {about['version']} ({about['license']})\n\n{licence.read_text().strip()}\n")
    return "\n".join(parts)


def packages() -> str:
    """The module with the names of the framework's packages."""
    names = sorted(FRAMEWORKS | sys.stdlib_module_names | OTHER_PYTHONS)
    listed = "".join(f"  {json.dumps(name)},\n" for name in names)
    return (
        "/** Written by scripts/vendor.py: the standard library's modules, and what lies between server and app. */\n\n"
        f"export const PACKAGES = new Set([\n{listed}]);\n"
    )


def written(path: pathlib.Path, content: bytes, check: bool) -> bool:
    """Whether the file is as it should be; writes it unless ``check``."""
    if path.is_file() and path.read_bytes() == content:
        return True
    if not check:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
    return not check


def main(check: bool) -> list[str]:
    """Write the files, or with ``check`` return the names of those that are not up to date."""
    with tempfile.TemporaryDirectory() as directory:
        modules = installed(pathlib.Path(directory))
        library = bundled(modules, modules.parent / "d3-flame-graph.js", "--format=esm")
        stale = {
            VENDOR / "d3-flame-graph.js": library,
            VENDOR / "LICENSES.txt": licences(modules).encode(),
            STATIC / "packages.js": packages().encode(),
        }
        old = [path for path, content in stale.items() if not written(path, content, check)]
        report = bundled(modules, STATIC / "report.js", "--format=iife", "--minify-whitespace", "--minify-syntax")
        old += [] if written(REPORT, report, check) else [REPORT]
    return [path.relative_to(ROOT).as_posix() for path in old]


if __name__ == "__main__":
    if stale := main("--check" in sys.argv[1:]):
        sys.exit(f"not up to date, run scripts/vendor.py: {', '.join(stale)}")
