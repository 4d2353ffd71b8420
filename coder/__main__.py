"""`python -m coder`: the same program as the `coder` command."""

import sys
from pathlib import Path

# `-m` puts the current directory first on the path: a repository's own `openai.py` must not be what gets imported.
if sys.path and Path(sys.path[0] or ".").resolve() != Path(__file__).resolve().parent.parent:
    del sys.path[0]

from coder.cli import main

if __name__ == "__main__":
    main()
