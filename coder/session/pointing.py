"""Where the causes of failed tests point to: a file of the working tree and a line, and how an editor opens it there.

Paths come from the output of tests and from models: what lies outside of the tree is not opened.
"""

import os
import shlex
from collections.abc import Sequence
from pathlib import Path, PurePath

from coder.errors import UserError
from coder.values import TriageCard

# Editors that take the line behind the path; "--goto" goes before it for those of the second list. All others of
# the terminal take "+LINE", as vi does.
_BEHIND = ("hx", "helix", "zed", "subl")
_GOTO = ("code", "code-insiders", "codium", "cursor", "windsurf")


def find_place(root: Path, cards: Sequence[TriageCard], text: str) -> tuple[Path, int]:
    """The file and line that `text` names: the number of a card (its first place in the tree), or PATH[:LINE]."""
    if text.isdecimal() or not text:
        number = int(text or 1)
        if not 1 <= number <= len(cards):
            raise UserError(f"there is no cause {number}", f"{len(cards)} are known" if cards else "no test failed")
        for path, line in cards[number - 1].locations:
            if found := _in_tree(root, path):
                return found, max(line, 1)
        raise UserError(f"cause {number} points to no file of the repository")
    path, _, line_text = text.rpartition(":")
    path, line = (path, int(line_text)) if path and line_text.isdecimal() else (text, 1)
    if found := _in_tree(root, path):
        return found, max(line, 1)
    raise UserError(f"there is no file {path} in the repository", "as in: src/app.py:12")


def editor_words(editor: str, path: Path, line: int) -> list[str]:
    """The command that opens `path` at `line`. Raises ValueError for an `editor` that is no command line."""
    words = shlex.split(editor)
    name = PurePath(words[0]).name if words else ""
    if name in _GOTO:
        return [*words, "--goto", f"{path}:{line}"]
    return [*words, f"{path}:{line}"] if name in _BEHIND else [*words, f"+{line}", str(path)]


def _in_tree(root: Path, path: str) -> Path | None:
    place = Path(os.path.normpath(root / path))
    inside = place.is_relative_to(root) and place.resolve().is_relative_to(root.resolve())
    return place if inside and place.is_file() else None
