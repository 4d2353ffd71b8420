"""The canonical patch as values, and back: reading git's patch by file and hunk, splitting hunks, selecting some.

Pure; bytes are kept. It reads what git wrote and never what a model wrote: for that there is `patch`.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from os import fsdecode

from msgspec.structs import replace

from coder.repo.patch.edits import PatchRefused, Problem, ProblemKind
from coder.repo.paths import protected
from coder.values import ChangeKind, FileDiff, Hunk, ReviewDecision

CONTEXT_LINES = 3
Unit = tuple[bytes, ...]  # a line of a hunk with its "\\ No newline at end of file"

_HUNK = re.compile(rb"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@ ?(.*)\n")
_ESCAPE = re.compile(rb"\\([0-7]{3}|.)")
_ESCAPED = {b"a": b"\a", b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v"}


# ── reading ──────────────────────────────────────────────────────────────────────────────────────


def parse_patch(patch: bytes) -> tuple[FileDiff, ...]:
    """The files of a patch as `git diff` printed it. Content lines begin with a blank, `+`, `-` or a backslash, so
    that a line that begins with "diff --git " opens a file and one that begins with "@@ " a hunk."""
    starts = [found.start() for found in re.finditer(rb"^diff --git ", patch, re.MULTILINE)]
    ends = [*starts[1:], len(patch)] if starts else []
    return tuple(_parse_file(patch[a:b]) for a, b in zip(starts, ends, strict=True))


def _parse_file(section: bytes) -> FileDiff:
    first_hunk = re.search(rb"^@@ ", section, re.MULTILINE)
    end = first_hunk.start() if first_hunk else len(section)
    header = tuple(lines_of(section[:end]))
    fields = _header_fields(header)
    names = _names_in(header[0])
    old_path = fields.get(b"rename from") or fields.get(b"--- ") or names
    path = fields.get(b"rename to") or fields.get(b"+++ ") or names
    kind: ChangeKind = "modified"
    if b"new file mode" in fields:
        kind, old_path = "added", path
    elif b"deleted file mode" in fields:
        kind, path = "deleted", old_path
    elif b"rename from" in fields:
        kind = "renamed"
    shared_mode = fields.get(b"index", b"").partition(b" ")[2]
    old_mode = fields.get(b"old mode") or fields.get(b"deleted file mode") or shared_mode
    new_mode = fields.get(b"new mode") or fields.get(b"new file mode") or shared_mode
    name, old_name = fsdecode(path), fsdecode(old_path)
    return FileDiff(
        path=name,
        kind=kind,
        old_path=old_name,
        old_mode=old_mode.decode("ascii"),
        new_mode=new_mode.decode("ascii"),
        header=header,
        hunks=tuple(_parse_hunks(section[end:])),
        binary=any(line.startswith((b"GIT binary patch", b"Binary files ")) for line in header),
        protected=protected(name) or protected(old_name) or _made_executable(old_mode, new_mode),
    )


def _made_executable(old_mode: bytes, new_mode: bytes) -> str:
    return "becomes executable" if new_mode == b"100755" != old_mode else ""


def _header_fields(header: Sequence[bytes]) -> dict[bytes, bytes]:
    """What git says of a file before its hunks; `---` and `+++` without their prefix, absent for /dev/null."""
    fields: dict[bytes, bytes] = {}
    for line in header[1:]:
        text = line.removesuffix(b"\n")
        if text == b"GIT binary patch":
            break
        if text.startswith((b"--- ", b"+++ ")):
            name = _unquoted(text[4:].removesuffix(b"\t"))  # git marks the end of a name with blanks by a tab
            if name != b"/dev/null":
                fields[text[:4]] = name[2:]
            continue
        for key in (b"old mode", b"new mode", b"new file mode", b"deleted file mode", b"rename from", b"rename to"):
            if text.startswith(key + b" "):
                value = text[len(key) + 1 :]
                fields[key] = _unquoted(value) if key.startswith(b"rename") else value
        if text.startswith(b"index "):
            fields[b"index"] = text[6:]
    return fields


def _names_in(line: bytes) -> bytes:
    """The name in "diff --git a/NAME b/NAME", which is the same twice wherever no other line tells it."""
    text = line.removeprefix(b"diff --git ").removesuffix(b"\n")
    if text.startswith(b'"'):
        closing = re.match(rb'"(?:[^"\\]|\\.)*"', text)
        return _unquoted(closing.group() if closing else text)[2:]
    return text[2 : 2 + (len(text) - 5) // 2]


def _unquoted(name: bytes) -> bytes:
    """A name as git prints it when it has to quote: C escapes in double quotes."""
    if not (name.startswith(b'"') and name.endswith(b'"') and len(name) >= 2):
        return name

    def character(found: re.Match[bytes]) -> bytes:
        code = found[1]
        return bytes([int(code, 8) & 0xFF]) if len(code) == 3 else _ESCAPED.get(code, code)

    return _ESCAPE.sub(character, name[1:-1])


def _parse_hunks(text: bytes) -> Iterator[Hunk]:
    lines = lines_of(text)
    at = 0
    while at < len(lines):
        header = _HUNK.fullmatch(lines[at])
        if header is None:
            raise ValueError(f"not a hunk of git's: {lines[at]!r}")
        end = at + 1
        while end < len(lines) and not lines[end].startswith(b"@@ "):
            end += 1
        old_start, new_start = int(header[1]), int(header[3])
        old_lines, new_lines = (1 if count is None else int(count) for count in (header[2], header[4]))
        yield Hunk(old_start, old_lines, new_start, new_lines, header[5], tuple(lines[at + 1 : end]))
        at = end


def lines_of(text: bytes) -> list[bytes]:
    """`text` cut after each newline and nowhere else."""
    lines = [line + b"\n" for line in text.split(b"\n")]
    last = lines.pop()[:-1]
    return [*lines, last] if last else lines


# ── writing ──────────────────────────────────────────────────────────────────────────────────────


def render_hunk(hunk: Hunk) -> bytes:
    """A hunk as git prints it."""
    old = f"{hunk.old_start}" if hunk.old_lines == 1 else f"{hunk.old_start},{hunk.old_lines}"
    new = f"{hunk.new_start}" if hunk.new_lines == 1 else f"{hunk.new_start},{hunk.new_lines}"
    section = b" " + hunk.section if hunk.section else b""
    return b"@@ -%s +%s @@%s\n" % (old.encode(), new.encode(), section) + b"".join(hunk.lines)


def render(files: Iterable[FileDiff]) -> bytes:
    """The patch that `files` are; the inverse of `parse_patch`."""
    return b"".join(b"".join(file.header) + b"".join(map(render_hunk, file.hunks)) for file in files)


def select(proposal_files: Sequence[FileDiff], decision: ReviewDecision) -> bytes:
    """The patch of the accepted hunks, edited ones as they were edited; it applies to what the proposal applied to.

    Positions are those of `FileDiff.hunks`, whole or split. Raises PatchRefused for an edited hunk that no longer
    fits the file, ValueError for a position that does not exist.
    """
    known = {file.path: max(len(file.hunks), 1) for file in proposal_files}
    for path, positions in decision.accepted.items():
        if any(not 0 <= position < known.get(path, 0) for position in positions):
            raise ValueError(f"no hunks {sorted(positions)} in {path!r}")
    return render(file for whole in proposal_files if (file := _select_file(whole, decision)) is not None)


def _select_file(file: FileDiff, decision: ReviewDecision) -> FileDiff | None:
    accepted = decision.accepted.get(file.path, frozenset())
    if not accepted or not file.hunks:
        return file if accepted else None
    edits = {
        position: decision.edited[file.path, position]
        for position in accepted
        if (file.path, position) in decision.edited
    }
    chosen = [
        edit_hunk(file, position, edits[position]) if position in edits else file.hunks[position]
        for position in sorted(accepted)
    ]
    hunks = tuple(place(coalesce([hunk for hunk in chosen if hunk.added or hunk.removed])))
    if len(accepted) == len(file.hunks) and not edits:
        return replace(file, hunks=hunks)
    return replace(file, hunks=hunks, header=_partial_header(file, hunks)) if hunks else None


def _partial_header(file: FileDiff, hunks: Sequence[Hunk]) -> tuple[bytes, ...]:
    """git's header without what is true of the whole change only: the ids of the blobs, the similarity."""
    dropped = [b"index ", b"similarity index ", b"dissimilarity index "]
    kept_lines = file.kind == "deleted" and any(hunk.new_lines for hunk in hunks)
    if kept_lines:  # part of the file stays: no longer a deletion
        dropped.append(b"deleted file mode ")
    lines = [line for line in file.header if not line.startswith(tuple(dropped))]
    if kept_lines:
        old = next(line for line in lines if line.startswith(b"--- "))
        lines[lines.index(b"+++ /dev/null\n")] = old.replace(b"--- a/", b"+++ b/", 1).replace(b'--- "a/', b'+++ "b/', 1)
    return tuple(lines)


