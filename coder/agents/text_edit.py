"""Edits that a model writes as text, for models without tool calls. What counts as an edit is the patch room's word."""

from coder.agents.tool import Desk
from coder.events import DraftChanged
from coder.repo.draft import DraftEdit
from coder.repo.patch.edits import PatchRefused
from coder.repo.patch.find import has_edit
from coder.text import redact


async def take_text_edit(text: str, desk: Desk) -> str:
    """Put an edit found in a reply's text into the draft. Returns what the model is told if it is refused, or ""."""
    if not has_edit(text):
        return ""
    try:
        await edit_draft(text, desk)
    except PatchRefused as refusal:
        return redact(f"[coder: the edit in your reply was refused as a whole and nothing was changed.]\n{refusal}")
    return ""


async def edit_draft(text: str, desk: Desk) -> DraftEdit:
    """Resolve `text` against the draft, keep the patch for compaction, and say that the draft changed."""
    edit = await desk.blocking(desk.draft.edit, text, desk.hides)
    desk.edits.append(redact(edit.patch.decode("utf-8", "replace")))  # its context lines were not all shown
    desk.emit(DraftChanged(desk.draft.tree, edit.paths, edit.patch))
    return edit
