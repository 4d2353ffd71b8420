"""Where a hunk belongs and how it is written back: for each rule, an edit that applies and one that is refused."""

import pytest

from coder.repo.patch.resolve import resolve
from tests.patch_tools import Tree, applied, blocks, changed, diff, refused, v4a

FUNCTIONS = "def f():\n    x = 1\n    return x\n\n\ndef g():\n    x = 1\n    return x\n"


def kinds(text: str, files: dict[str, str] | str) -> list[str]:
    return [problem.kind for problem in refused(text, files)]


# ── the ladder ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("old", "edit"),
    [
        ("a\nb  \n", (" a", "-b", "+B")),  # trailing blanks
        ("a\n\u201cb\u201d\u00a0\u2013 \u2026\n", (" a", '-"b" - ...', "+B")),  # look-alikes
        ("a\n'b'\n", (" a", '-"b"', "+B")),  # quoting style
        ("a\nif(x ):\n", (" a", "-if (x):", "+B")),  # white space
        ("  a\n  b\n", ("  a", "-  b", "+  B")),  # a context line that lost the format's own blank
    ],
)
def test_lines_that_differ_in_layout_alone_are_found(old: str, edit: tuple[str, ...]):
    assert changed(v4a("@@", *edit), old).rstrip().endswith("B")


def test_a_stricter_match_goes_before_a_looser_one():
    assert changed(v4a("@@", "-x =  1", "+y"), "x = 1\nx =  1\n") == "x = 1\ny\n"


def test_an_ambiguity_is_not_escaped_by_a_looser_rung():
    assert kinds(v4a("@@", "-x", "+y"), "x\nx\nx \n") == ["ambiguous"]


def test_an_ambiguous_hunk_is_refused_with_its_candidates():
    (problem,) = refused(blocks("    x = 1\n", "    x = 2\n"), FUNCTIONS)
    assert (problem.kind, problem.lines) == ("ambiguous", (2, 7))


# ── hints ────────────────────────────────────────────────────────────────────────────────────────

SECOND = FUNCTIONS[:-24] + FUNCTIONS[-24:].replace("x = 1", "x = 2")


@pytest.mark.parametrize(
    "hint",
    ["@@ def g():", "@@ def g", "@@     def g():", "@@ -7 +7 @@", "@@ -6,2 +6,2 @@", "@@ -99 +99 @@ def g():"],
)
def test_a_hint_tells_equal_places_apart(hint: str):
    assert changed(diff(hint, "-    x = 1", "+    x = 2"), FUNCTIONS) == SECOND


def test_an_anchor_may_be_the_first_context_line_itself():
    assert changed(v4a("@@ def g():", " def g():", "-    x = 1", "+    x = 2"), FUNCTIONS) == SECOND


def test_stacked_anchors_lead_from_the_class_to_the_method():
    old = "class A:\n    def f(self):\n        x\nclass B:\n    def f(self):\n        x\n"
    assert changed(v4a("@@ class B:", "@@ def f(self):", "-        x", "+        y"), old) == old[:-2] + "y\n"


def test_one_wrong_anchor_is_a_slip_and_one_of_several_is_not():
    assert changed(v4a("@@ def nowhere():", "-def f():", "+def h():"), FUNCTIONS).startswith("def h")
    assert kinds(v4a("@@ class A:", "@@ def f():", "-def f():", "+def h():"), FUNCTIONS) == ["not_found"]


def test_the_end_of_the_file_is_a_hint():
    assert changed(v4a("@@", "-    return x", "+    return 2", "*** End of File"), FUNCTIONS).endswith(
        "g():\n    x = 1\n    return 2\n"
    )


def test_a_number_in_the_middle_of_two_places_decides_nothing():
    assert kinds(diff("@@ -4 +4 @@", "-x", "+y"), "x\n\n\n\n\n\nx\n") == ["ambiguous"]


def test_a_number_and_an_anchor_that_contradict_one_another_decide_nothing():
    old = "def f():\n    x\n" + "pad\n" * 20 + "def g():\n    y\n    x\n"
    assert kinds(diff("@@ -3 +3 @@ def g():", "-    x", "+    z"), old) == ["ambiguous"]


