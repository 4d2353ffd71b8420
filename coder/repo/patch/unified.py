"""Unified diffs in any state of repair (git's extended headers, missing counts, several files) to Edit values.

Header counts only serve to notice a cut-off end; where a body ends is decided by what follows it.
"""

import re
from dataclasses import dataclass, field

from msgspec.structs import replace

from coder.repo.patch.edits import BadEdit, Edit, Hunk
from coder.repo.patch.hunks import Header, read_body, read_header
from coder.repo.patch.reply import Reply

_NULL = "/dev/null"
# What `diff` appends to a name that has no tab after it.
_TIMESTAMP = re.compile(r"\s+\d{4}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d([.,]\d+)?)?(\s*([-+]\d\d:?\d\d|Z))?$")
# Lines that can only stand between two files: git, diff -r, svn, and the mail around a patch.
_BETWEEN = re.compile(r"diff --git |diff -|Index: |Only in |From [0-9a-f]{40} ")
_SIDES = (("a/", "b/"), ("i/", "w/"), ("c/", "i/"), ("c/", "w/"), ("o/", "w/"), ("1/", "2/"))  # diff.mnemonicPrefix


def starts_diff(reply: Reply, i: int) -> bool:
    """Whether a unified diff starts at line i."""
    line = reply.lines[i]
    if line.startswith("diff --git "):
        return True
    return _is_file_header(reply, i)


def _is_file_header(reply: Reply, i: int) -> bool:
    """`--- ` is a file header only where `+++ ` follows; else it removes a line that starts with `-- `."""
    lines = reply.lines
    return lines[i].startswith("--- ") and i + 1 < len(lines) and lines[i + 1].startswith("+++ ")


def _is_header_in_body(reply: Reply, i: int, stop: int) -> bool:
    """As `_is_file_header`, inside a body, where it could also replace `-- x` by `++ y`: a hunk must follow."""
    if not _is_file_header(reply, i) or i + 1 >= stop:
        return False
    follower = reply.lines[i + 2] if i + 2 < stop else ""
    return follower.startswith("@@") or not follower.strip() or _same_file(reply.lines[i], reply.lines[i + 1])


def _same_file(old_line: str, new_line: str) -> bool:
    old, new = _name(old_line[4:]), _name(new_line[4:])
    return _NULL in (old, new) or old.split("/", 1)[-1] == new.split("/", 1)[-1]


@dataclass
class _File:
    """One file of the diff while it is being read."""

    git: tuple[str, str] | None = None
    old: str = ""
    new: str = ""
    moved_from: str = ""
    moved_to: str = ""
    created: bool = False
    deleted: bool = False
    executable: bool | None = None
    literal: bool = False
    ends_bare: bool = False  # the last `@@` header has no lines below it
    hunks: list[Hunk] = field(default_factory=list)


def read_diff(reply: Reply, start: int, stop: int, closed: bool) -> tuple[list[Edit], int]:
    """The edits of the diff at `start`, and where it ends. `closed`: a fence says that the diff is complete."""
    edits: list[Edit] = []
    i = start
    while i < stop:
        if not (starts_diff(reply, i) or (edits and reply.lines[i].startswith("diff -"))):
            i += 1
            continue
        file = _File()
        i = _read_git_header(reply, i, stop, file)
        i = _read_names(reply, i, stop, file)
        i, last = _read_hunks(reply, i, stop, file)
        if i >= len(reply.lines) and not closed:
            _check_end(reply, file, last)
        edits.append(_edit(file))
    return edits, i


def _check_end(reply: Reply, file: _File, last: Header | None) -> None:
    """A reply that ends in a diff, with no fence around it, may have been cut off there.

    A short last hunk with a line end is only miscounted; one without is cut off. So is a header that announces lines
    and has none.
    """
    if last is None:
        return
    if file.ends_bare:
        is_cut = last.old_count + last.new_count > 0
    else:
        is_cut = not reply.ends_with_newline and last.is_short(file.hunks[-1])
    if is_cut:
        raise BadEdit("truncated", "the diff breaks off inside its last hunk", file.new or file.old)
    if file.hunks and not file.ends_bare and not reply.ends_with_newline:
        file.hunks[-1] = replace(file.hunks[-1], cut=True)


