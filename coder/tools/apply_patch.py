"""apply_patch: an edit, in any accepted format, into the draft. Never into the working tree."""

from coder.agents.text_edit import edit_draft
from coder.agents.tool import Desk, Tool
from coder.errors import ToolError
from coder.repo.patch.edits import PatchRefused


async def _apply(text: str, desk: Desk) -> str:
    try:
        edit = await edit_draft(text, desk)
    except PatchRefused as refusal:
        told, _, problems = str(refusal).partition("\n")
        raise ToolError(f"nothing was changed; {problems or told}") from refusal  # the first line is what people see
    lines = edit.patch.splitlines()
    added = sum(line.startswith(b"+") and not line.startswith(b"+++ ") for line in lines)
    removed = sum(line.startswith(b"-") and not line.startswith(b"--- ") for line in lines)
    paths = ", ".join(edit.paths)
    warnings = "".join(f"\nwarning: {warning}" for warning in edit.warnings[:5])
    return f"in the draft: {paths} (+{added} -{removed}){warnings}"


def _describe(text: str) -> str:
    return f"edit ({len(text.splitlines())} lines)"


APPLY_PATCH = Tool("apply_patch", None, _apply, _describe, only_reads=False)
