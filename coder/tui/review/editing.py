"""A hunk in the user's editor: what is shown there, and whether what comes back still fits the file."""

from collections.abc import Mapping

from textual.app import App

from coder.errors import CoderError
from coder.repo.diff import edit_hunk
from coder.repo.patch import PatchRefused
from coder.text import visible, visible_line
from coder.tui.editor import edit
from coder.tui.review.decisions import Place
from coder.values import FileDiff, Hunk

HELP = (
    b"# Lines with + are added, lines with - are removed. Change or delete + lines; a - made a blank keeps its line.\n"
    b"# Lines with # are not part of the change. What you save is accepted.\n"
)


def edit_in_editor(app: App[int], file: FileDiff, number: int, now: Hunk) -> bytes | None:
    """Hunk `number`, at present `now`, as the user leaves it; None, said on the screen, where nothing came of it."""
    before = b"".join(now.lines)
    try:
        after = edit(app, HELP + before, ".diff").removeprefix(HELP)
        edit_hunk(file, number, after)
    except CoderError as error:
        app.notify(visible_line(f"{error.message} {error.hint}"), severity="error", markup=False)
        return None
    except PatchRefused as refusal:
        app.notify(visible(str(refusal)), severity="error", markup=False)
        return None
    return None if after == before else after


def edited_hunks(file: FileDiff, at: int, edits: Mapping[Place, bytes]) -> dict[int, Hunk]:
    """The hunks of the file at position `at` that were edited, by their positions."""
    return {hunk: edit_hunk(file, hunk, text) for (number, hunk), text in edits.items() if number == at}
