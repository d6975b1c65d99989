"""uWSGI as a module of its environment's interpreter: ``python -m tests.process_apps.uwsgi --http-socket ...``."""

from __future__ import annotations

import os
import sys

if __name__ == "__main__":
    program = os.path.join(os.path.dirname(sys.executable), "uwsgi")
    os.execv(program, [program, *sys.argv[1:]])
