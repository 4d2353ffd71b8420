"""A proposal, reviewed as `git add -p` does: one hunk, one letter. Only what was accepted lands."""

import os
import shlex
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from coder.amounts import count
from coder.plain.console import Console
from coder.plain.hunks import Choices, Piece
from coder.plain.lines import evidence_lines, price_words
from coder.repo.diff import render_hunk
from coder.repo.patch.edits import PatchRefused
from coder.text import hides_characters
from coder.values import FileDiff, Proposal, ReviewDecision

HELP = """\
y - accept this hunk
n - reject this hunk
a - accept this hunk and all later ones of the file
d - reject this hunk and all later ones of the file
s - split this hunk into smaller ones
e - edit this hunk in $EDITOR, and accept it so
c - comment: reject this hunk and tell the model why
j - leave this hunk undecided, see the next undecided one
k - see the hunk before
g - go to a hunk, by its number (g 3); alone, list them
/ - go to the next hunk that holds some words (/price)
q - reject this hunk and all that is undecided
? - this help"""

EDIT_NOTE = b"""\
# Lines that begin with a blank or - must stay the lines of the file: make - a blank to keep a line,
# delete a + line to leave it out, write new lines with +. Lines that begin with # are left out.
# Delete everything to leave the hunk as it was.
"""


def review(console: Console, proposal: Proposal) -> ReviewDecision:
    """Ask about each hunk. At the end of the input all that is undecided is rejected."""
    show_proposal(console, proposal)
    choices = Choices(proposal.files)
    confirmed: set[str] = set()
    at: int | None = 0
    try:
        while at is not None:
            _show_piece(console, choices, at)
            at = _ask(console, choices, at, confirmed)
    except EOFError:
        console.say("the input ended: what is undecided is rejected")
    taken, every = choices.counts()
    console.say(f"{taken} of {every} hunks accepted")
    return choices.decision()


def show_proposal(console: Console, proposal: Proposal) -> None:
    """What is proposed and what supports it, before the hunks."""
    added, removed = sum(file.added for file in proposal.files), sum(file.removed for file in proposal.files)
    console.show(f"\nproposal: {count(len(proposal.files), 'file')}, +{added} -{removed}", "strong")
    for file in proposal.files:
        renamed = f"{file.old_path} -> " if file.kind == "renamed" else ""
        console.show(f"  {renamed}{file.path}  +{file.added} -{file.removed}  ({file.kind})")
    for line in evidence_lines(proposal.evidence, proposal.triage):
        console.show(line, "loud" if proposal.evidence.status == "failed" else "")
    for warning in proposal.warnings:
        console.show(f"warning: {warning}", "loud")
    console.show(price_words(proposal.cost_usd))


def show_diff(console: Console, proposal: Proposal) -> None:
    """All hunks, without a question."""
    show_proposal(console, proposal)
    for piece in Choices(proposal.files).pieces:
        _show_hunk(console, piece)


def _show_piece(console: Console, choices: Choices, at: int) -> None:
    piece = choices.pieces[at]
    console.show("")
    if at == 0 or choices.pieces[at - 1].file is not piece.file:
        console.show(_file_line(piece.file), "strong")
    if piece.file.protected:
        console.show(f"PROTECTED: {piece.file.path}: {piece.file.protected}", "loud")
    _show_hunk(console, piece)
    if piece.mark != "undecided":
        console.show(f"({piece.mark})")


def _file_line(file: FileDiff) -> str:
    was = f", was {file.old_path}" if file.kind == "renamed" else ""
    mode = f", mode {file.old_mode} -> {file.new_mode}" if file.old_mode and file.old_mode != file.new_mode else ""
    return f"{file.path} ({file.kind}{was}{mode if file.kind in ('modified', 'renamed') else ''})"


def _show_hunk(console: Console, piece: Piece) -> None:
    if piece.hunk is None:
        what = "binary content" if piece.file.binary else "no lines change"
        console.show(f"{_file_line(piece.file)}: {what}")
        return
    text = render_hunk(piece.hunk).decode("utf-8", "surrogateescape")
    if hides_characters(text):
        console.show("HIDDEN CHARACTERS are spelled out as <U+...> below", "loud")
    for line in text.removesuffix("\n").split("\n"):
        style = {"+": "added", "-": "removed"}.get(line[:1], "")
        console.show(line, style)


