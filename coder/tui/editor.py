"""The user's own editor on a text, with the screen out of its way meanwhile."""

import os
import shlex
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, cast

from textual.app import App, SuspendNotSupported

from coder.errors import CoderError, UserError
from coder.text import visible

if TYPE_CHECKING:
    from coder.tui.app import CoderApp


def edit(app: "App[int]", text: bytes, suffix: str) -> bytes:
    """`text` as $VISUAL, else $EDITOR, else vi leaves it. Nothing else runs meanwhile. Raises UserError."""
    with tempfile.TemporaryDirectory(prefix="coder-edit-") as place:
        path = Path(place, f"text{suffix}")
        path.write_bytes(text)
        run(app, lambda editor: [*shlex.split(editor), str(path)])
        return path.read_bytes()


def say_fault(app: "App[int]", error: CoderError) -> None:
    """Why an edit came to nothing, over the screen that it was for."""
    words = "; ".join(filter(None, (error.message, error.hint)))
    app.notify(visible(f"{words[:1].upper()}{words[1:]}."), severity="error", markup=False)


def run(app: "App[int]", words: Callable[[str], list[str]]) -> None:
    """Run what `words` makes of the user's editor, to its end. Raises UserError."""
    command = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    terminal = cast("CoderApp", app).terminal
    if terminal is None:
        raise UserError("an editor needs a terminal")
    try:
        with app.suspend():
            done = subprocess.run(words(command), stdin=terminal.fd, stdout=terminal.fd, stderr=terminal.fd)
    except (OSError, ValueError, SuspendNotSupported) as error:
        raise UserError(f"the editor {command!r} could not be started: {error}", "set EDITOR") from None
    if done.returncode:
        raise UserError(f"the editor {command!r} ended with {done.returncode}", "nothing was changed")
