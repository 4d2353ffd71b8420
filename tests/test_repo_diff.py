"""The patch as values and back: exact bytes, any accepted subset applies, split and edited hunks too."""

from collections.abc import Iterator

import pytest
import unidiff
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from coder.repo.diff import edit_hunk, joined, lines_of, parse_patch, render, select, split
from coder.repo.patch.edits import PatchRefused
from coder.repo.patch.resolve import resolve
from coder.repo.repository import FileState, Repository
from coder.values import FileDiff, Hunk, ReviewDecision
from tests.patch_tools import Tree
from tests.repo_tools import Ground, contents, new_ground


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Repository]:
    """One repository for all examples: they only make trees in its shadow."""
    ground: Ground = new_ground(tmp_path_factory.mktemp("diff"))
    with ground.open() as repository:
        yield repository


def tree(repository: Repository, **files: bytes) -> str:
    return repository.write_tree(repository.tree_of(""), {name: FileState(text) for name, text in files.items()})


def accept(*files: FileDiff, edited: dict[tuple[str, int], bytes] | None = None) -> ReviewDecision:
    everything = {file.path: frozenset(range(max(len(file.hunks), 1))) for file in files}
    return ReviewDecision(everything, edited=edited or {})


NUMBERS = b"".join(b"%d\n" % number for number in range(40))


def changed(**replacements: bytes) -> bytes:
    text = NUMBERS
    for number, line in replacements.items():
        text = text.replace(b"\n%s\n" % number[1:].encode(), b"\n%s" % line, 1)
    return text


def test_a_patch_is_read_into_files_and_hunks(repository: Repository):
    old = tree(repository, kept=NUMBERS, gone=b"1\n2\n", moved=NUMBERS * 2)
    new = tree(repository, kept=changed(_5=b"five\n", _30=b""), made=b"x", there=NUMBERS * 2)
    files = {file.path: file for file in repository.diff(old, new)}
    assert {path: (file.kind, file.old_path, file.added, file.removed) for path, file in files.items()} == {
        "kept": ("modified", "kept", 1, 2), "gone": ("deleted", "gone", 0, 2),
        "made": ("added", "made", 1, 0), "there": ("renamed", "moved", 0, 0),
    }  # fmt: skip
    assert [(h.old_start, h.old_lines, h.new_start, h.new_lines) for h in files["kept"].hunks] == [
        (3, 7, 3, 7), (28, 7, 28, 6)
    ]  # fmt: skip
    assert files["made"].hunks[0].lines == (b"+x\n", b"\\ No newline at end of file\n")
    assert (files["made"].old_mode, files["made"].new_mode) == ("", "100644")


def test_modes_links_binary_files_and_empty_files_are_read(repository: Repository):
    old = repository.write_tree(repository.tree_of(""), {"tool": FileState(b"1\n"), "bin": FileState(b"\0" * 99)})
    new = repository.write_tree(
        old, {"tool": FileState(b"1\n", "100755"), "bin": FileState(b"\0" * 98), "empty": FileState(b"")}
    )
    files = {file.path: file for file in repository.diff(old, new)}
    assert (files["tool"].old_mode, files["tool"].new_mode, files["tool"].hunks) == ("100644", "100755", ())
    assert files["bin"].binary and files["bin"].hunks == () and files["empty"].kind == "added"
    for file in files.values():
        assert repository.apply(old, select([file], accept(file))) != old
    assert repository.apply(old, select(list(files.values()), accept(*files.values()))) == new


def test_paths_that_need_a_separate_yes_are_marked(repository: Repository):
    old = tree(repository, a=b"1\n")
    new = repository.write_tree(old, {".github/workflows/ci.yml": FileState(b"1\n"), "a": FileState(b"2\n")})
    assert [bool(file.protected) for file in repository.diff(old, new)] == [True, False]


def test_content_that_looks_like_headers_stays_content(repository: Repository):
    old, new = b"diff --git a/x b/x\n@@ -1 +1 @@\n-- a/x\n", b"++ b/x\n@@ -1 +1 @@ \ndiff --git a/y b/y\n"
    before, after = tree(repository, x=old), tree(repository, x=new)
    (file,) = repository.diff(before, after)
    assert len(file.hunks) == 1 and repository.apply(before, select([file], accept(file))) == after


LINES = st.lists(st.sampled_from([b"a", b"b", b"c", b"", b" ", b"\\ x", b"-", b"+x", b"@@ -1 +1 @@"]), max_size=30)
ENDS = st.sampled_from([b"\n", b"\r\n"])


@st.composite
def texts(draw: st.DrawFn) -> bytes:
    body = b"".join(line + draw(ENDS) for line in draw(LINES))
    return body + draw(st.sampled_from([b"", b"end", b"end\r"]))


BOUNDED = settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def applied(old: bytes, hunks: list[Hunk]) -> bytes:
    """What the hunks make of `old`, told by their lines alone (an oracle that knows nothing of git)."""
    lines, out, at = lines_of(old), [], 0
    for hunk in hunks:
        start = hunk.old_start - (1 if hunk.old_lines else 0)
        out += lines[at:start]
        at = start + hunk.old_lines
        for number, line in enumerate(hunk.lines):
            bare = hunk.lines[number + 1 :][:1] == (b"\\ No newline at end of file\n",)
            if line[:1] in b" +":
                out.append(line[1:-1] if bare else line[1:])
    return b"".join(out + lines[at:])