def place(hunks: Iterable[Hunk]) -> Iterator[Hunk]:
    """Hunks in order of the old file, with the starts they have in the new one when only these are applied."""
    shift = 0
    for hunk in hunks:
        # an empty side is named by the line before it (the "unified format" of POSIX diff)
        before = hunk.old_start if hunk.old_lines == 0 else hunk.old_start - 1
        start = before + shift + (1 if hunk.new_lines else 0)
        yield replace(hunk, new_start=start)
        shift += hunk.new_lines - hunk.old_lines


def coalesce(hunks: Iterable[Hunk]) -> list[Hunk]:
    """Hunks in order, those that touch or share context joined: git refuses hunks that overlap."""
    joined: list[Hunk] = []
    for hunk in sorted(hunks, key=lambda hunk: hunk.old_start):
        shared = joined[-1].old_start + joined[-1].old_lines - hunk.old_start if joined else -1
        if shared < 0 or not hunk.old_lines:
            joined.append(hunk)
            continue
        units = _overlaid(_units(joined[-1].lines), _units(hunk.lines), shared)
        old_lines, new_lines = _sides(units)
        lines = tuple(line for unit in units for line in unit)
        joined[-1] = replace(joined[-1], old_lines=old_lines, new_lines=new_lines, lines=lines)
    return joined


