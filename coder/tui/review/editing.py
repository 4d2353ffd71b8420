"""Hunks in the user's editor: what is shown there, and whether what comes back still fits the files."""

from collections.abc import Mapping, Sequence

from textual.app import App

from coder.amounts import count
from coder.errors import CoderError, UserError
from coder.repo.diff import edit_hunk, lines_of, render_hunk
from coder.repo.patch.edits import PatchRefused
from coder.text import visible
from coder.tui.editor import edit, say_fault
from coder.tui.review.decisions import Place
from coder.tui.review.diff_text import FileText
from coder.values import FileDiff, Hunk

HELP = (
    b"# Lines with + are added, lines with - are removed. Change or delete + lines; a - made a blank keeps its line.\n"
    b"# Lines with # are not part of the change. What you save is accepted.\n"
)


def edit_in_editor(app: App[int], files: Sequence[FileText], places: Sequence[Place]) -> dict[Place, bytes]:
    """Those of the hunks that the user changed, as they left them. What comes to nothing is said on the screen."""
    before = [render_hunk(files[number].hunk(hunk)) for number, hunk in places]
    try:
        after = _hunks_in(edit(app, HELP + _shown(files, places, before), ".diff"))
        if len(after) != len(places):
            said = f"{count(len(places), 'hunk')} went to the editor and {len(after) or 'none'} came back"
            raise UserError(said, "keep the lines with @@")
        for (number, hunk), text in zip(places, after, strict=True):
            edit_hunk(files[number].diff, hunk, text)
    except CoderError as error:
        say_fault(app, error)
        return {}
    except PatchRefused as refusal:
        app.notify(visible(str(refusal)), severity="error", markup=False)
        return {}
    bodies = [text.partition(b"\n")[2] for text in before]
    changed = {place: text for place, text, was in zip(places, after, bodies, strict=True) if text != was}
    if not changed:
        app.notify("Nothing was changed in the editor.", markup=False)
    return changed


def _shown(files: Sequence[FileText], places: Sequence[Place], hunks: Sequence[bytes]) -> bytes:
    """The hunks below each other, each file named where there are several."""
    several = len({number for number, _ in places}) > 1
    out, last = [], -1 if several else places[0][0]
    for (number, _), text in zip(places, hunks, strict=True):
        if number != last:
            out.append(f"# {files[number].title}\n".encode("utf-8", "surrogateescape"))
            last = number
        out.append(text)
    return b"".join(out)


def _hunks_in(text: bytes) -> list[bytes]:
    """What stands below each line with @@, without the remarks."""
    hunks: list[list[bytes]] = []
    for line in lines_of(text):
        if line.startswith(b"@@"):
            hunks.append([])
        elif hunks and not line.startswith(b"#"):
            hunks[-1].append(line)
    return [b"".join(lines) for lines in hunks]


def edited_hunks(file: FileDiff, at: int, edits: Mapping[Place, bytes]) -> dict[int, Hunk]:
    """The hunks of the file at position `at` that were edited, by their positions."""
    return {hunk: edit_hunk(file, hunk, text) for (number, hunk), text in edits.items() if number == at}