@BOUNDED
@given(texts(), texts())
def test_reading_and_writing_a_patch_is_the_identity(repository: Repository, old: bytes, new: bytes):
    patch = repository.patch(tree(repository, f=old, g=new), tree(repository, f=new, g=old))
    assert render(parse_patch(patch)) == patch


@BOUNDED
@given(texts(), texts(), st.data())
def test_any_subset_of_split_hunks_applies_and_gives_just_that(
    repository: Repository, old: bytes, new: bytes, data: st.DataObject
):
    before = tree(repository, f=old)
    files = repository.diff(before, tree(repository, f=new))
    if not files:
        return
    (file,) = files
    pieces = tuple(piece for hunk in file.hunks for piece in split(hunk))
    chosen = data.draw(st.frozensets(st.integers(0, max(len(pieces) - 1, 0))))
    patch = select([replace(file, hunks=pieces)], ReviewDecision({"f": chosen}))
    whole = [piece for position, piece in enumerate(pieces) if position in chosen]
    made = contents(repository, repository.apply(before, patch))
    if chosen and pieces:
        assert made == {"f": one_by_one(old, whole)}
        if b"\r" in old and b"\n" not in old:
            return  # a file of classic Mac lines, which git does not know
        resolved = resolve(patch.decode("utf-8", "surrogateescape"), Tree({"f": old})).files if patch else ()
        assert [result.content for result in resolved] == [made["f"]]  # coder's own reading of it is git's
    assert select([replace(file, hunks=pieces)], accept(replace(file, hunks=pieces))) == select([file], accept(file))


@BOUNDED
@given(texts(), texts(), st.data())
def test_parts_of_hunks_that_a_person_accepts_are_valid_edits_of_the_hunks(
    repository: Repository, old: bytes, new: bytes, data: st.DataObject
):
    before = tree(repository, f=old)
    (file,) = repository.diff(before, tree(repository, f=new)) or (None,)
    if file is None or not file.hunks:
        return
    accepted: list[Hunk] = []
    edits: dict[tuple[str, int], bytes] = {}
    for position, hunk in enumerate(file.hunks):
        parts = [(part, data.draw(st.booleans())) for part in split(hunk)]
        accepted += [part for part, taken in parts if taken]
        edits["f", position] = joined(parts)
    patch = select([file], accept(file, edited=edits))
    assert contents(repository, repository.apply(before, patch)) == {"f": one_by_one(old, accepted)}


def one_by_one(old: bytes, hunks: list[Hunk]) -> bytes:
    """Split hunks share context, so each is applied alone, from the last to the first."""
    for hunk in reversed(hunks):
        old = applied(old, [hunk])
    return old


@BOUNDED
@given(texts(), texts())
def test_another_reader_of_patches_sees_the_same_hunks(repository: Repository, old: bytes, new: bytes):
    patch = repository.patch(tree(repository, f=old), tree(repository, f=new))
    theirs = list(unidiff.PatchSet(patch.decode("latin-1")))
    ours = [file for file in parse_patch(patch) if file.hunks]
    assert [[(h.source_start, h.source_length, h.target_start, h.target_length) for h in f] for f in theirs if f] == [
        [(h.old_start, h.old_lines, h.new_start, h.new_lines) for h in file.hunks] for file in ours
    ]


def test_a_part_of_a_renamed_file_moves_and_takes_only_that(repository: Repository):
    old = tree(repository, here=NUMBERS)
    new = tree(repository, there=changed(_5=b"five\n", _30=b"thirty\n"))
    (file,) = repository.diff(old, new)
    made = repository.apply(old, select([file], ReviewDecision({"there": frozenset({1})})))
    assert contents(repository, made) == {"there": changed(_30=b"thirty\n")}


def test_nothing_accepted_is_an_empty_patch_and_unknown_positions_are_an_error(repository: Repository):
    old, new = tree(repository, f=b"1\n"), tree(repository, f=b"2\n")
    files = repository.diff(old, new)
    assert select(files, ReviewDecision()) == b"" and repository.apply(old, b"") == old
    with pytest.raises(ValueError, match="no hunks"):
        select(files, ReviewDecision({"f": frozenset({1})}))


def test_a_patch_that_does_not_fit_is_refused(repository: Repository):
    old, new = tree(repository, f=b"1\n"), tree(repository, f=b"2\n")
    patch = repository.patch(old, new)
    with pytest.raises(PatchRefused, match="does not apply"):
        repository.apply(new, patch)
    assert repository.apply(old, patch) == new


def edited(repository: Repository, old: bytes, new: bytes, text: bytes) -> bytes:
    before = tree(repository, f=old)
    files = repository.diff(before, tree(repository, f=new))
    patch = select(files, accept(*files, edited={("f", 0): text}))
    return contents(repository, repository.apply(before, patch)).get("f", b"<gone>")