def _read_git_header(reply: Reply, i: int, stop: int, file: _File) -> int:
    if not reply.lines[i].startswith("diff "):
        return i
    if reply.lines[i].startswith("diff --git "):
        file.git = _git_names(reply.lines[i].removeprefix("diff --git ").rstrip())
    i += 1
    while i < stop:
        line = reply.lines[i]
        word, _, value = line.partition(" ")
        if line.startswith(("copy from ", "copy to ")):
            raise BadEdit("forbidden", "a diff that copies a file does not show what it copies: write the new file out")
        if line.startswith(("GIT binary patch", "Binary files ")):
            raise BadEdit("forbidden", "binary files cannot be patched", file.git[1] if file.git else "")
        if line.startswith("rename from "):
            file.moved_from = _name(line.removeprefix("rename from "), tabs=False)
        elif line.startswith("rename to "):
            file.moved_to = _name(line.removeprefix("rename to "), tabs=False)
        elif line.startswith(("new mode ", "new file mode ", "deleted file mode ")):
            file.created |= line.startswith("new file")
            file.deleted |= line.startswith("deleted")
            file.executable = _mode(line.split()[-1]) if not line.startswith("deleted") else None
        elif word == "index" and value.count(" ") == 1:
            _mode(value.split()[-1])
        elif not line.startswith(("old mode ", "similarity index ", "dissimilarity index ", "index ", "=====")):
            break
        i += 1
    return i


def _mode(text: str) -> bool | None:
    """Whether a git mode makes the file executable. Symlinks and submodules are no text to edit."""
    if text.startswith(("120", "160")):
        raise BadEdit("forbidden", f"mode {text} is a symlink or a submodule")
    if text not in ("100644", "100755", "100664", "644", "755"):
        raise BadEdit("forbidden", f"mode {text} is not that of a plain file")
    return text.endswith("755")


def _read_names(reply: Reply, i: int, stop: int, file: _File) -> int:
    if i >= stop or not _is_file_header(reply, i):
        return i
    file.old, file.new = _name(reply.lines[i][4:]), _name(reply.lines[i + 1][4:])
    file.literal = not reply.cr[i]
    return i + 2


def _read_hunks(reply: Reply, i: int, stop: int, file: _File) -> tuple[int, Header | None]:
    """Reads hunks into `file`; returns where they end and the last `@@` header."""
    header: Header | None = None
    while i < stop and not _ends_file(reply, i, stop):
        header = Header()
        if reply.lines[i].startswith("@@"):
            header = read_header(reply.lines[i])
            i += 1
        begin = i
        while i < stop and not reply.lines[i].startswith("@@") and not _ends_file(reply, i, stop):
            if reply.lines[i].startswith(("GIT binary patch", "Binary files ")):
                raise BadEdit("forbidden", "binary files cannot be patched", file.new)
            i += 1
        body = read_body(reply, begin, _without_signature(reply, begin, i))
        after_line = header.old_count == 0 and bool(body.lines) and not body.old
        anchors = (header.anchor,) if header.anchor else ()
        if body.lines:
            file.hunks.append(replace(body, anchors=anchors, start=header.start, after_line=after_line))
        file.ends_bare = not body.lines
    return i, header


def _ends_file(reply: Reply, i: int, stop: int) -> bool:
    return bool(_BETWEEN.match(reply.lines[i])) or _is_header_in_body(reply, i, stop)


def _without_signature(reply: Reply, begin: int, end: int) -> int:
    """`end` before the signature that git format-patch writes: "-- " and git's version."""
    for i in range(max(begin, end - 4), end - 1):
        if reply.lines[i] in ("-- ", "--") and re.match(r"\d+\.\d+[\w.]*( \(.*\))?$", reply.lines[i + 1]):
            return i
    return end


def _name(text: str, tabs: bool = True) -> str:
    """A file name from a header: C-quoted, or up to the tab or the timestamp that `diff` puts after it."""
    if text.startswith('"'):
        return _unquote(text)
    if tabs:
        text = _TIMESTAMP.sub("", text.split("\t")[0])
    return text.rstrip()


_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
_C_ESCAPES = {"a": 7, "b": 8, "t": 9, "n": 10, "v": 11, "f": 12, "r": 13, '"': 34, "\\": 92}