def _overlaid(above: list[Unit], below: list[Unit], shared: int) -> list[Unit]:
    """Two hunks as one, the last `shared` old lines of the one being the first of the other. By hand lines may have
    been added between these on either side, and what either removes is removed."""
    begin = [at for at, unit in enumerate(above) if unit[0][:1] != b"+"][-shared] if shared else len(above)
    units, at = above[:begin], 0
    for unit in above[begin:]:
        if unit[0][:1] != b"+":
            while below[at][0][:1] == b"+":
                units.append(below[at])
                at += 1
            unit = below[at] if unit[0][:1] == b" " else unit
            at += 1
        units.append(unit)
    return units + below[at:]


# ── splitting and editing ────────────────────────────────────────────────────────────────────────


def split(hunk: Hunk) -> tuple[Hunk, ...]:
    """The smallest hunks that make `hunk`: one for each run of changed lines, with up to three lines around it.

    Neighbours share unchanged lines; `select` joins them again where both are accepted.
    """
    units = _units(hunk.lines)
    changed = [at for at, unit in enumerate(units) if unit[0][:1] in b"+-"]
    runs: list[tuple[int, int]] = []
    for at in changed:
        if runs and runs[-1][1] == at:
            runs[-1] = (runs[-1][0], at + 1)
        else:
            runs.append((at, at + 1))
    if len(runs) < 2:
        return (hunk,)
    pieces: list[Hunk] = []
    for number, (first, last) in enumerate(runs):
        lowest = runs[number - 1][1] if number else 0
        highest = runs[number + 1][0] if number + 1 < len(runs) else len(units)
        begin, end = max(lowest, first - CONTEXT_LINES), min(highest, last + CONTEXT_LINES)
        old_before, new_before = _sides(units[:begin])
        old_lines, new_lines = _sides(units[begin:end])
        lines = tuple(line for unit in units[begin:end] for line in unit)
        starts = (hunk.old_start + old_before, hunk.new_start + new_before)
        pieces.append(Hunk(starts[0], old_lines, starts[1], new_lines, hunk.section, lines))
    return tuple(pieces)