def _ask(console: Console, choices: Choices, at: int, confirmed: set[str]) -> int | None:
    """One answer to one hunk; which hunk is next, None where the review is over."""
    piece, (_, every) = choices.pieces[at], choices.counts()
    letters = (
        "ynad" + ("s" if piece.can_split else "") + ("e" if piece.hunk and not piece.file.binary else "") + "cjkg/q?"
    )
    answer = console.ask(f"({at + 1}/{every}) {piece.file.path}: accept this hunk [{','.join(letters)}]? ")
    letter = answer[:1]
    if (len(answer) != 1 and letter not in "cg/") or letter not in letters or not letter:
        console.say(HELP if letter == "?" or not letter else f"{answer!r} is none of the answers\n{HELP}")
        return at
    if letter in "yae" and piece.file.protected and piece.file.path not in confirmed:
        if not console.confirm(f"{piece.file.path} is protected ({piece.file.protected}). Change it all the same?"):
            return at
        confirmed.add(piece.file.path)
    return _carry_out(console, choices, at, letter, answer[1:].strip())


def _carry_out(console: Console, choices: Choices, at: int, letter: str, rest: str) -> int | None:
    match letter:
        case "y" | "n":
            choices.decide(at, "accepted" if letter == "y" else "rejected")
        case "a" | "d":
            choices.decide_rest(at, "accepted" if letter == "a" else "rejected")
        case "s":
            console.say(f"split into {choices.split(at)} hunks")
            return at
        case "e":
            if not _edit(console, choices, at):
                return at
        case "c":
            choices.comment(at, rest or console.ask("comment: "))
        case "k":
            return max(0, at - 1)
        case "g" | "/":
            return _go(console, choices, at, letter, rest)
        case "q":
            return None
        case "?":
            console.say(HELP)
            return at
    return choices.next_undecided(at)


def _go(console: Console, choices: Choices, at: int, letter: str, rest: str) -> int:
    """The hunk with a number, or the next one with some words; the same one, and a word, where there is none."""
    if letter == "g" and not rest:
        for number, piece in enumerate(choices.pieces, 1):
            where = f"line {piece.hunk.old_start}, +{piece.hunk.added} -{piece.hunk.removed}" if piece.hunk else "whole"
            console.say(f"{number:>4}  {piece.mark:<9}  {piece.file.path}: {where}")
        return at
    if letter == "/":
        found = choices.find(at, rest or console.ask("search for: "))
    else:
        found = int(rest) - 1 if rest.isdecimal() and 0 < int(rest) <= len(choices.pieces) else None
    if found is None:
        console.say("there is no such hunk")
    return at if found is None else found


def _edit(console: Console, choices: Choices, at: int) -> bool:
    """Let the person rewrite a hunk. False, with the reason said, where that came to nothing."""
    hunk = choices.pieces[at].hunk
    assert hunk is not None
    written = edit_text(console, render_hunk(hunk) + EDIT_NOTE, ".diff")
    if written is None or not b"".join(line for line in written.splitlines() if not line.startswith(b"#")).strip():
        console.say("the hunk was left as it was")
        return False
    try:
        choices.edit(at, written)
    except PatchRefused as refusal:
        console.say(f"the edited hunk does not fit: {refusal}")
        return False
    return True


def edit_text(console: Console, content: bytes, suffix: str) -> bytes | None:
    """`content` as it is after the person's editor; None where there is no editor or it failed."""
    with tempfile.TemporaryDirectory(prefix="coder-edit-") as place:  # 0700
        path = Path(place, f"edit{suffix}")
        path.write_bytes(content)
        return path.read_bytes() if run_editor(console, lambda editor: [*shlex.split(editor), str(path)]) else None


def run_editor(console: Console, words: Callable[[str], list[str]]) -> bool:
    """Run what `words` makes of the person's editor, to its end; False where there is none or it failed."""
    names = ("EDITOR", "VISUAL") if os.environ.get("TERM") == "dumb" else ("VISUAL", "EDITOR")
    editor = next((os.environ[name] for name in names if os.environ.get(name)), "vi")
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the editor's now
    try:
        done = subprocess.run(words(editor), stdout=sys.stderr if console.scripted else None)
    except (OSError, ValueError) as error:
        console.say(f"cannot start the editor {editor!r}: {error}; set EDITOR")
        return False
    finally:
        signal.signal(signal.SIGINT, before)
    if done.returncode != 0:
        console.say(f"the editor ended with exit code {done.returncode}")
    return done.returncode == 0