def test_a_hunk_edited_by_hand_is_counted_anew(repository: Repository):
    new = changed(_5=b"five\n")
    text = b"@@ whatever @@\n# a comment\n 2\n 3\n 4\n-5\n+FIVE\n+and more\n 6\n-7\n 8\n"
    assert edited(repository, NUMBERS, new, text) == NUMBERS.replace(b"\n5\n6\n7\n", b"\nFIVE\nand more\n6\n")


def test_an_edited_hunk_keeps_line_ends_that_an_editor_lost(repository: Repository):
    old, new = NUMBERS.replace(b"\n", b"\r\n"), changed(_5=b"five\n").replace(b"\n", b"\r\n")
    text = b" 2\n 3\n 4\n-5\n+FIVE\n 6\n 7\n 8\n"
    assert edited(repository, old, new, text) == old.replace(b"\n5\r\n", b"\nFIVE\r\n")


def test_an_edit_that_takes_everything_back_leaves_the_file(repository: Repository):
    assert edited(repository, NUMBERS, changed(_5=b"five\n"), b" 2\n 3\n 4\n 5\n 6\n 7\n 8\n") == NUMBERS


def test_part_of_a_deletion_can_be_taken_back_by_hand(repository: Repository):
    before = tree(repository, f=b"1\n2\n", g=b"1\n")
    files = repository.diff(before, tree(repository, g=b"1\n"))
    patch = select(files, accept(*files, edited={("f", 0): b" 1\n-2\n"}))
    assert contents(repository, repository.apply(before, patch)) == {"f": b"1\n", "g": b"1\n"}


@pytest.mark.parametrize(
    ("text", "kind"),
    [(b" 2\n 3\n 4\n-fifth\n+x\n 6\n 7\n 8\n", "stale"), (b" 2\n-5\n+x\n", "stale"), (b"*no\n", "malformed")],
)
def test_an_edited_hunk_that_invents_lines_is_refused(repository: Repository, text: bytes, kind: str):
    files = repository.diff(tree(repository, f=NUMBERS), tree(repository, f=changed(_5=b"five\n")))
    with pytest.raises(PatchRefused) as refusal:
        edit_hunk(files[0], 0, text)
    assert [(problem.path, problem.hunk, problem.kind) for problem in refusal.value.problems] == [("f", 1, kind)]


def test_splitting_gives_one_hunk_for_each_run_of_changes(repository: Repository):
    new = changed(_5=b"five\n", _7=b"seven\n", _12=b"")
    files = repository.diff(tree(repository, f=NUMBERS), tree(repository, f=new))
    pieces = split(files[0].hunks[0])
    assert [(p.old_start, p.old_lines, p.new_start, p.new_lines, p.added, p.removed) for p in pieces] == [
        (3, 5, 3, 5, 1, 1), (7, 5, 7, 5, 1, 1), (10, 7, 10, 6, 0, 1)
    ]  # fmt: skip
    assert split(pieces[0]) == (pieces[0],)


def one_hunk(*lines: bytes) -> FileDiff:
    """A file whose only hunk starts at its first line and removes as many lines as it adds."""
    size = sum(line[:1] != b"+" for line in lines)
    return FileDiff("f", "modified", "f", "100644", "100644", (), (Hunk(1, size, 1, size, b"", lines),))


@pytest.mark.parametrize("taken", [True, False])
def test_a_part_may_be_edited_anywhere_also_among_the_lines_it_shares_with_its_neighbour(taken: bool):
    old, new = b"a\nb\nc\nd\ne\nf\n", b"a\nB\nc\nd\nE\nf\n"
    whole = one_hunk(b" a\n", b"-b\n", b"+B\n", b" c\n", b" d\n", b"-e\n", b"+E\n", b" f\n")
    parts = split(whole.hunks[0])
    assert applied(old, list(whole.hunks)) == new and len(parts) == 2
    for number, part in enumerate(parts):
        other = (parts[1 - number], taken)
        for at in range(len(part.lines) + 1):
            text = b"".join((*part.lines[:at], b"+NEW\n", *part.lines[at:]))
            edited_part = (edit_hunk(replace(whole, hunks=(part,)), 0, text), True)
            both = joined([edited_part, other] if number == 0 else [other, edited_part])
            made = applied(old, [edit_hunk(whole, 0, both)])
            assert made.replace(b"NEW\n", b"") == one_by_one(old, [part, *[parts[1 - number]] * taken]), (number, at)
            assert made.count(b"NEW\n") == 1


def test_what_a_part_edited_by_hand_removes_of_the_lines_between_is_removed():
    whole = one_hunk(b"-a\n", b"+A\n", b" b\n", b" c\n", b"-d\n", b"+D\n")
    first, second = split(whole.hunks[0])
    for at, text in enumerate((b"-a\n+A\n b\n-c\n", b" b\n-c\n-d\n+D\n")):
        parts = [(first, True), (second, True)]
        parts[at] = (edit_hunk(replace(whole, hunks=(parts[at][0],)), 0, text), True)
        assert applied(b"a\nb\nc\nd\n", [edit_hunk(whole, 0, joined(parts))]) == b"A\nb\nD\n"