def _unquote(text: str) -> str:
    """Git's C-quoted name (quote.c); octal escapes are bytes."""
    match = _QUOTED.match(text)
    if match is None:
        return text

    def undo(escape: re.Match[bytes]) -> bytes:
        code = escape[1].decode("latin-1")
        if code[0] in "01234567":
            return bytes([int(code, 8) & 0xFF])
        return bytes([_C_ESCAPES[code]]) if code in _C_ESCAPES else escape[0]

    raw = match[1].encode("utf-8", "surrogateescape")
    return re.sub(rb"\\([0-7]{1,3}|.)", undo, raw).decode("utf-8", "surrogateescape")


def _git_names(text: str) -> tuple[str, str] | None:
    """The two names after `diff --git`, or None where blanks make them ambiguous and no other line will tell."""
    if text.startswith('"') or text.endswith('"'):
        names = re.findall(r'"(?:[^"\\]|\\.)*"|[^\s"]+', text)
        return (_name(names[0], tabs=False), _name(names[1], tabs=False)) if len(names) == 2 else None
    words = text.split(" ")
    if len(words) == 2:
        return words[0], words[1]
    middle = len(text) // 2  # with blanks inside, both names are equally long unless it is a rename
    first, second = text[:middle], text[middle + 1 :]
    if text[middle : middle + 1] == " " and first.split("/", 1)[-1] == second.split("/", 1)[-1]:
        return first, second
    return None


def _plain(old: str, new: str) -> tuple[str, str]:
    """Both names without the prefixes of the two sides, if they have them. The null device stays."""
    for left, right in _SIDES:
        if (old.startswith(left) or old == _NULL) and (new.startswith(right) or new == _NULL):
            return old if old == _NULL else old[2:], new if new == _NULL else new[2:]
    return old, new


def _edit(file: _File) -> Edit:
    literal = file.literal and any(line.cr for hunk in file.hunks for line in hunk.lines)
    if file.moved_from or file.moved_to:
        return _rename(file, literal)
    old, new = file.old or (file.git[0] if file.git else ""), file.new or (file.git[1] if file.git else "")
    if not old and not new:
        raise BadEdit("malformed", "the diff names no file")
    plain_old, plain_new = _plain(old, new)
    _check_git_names(file, plain_old, plain_new)
    hunks = tuple(file.hunks)
    common = {"hunks": hunks, "executable": file.executable, "literal_ends": literal}
    if plain_old == _NULL or file.created:
        return Edit("unified diff", "create", plain_new, also=(new,), **common)  # type: ignore[arg-type]
    if plain_new == _NULL or file.deleted:
        return Edit("unified diff", "delete", plain_old, also=(old,), **common)  # type: ignore[arg-type]
    if not hunks and file.executable is None:
        raise BadEdit("malformed", "the diff has no hunks", plain_new)
    also = tuple(dict.fromkeys(name for name in (new, old, _side_stripped(new)) if name != plain_new))
    if plain_old != plain_new:
        also = (plain_old, *also)
    return Edit("unified diff", "update", plain_new, also=also, **common)  # type: ignore[arg-type]


def _side_stripped(name: str) -> str:
    return name[2:] if name.startswith(("a/", "b/")) else name


def _rename(file: _File, literal: bool) -> Edit:
    if not (file.moved_from and file.moved_to):
        raise BadEdit("malformed", "a rename needs both `rename from` and `rename to`")
    if (
        file.old
        and _plain(file.old, file.new) != (file.moved_from, file.moved_to)
        and ((file.old, file.new) != (file.moved_from, file.moved_to))
    ):
        raise BadEdit("malformed", "the rename and the ---/+++ lines name different files", file.moved_to)
    return Edit(
        "unified diff",
        "update",
        file.moved_from,
        tuple(file.hunks),
        new_path=file.moved_to,
        executable=file.executable,
        literal_ends=literal,
    )


def _check_git_names(file: _File, old: str, new: str) -> None:
    """A `diff --git` line that names another file than the ---/+++ lines hides what is edited."""
    if file.git is None or not file.new:
        return
    named = set(_plain(*file.git)) | set(file.git)
    if not {name for name in (old, new) if name != _NULL} <= named:
        raise BadEdit("malformed", "the `diff --git` line and the ---/+++ lines name different files", new)
