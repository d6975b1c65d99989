"""The formats by their names. A new one is a module beside these and a line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from swprof_mw.export import collapsed, html, pprof, speedscope
from swprof_mw.export.profile import Profile

FORMATS: Mapping[str, Callable[[Sequence[Profile]], bytes]] = {
    "speedscope": speedscope.encode,
    "collapsed": collapsed.encode,
    "pprof": pprof.encode,
    "html": html.encode,
}
"""A function from the profiles, in the order in which they are to stand, to the file's content."""

BINARY = frozenset({"pprof"})
"""Those that a terminal cannot show."""