def joined(parts: Iterable[tuple[Hunk, bool]]) -> bytes:
    """The hunk that pieces of one make together, each with whether it is wanted; what is not is as the file had it."""
    return b"".join(
        render_hunk(hunk) for hunk in coalesce(part if wanted else _reverted(part) for part, wanted in parts)
    )


def _reverted(hunk: Hunk) -> Hunk:
    """The hunk without its change: what it removes stays, what it adds is gone."""
    lines: list[bytes] = []
    kept = True
    for line in hunk.lines:
        if not line.startswith(b"\\"):
            kept = not line.startswith(b"+")
        if kept:
            lines.append(b" " + line[1:] if line.startswith(b"-") else line)
    return replace(hunk, new_lines=hunk.old_lines, lines=tuple(lines))


def _units(lines: Iterable[bytes]) -> list[Unit]:
    units: list[Unit] = []
    for line in lines:
        if line.startswith(b"\\") and units:
            units[-1] = (*units[-1], line)
        else:
            units.append((line,))
    return units


def _sides(units: Iterable[Unit]) -> tuple[int, int]:
    """How many lines the old and the new file have in `units`."""
    marks = [unit[0][:1] for unit in units]
    return sum(mark != b"+" for mark in marks), sum(mark != b"-" for mark in marks)


def edit_hunk(file: FileDiff, position: int, text: bytes) -> Hunk:
    """Hunk `position` as the user rewrote it (lines with their prefix, `@@` and `#` lines ignored), counted anew.

    The old side must still be the file's: lines may be added, taken out of the change, or taken back, not invented.
    Line ends an editor lost are restored from the hunk. Raises PatchRefused.
    """
    hunk = file.hunks[position]
    units = _units(_edited_lines(text, hunk))
    wanted = [unit for unit in _units(hunk.lines) if unit[0][:1] != b"+"]
    given = [number for number, unit in enumerate(units) if unit[0][:1] != b"+"]
    if any(unit[0][:1] not in b" +-" for unit in units):
        raise _refuse(file, position, "malformed", "every line of a hunk begins with a blank, + or -")
    same = len(wanted) == len(given) and all(
        _bare(units[at][0]) == _bare(unit[0]) for at, unit in zip(given, wanted, strict=True)
    )
    if not same:
        raise _refuse(file, position, "stale", "the unchanged and removed lines are not those of the file any more")
    for at, unit in zip(given, wanted, strict=True):
        units[at] = (units[at][0][:1] + unit[0][1:], *unit[1:])
    old_lines, new_lines = _sides(units)
    lines = tuple(line for unit in units for line in unit)
    return replace(hunk, old_lines=old_lines, new_lines=new_lines, lines=lines)


def _edited_lines(text: bytes, hunk: Hunk) -> Iterator[bytes]:
    ends = [b"\r\n" if line.endswith(b"\r\n") else b"\n" for line in hunk.lines if not line.startswith(b"\\")]
    end = max((b"\n", b"\r\n"), key=ends.count)
    originals = {_bare(line): line for line in hunk.lines if line.startswith(b"+")}
    for line in lines_of(text):
        if line.startswith((b"@@", b"#")):
            continue
        if line.startswith(b"+") and line in hunk.lines:
            yield line
            continue
        bare = line.removesuffix(b"\n").removesuffix(b"\r") or b" "  # editors strip the blank of an empty line
        yield originals.get(bare[1:], bare + end) if bare.startswith(b"+") else bare + b"\n"


def _bare(line: bytes) -> bytes:
    """A line without prefix and line end."""
    return line[1:].removesuffix(b"\n").removesuffix(b"\r")


def _refuse(file: FileDiff, position: int, kind: ProblemKind, message: str) -> PatchRefused:
    problem = Problem(path=file.path, hunk=position + 1, kind=kind, message=message)
    return PatchRefused((problem,), f"{file.path}, hunk {position + 1}: {message}")
