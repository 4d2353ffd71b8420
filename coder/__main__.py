"""`python -m coder`: the same program as the `coder` command."""

import os
import sys

# `-m` puts the current directory first on the path: a repository's own `openai.py` must not be what gets imported.
# Until that is undone, only what the interpreter itself has imported already may be used here.
if sys.path and os.path.realpath(sys.path[0] or ".") != os.path.dirname(os.path.dirname(os.path.realpath(__file__))):
    del sys.path[0]

from coder.cli import main

if __name__ == "__main__":
    main()
