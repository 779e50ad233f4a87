"""`python -m graph_runtime` is `latentloom`."""

from __future__ import annotations

import sys

from graph_runtime.cli import main

if __name__ == "__main__":
    sys.exit(main())