def test_numbers_that_are_all_off_by_the_same_are_corrected_by_a_hunk_with_one_place():
    old = "x\n" * 3 + "only\n" + "x\n" * 3
    hunks = ("@@ -14 +14 @@", "-only", "+once", "@@ -16 +16 @@", "-x", "+y")
    assert changed(diff(*hunks), old) == "x\nx\nx\nonce\nx\ny\nx\n"


def test_equal_hunks_have_one_of_as_many_places_each():
    twice = ("@@", "-    x = 1", "+    x = 2")
    assert changed(v4a(*twice, *twice), FUNCTIONS) == FUNCTIONS.replace("x = 1", "x = 2")
    assert kinds(v4a(*twice, *twice, *twice), FUNCTIONS) == ["ambiguous"] * 3


# ── typo or stale ────────────────────────────────────────────────────────────────────────────────

LIST = "alpha = 1\nbravo = 2\ncharlie = 3\ndelta = 4\necho = 5\n"


@pytest.mark.parametrize(
    "context",
    [
        (" alhpa = 1", " bravo = 2", "-charlie = 3", "+c", " delta = 4"),  # mistyped
        (" alpha = 1", "-charlie = 3", "+c", " delta = 4"),  # missing
        (" alpha = 1", " bravo = 2", " # as before", "-charlie = 3", "+c", " delta = 4"),  # invented
    ],
)
def test_one_slip_in_the_context_is_forgiven_and_the_files_own_line_stays(context: tuple[str, ...]):
    assert changed(v4a("@@", *context), LIST) == LIST.replace("charlie = 3", "c")


@pytest.mark.parametrize(
    "lines",
    [
        (" alpha = 1", " bravo = 2", "-charlie = 4", "+c", " delta = 4"),  # what is removed must be there
        (" alpha = 7", " bravo = 7", "-charlie = 3", "+c", " delta = 4"),  # two slips are another version
        (" alpha = 7", "-charlie = 3", "+c"),  # nothing is left to tell
    ],
)
def test_a_stale_hunk_is_refused(lines: tuple[str, ...]):
    assert kinds(v4a("@@", *lines), LIST) == ["not_found"]


def test_a_change_that_is_there_already_is_refused():
    text = v4a("@@", " alpha = 1", "-bravo = 2", "+bravo = two")
    assert kinds(text, changed(text, LIST)) == ["stale"]


def test_an_insertion_that_is_there_already_is_refused_though_its_context_fits():
    text = diff("@@ -5 +5,2 @@", " echo = 5", "+foxtrot = echo + 1")
    assert kinds(text, changed(text, LIST)) == ["stale"]


# ── writing back ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("old", "lines", "new"),
    [
        ("    a\n    b\n", (" a", "-b", "+c", "+  d"), "    a\n    c\n      d\n"),
        ("a\nb\n", ("     a", "-    b", "+    c", "+      d"), "a\nc\n  d\n"),
        ("\ta\n\t\tb\n", ("     a", "-        b", "+        c", "+            d"), "\ta\n\t\tc\n\t\t\td\n"),
        ("    a\n        b\n", (" \ta", "-\t\tb", "+\t\tc"), "    a\n        c\n"),
        ("  a\n    b\n", ("     a", "-        b", "+        c", "+            d"), "  a\n    c\n      d\n"),
    ],
    ids=["dedented", "over-indented", "spaces for tabs", "tabs for spaces", "another unit"],
)
def test_added_lines_take_the_indentation_of_the_file(old: str, lines: tuple[str, ...], new: str):
    assert changed(v4a("@@", *lines), old) == new


def test_exact_matches_leave_added_indentation_alone():
    assert changed(v4a("@@", "     a", "+\tb"), "    a\n") == "    a\n\tb\n"


def test_hunks_stand_in_any_order_and_repeat_one_change():
    swapped = ("@@", "-echo = 5", "+e", "@@", "-alpha = 1", "+a", "@@", "-echo = 5", "+e")
    assert changed(v4a(*swapped), LIST) == LIST.replace("alpha = 1", "a").replace("echo = 5", "e")


