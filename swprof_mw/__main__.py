"""``python -m swprof_mw``: the same as the command ``swprof``."""

import sys

from swprof_mw.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
