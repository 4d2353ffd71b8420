"""What the main model may call: one file each, its description in prompts/tools/. No shell, no URLs, no other power."""

from coder.agents.tool import Tool
from coder.tools.apply_patch import APPLY_PATCH
from coder.tools.delegate import DELEGATE
from coder.tools.list_files import LIST_FILES
from coder.tools.read_files import READ_FILES
from coder.tools.run_tests import RUN_TESTS
from coder.tools.search import SEARCH

# The order is part of the cached prefix of every request.
ALL: tuple[Tool, ...] = (READ_FILES, SEARCH, LIST_FILES, APPLY_PATCH, RUN_TESTS, DELEGATE)

# For questions and plans: nothing here can change the draft or run anything.
READING: tuple[Tool, ...] = (READ_FILES, SEARCH, LIST_FILES, DELEGATE)

__all__ = ["ALL", "APPLY_PATCH", "DELEGATE", "LIST_FILES", "READING", "READ_FILES", "RUN_TESTS", "SEARCH"]
