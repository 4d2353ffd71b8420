"""The V4A patch format (`*** Begin Patch`), with or without its envelope, to Edit values.

Grammar: openai-agents-python, apply_diff, and the Codex `apply_patch` tool. Markers are read leniently (spacing,
`Modify` for `Update`, padding around Begin and End); the body of an added file must be all `+` or not at all.
"""

import re

from msgspec.structs import replace

from coder.repo.patch.edits import BadEdit, Edit, Hunk, Line
from coder.repo.patch.hunks import read_body, read_header
from coder.repo.patch.reply import Reply

_BEGIN = re.compile(r"\s*\*\*\* ?Begin Patch\s*$")
_END = re.compile(r"\s*\*\*\* ?End Patch\s*$")
_FILE = re.compile(r"\*\*\* ?(Add|Create|New|Update|Modify|Edit|Change|Delete|Remove) File:\s*(.*?)\s*$", re.IGNORECASE)
_MOVE = re.compile(r"\*\*\* ?(?:Move|Rename)(?: File)? to:\s*(.*?)\s*$", re.IGNORECASE)
_END_OF_FILE = re.compile(r"\*\*\* ?End of File\s*$", re.IGNORECASE)


def starts_envelope(reply: Reply, i: int) -> bool:
    """Whether `*** Begin Patch` stands at line i; padding is allowed if only that line has it."""
    line = reply.lines[i]
    if not _BEGIN.match(line):
        return False
    follower = reply.lines[i + 1] if i + 1 < len(reply.lines) else ""
    return line.startswith("***") or not follower[:1].isspace()


def starts_file(line: str) -> bool:
    """A file section without the envelope around it."""
    return _FILE.match(line) is not None


def read_patch(reply: Reply, start: int, stop: int, closed: bool) -> tuple[list[Edit], int]:
    """The edits of the patch at `start`, and where it ends. `closed`: a fence says that the patch is complete."""
    if starts_envelope(reply, start):
        end = _end(reply, start + 1, stop)
        if end < 0:
            raise BadEdit("truncated", "the patch has no `*** End Patch`: it was cut off")
        body, after = start + 1, end + 1
    else:
        end = _end(reply, start, stop)
        if end < 0 and not closed and not reply.ends_with_newline and stop == len(reply.lines):
            raise BadEdit("truncated", "the patch has no `*** End Patch` and breaks off inside a line")
        end = after = stop if end < 0 else end
        body = start
    return _read_files(reply, body, end), after


def _end(reply: Reply, start: int, stop: int) -> int:
    """The line of `*** End Patch`; one that is padded could be context, so an exact one goes before it."""
    padded = -1
    for i in range(start, stop):
        if starts_envelope(reply, i) and reply.lines[i].startswith("***"):
            break
        if _END.match(reply.lines[i]):
            if reply.lines[i].startswith("***"):
                return i
            padded = i
    return padded


def _read_files(reply: Reply, start: int, end: int) -> list[Edit]:
    edits: list[Edit] = []
    i = start
    while i < end:
        match = _FILE.match(reply.lines[i])
        if match is None:
            if reply.lines[i].strip():
                raise BadEdit("malformed", f"a patch consists of file sections, not of {reply.lines[i].strip()[:60]!r}")
            i += 1
            continue
        begin = i = i + 1
        while i < end and not _FILE.match(reply.lines[i]):
            i += 1
        edits.append(_read_file(match[1].lower(), match[2], reply, begin, i))
    return edits


def _read_file(verb: str, path: str, reply: Reply, begin: int, end: int) -> Edit:
    if verb in ("add", "create", "new"):
        return Edit("V4A", "create", path, (_added(path, reply, begin, end),))
    if verb in ("delete", "remove"):
        if any(line.strip() for line in reply.lines[begin:end]):
            raise BadEdit("malformed", "lines follow `*** Delete File:`", path)
        return Edit("V4A", "delete", path)
    new_path = ""
    if begin < end and (move := _MOVE.match(reply.lines[begin])):
        new_path = move[1]
        begin += 1
    hunks = tuple(_read_hunks(reply, begin, end))
    if not hunks and not new_path:
        raise BadEdit("malformed", "the section has no changes", path)
    return Edit("V4A", "update", path, hunks, new_path=new_path)


def _added(path: str, reply: Reply, begin: int, end: int) -> Hunk:
    lines = list(reply.lines[begin:end])
    marked = [line.startswith("+") for line in lines if line.strip()]
    if all(marked):
        while lines and not lines[-1].strip():
            lines.pop()
        texts = [line[1:] for line in lines]
    elif not any(marked):  # the marks were forgotten throughout
        texts = lines
    else:
        raise BadEdit("malformed", "some lines of the added file lack their `+`", path)
    return Hunk(tuple(Line("+", text) for text in texts))


def _read_hunks(reply: Reply, i: int, end: int) -> list[Hunk]:
    hunks: list[Hunk] = []
    i = _skip_diff_header(reply, i, end)
    while i < end:
        anchors: list[str] = []
        start = 0
        while i < end and reply.lines[i].startswith("@@"):  # stacked: class, then method
            header = read_header(reply.lines[i])
            anchors += [header.anchor] if header.anchor else []
            start = header.start or start
            i += 1
        begin = i
        while i < end and not reply.lines[i].startswith("@@") and not _END_OF_FILE.match(reply.lines[i]):
            i += 1
        at_end = i < end and not reply.lines[i].startswith("@@")
        body = read_body(reply, begin, i)
        i += at_end
        if any(line.kind != " " or line.text.strip() for line in body.lines):
            hunks.append(replace(body, anchors=tuple(anchors), start=start, at_end=at_end))
    return hunks


def _skip_diff_header(reply: Reply, i: int, end: int) -> int:
    """Models repeat a unified diff's file header inside the section."""
    while i < end and reply.lines[i].startswith(("diff --git ", "index ")):
        i += 1
    if i + 1 < end and reply.lines[i].startswith("--- ") and reply.lines[i + 1].startswith("+++ "):
        return i + 2
    return i