def test_hunks_that_build_on_one_another_are_made_in_turn():
    assert changed(v4a("@@", "-alpha = 1", "+zulu = 1", "@@", "-zulu = 1", "+yankee = 1"), LIST).startswith(
        "yankee = 1\nb"
    )


def test_hunks_that_contradict_one_another_are_refused():
    assert kinds(v4a("@@", "-alpha = 1", "+a", "@@", "-alpha = 1", "+b"), LIST) == ["malformed"]


# ── lines left out ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "dots", ["...", "    ...", "# ... existing code ...", "// ...", "# rest of the code unchanged"]
)
def test_dots_stand_for_lines_between_parts(dots: str):
    assert changed(v4a("@@", "-alpha = 1", "+a", f" {dots}", "-echo = 5", "+e"), LIST) == LIST.replace(
        "alpha = 1", "a"
    ).replace("echo = 5", "e")


def test_dots_may_stand_for_nothing():
    assert changed(blocks("bravo = 2\n...\ncharlie = 3\n", "bravo = 2\n...\nc\n"), LIST) == LIST.replace(
        "charlie = 3", "c"
    )


def test_every_part_must_be_there_and_in_order():
    assert kinds(v4a("@@", "-alpha = 1", "+a", " ...", " nowhere = 1", "-echo = 5", "+e"), LIST) == ["not_found"]
    assert kinds(v4a("@@", "-echo = 5", "+e", " ...", "-alpha = 1", "+a"), LIST) == ["not_found"]


@pytest.mark.parametrize(
    "dots", ["...", "# ... rest of the file ...", "# rest of the code remains unchanged", "// existing code"]
)
def test_a_whole_file_with_lines_left_out_is_refused(dots: str):
    text = f"a.py\n```\nalpha = 2\n{dots}\n```\n"
    assert kinds(text, LIST) == ["truncated"]
    assert changed(text, f"x\n{dots}\n") == f"alpha = 2\n{dots}\n"


# ── cut off ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "text",
    [
        v4a("@@", "-alpha = 1", "+a").removesuffix("*** End Patch\n"),
        "*** Update File: a.py\n@@\n-alpha = 1\n+a",
        blocks("alpha = 1\n", "a\n").removesuffix(">>>>>>> REPLACE\n"),
        blocks("alpha = 1\n", "a\n").split("=======")[0],
        "```diff\n" + diff("@@ -1 +1 @@", "-alpha = 1", "+a"),
        "a.py\n```\nalpha = 2\n",
        diff("@@ -1,3 +1,3 @@", "-alpha = 1", "+a", " bravo = 2").rstrip("\n"),
        diff("@@ -1,2 +1,2 @@", "-alpha = 1", "+a", " bravo = 2", "@@ -4,2 +4,2 @@"),
        diff("@@ -1,4 +1,4 @@", " alpha = 1", "-bravo = 2", "+b", " charlie = 3", " del").rstrip("\n"),
    ],
    ids=["v4a", "bare v4a", "block", "search", "fence", "file", "short hunk", "header", "line"],
)
def test_an_edit_that_breaks_off_is_refused(text: str):
    assert kinds(text, LIST) == ["truncated"]


def test_a_short_hunk_with_a_line_end_is_only_miscounted():
    assert changed(diff("@@ -1,9 +1,9 @@", "-alpha = 1", "+a", " bravo = 2"), LIST) == LIST.replace("alpha = 1", "a")


def test_a_reply_that_the_server_cut_is_refused_whatever_it_looks_like():
    with pytest.raises(Exception, match="cut off"):
        resolve(diff("@@", "-alpha = 1", "+a"), Tree({"a.py": LIST.encode()}), complete=False)


# ── deletions and insertions ─────────────────────────────────────────────────────────────────────


def test_a_diff_deletes_a_file_only_if_it_shows_it():
    text = "--- a/a.py\n+++ /dev/null\n@@ -1,2 +0,0 @@\n-1\n-2\n"
    assert applied(text, {"a.py": "1\n2\n"}) == {}
    assert kinds(text, "1\n2\n3\n") == ["stale"]


def test_an_insertion_without_context_needs_a_place():
    assert changed(diff("@@ -1,0 +2 @@", "+x"), "1\n2\n") == "1\nx\n2\n"
    assert changed(v4a("@@ def f():", "+    y"), FUNCTIONS).startswith("def f():\n    y\n")
    assert kinds(v4a("@@", "+x"), "1\n2\n") == ["not_found"]
    assert kinds(diff("@@ -9,0 +10 @@", "+x"), "1\n2\n") == ["not_found"]


def test_an_edit_that_changes_nothing_is_refused():
    assert kinds(v4a("@@", "-alpha = 1", "+alpha = 1"), LIST) == ["malformed"]


# ── mistakes of more than one kind ───────────────────────────────────────────────────────────────


def test_a_context_line_may_be_missing_below_replaced_lines_but_not_inside_or_below_an_insertion():
    before = "one\ntwo\nthree\nfour\nfive\nsix\n"
    assert changed(v4a("@@", " one", "-two", "+2", " four", " five"), before) == before.replace("two", "2")
    assert refused(v4a("@@", " one", " two", "+2", " four", " five"), before)
    assert refused(v4a("@@", " one", "-two", "+2", "-four", "+4", " five"), before)


def test_an_empty_line_that_is_removed_alone_is_no_layout():
    before = "one\ntwo\n\nthree\n\n\nfour\n"
    assert changed(v4a("@@", "-one", "+1", " two", "-", " ", " ", " "), before) == "1\ntwo\nthree\n\n\nfour\n"


STUB = """class A:
    def f(self):
        ...

    def g(
        self,
    ): ...


def f():
    return 1


def g(
):
    pass
"""


def test_dots_that_are_the_body_of_a_stub_leave_nothing_out():
    old = "def f():\n        ...\n\n    def g(\n    ): ...\n"
    assert refused(blocks(old, old.replace("g(", "h(")), STUB)


def test_dots_on_both_sides_of_a_block_are_one_anothers_counterpart():
    before = "a\nb\nc\nx\ny\nd\ne\nf\n"
    text = blocks("a\nb\nc\n...\nd\n", "a\n...\nb\nc\nd\n")
    assert changed(text, before) == "a\nx\ny\nb\nc\nd\ne\nf\n"


def test_lines_that_close_a_block_tell_by_their_indentation_where_to_insert():
    before = "class A:\n  def f\n    g\n    end\n  end\nend\n"
    assert refused(v4a("@@", "     g", "+", "+    x", "   end", " end"), before)


def test_a_hunk_without_indentation_takes_that_of_the_others():
    before = "import {\n} from x\n\nfunction f() {\n  if (a) {\n    b\n  }\n}\n"
    text = v4a("@@", " import {", "+\tc,", " } from x", "@@", " \tif (a) {", "-\t\tb", "+\t\td")
    assert changed(text, before) == before.replace("{\n}", "{\n  c,\n}").replace("    b", "    d")


def test_as_many_equal_hunks_as_places_are_listed_are_still_fewer_than_there_are():
    assert kinds(v4a(*["@@", "-x", "+y"] * 100), "x\n" * 200) == ["ambiguous"] * 100
    assert changed(v4a(*["@@", "-x", "+y"] * 100), "x\n" * 100) == "y\n" * 100


@pytest.mark.parametrize("added", [["+", "+def new():", "+    pass"], ["+def new():", "+    pass", "+"]])
def test_a_line_missing_wherever_an_insertion_could_stand_is_no_typo(added: list[str]):
    """The insertion repeats the empty line beside it: it may as well stand below `}`, and that the hunk lacks."""
    above = [" start = compute()", " items = collect()"]
    blank = [" "] if added[-1] == "+" else []
    after = [*([] if blank else [" "]), " finish = report()"]
    text = diff("@@", *above, *blank, *added, *after)
    file = "start = compute()\nitems = collect()\n}\n\nfinish = report()\n"
    assert [problem.kind for problem in refused(text, file)] == ["not_found"]
