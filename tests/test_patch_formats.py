"""The accepted formats, as models write them: every reading that applies, and what is no edit."""

import json

import pytest

from coder.repo.patch.find import has_edit
from coder.repo.patch.resolve import resolve
from tests.patch_tools import ROOT, Tree, applied, blocks, changed, diff, refused, v4a

OLD = "def f():\n    return 1\n\n\ndef g():\n    return 2\n"
NEW = OLD.replace("return 1", "return 10")
HUNK = (" def f():", "-    return 1", "+    return 10", " ")


@pytest.mark.parametrize(
    "header",
    [
        "@@ -1,3 +1,3 @@", "@@ -1,9 +1,1 @@", "@@ -77,3 +91,3 @@ def f():", "@@ -1 +1 @@", "@@ ... @@", "@@ @@",
        "@@", "@@ def f(): @@", "@@ -,+ @@",
    ],
)  # fmt: skip
def test_a_diff_applies_whatever_its_header_counts(header: str):
    assert changed(diff(header, *HUNK), OLD) == NEW


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("a/a.py", "b/a.py"), ("a.py", "a.py"), ("i/a.py", "w/a.py"), ("./a.py", "./a.py"),
        (f"{ROOT}/a.py", f"{ROOT}/a.py"), ("a/a.py\t2024-01-01 10:00:00", "b/a.py\t2024-01-01 10:00:00"),
        ("a.py 2024-01-01 10:00:00.000 +0100", "a.py"), ('"a/a.py"', '"b/a.py"'),
    ],
)  # fmt: skip
def test_a_diff_names_its_file_in_many_ways(old: str, new: str):
    assert changed("\n".join((f"--- {old}", f"+++ {new}", "@@ @@", *HUNK, "")), OLD) == NEW


def test_lines_of_a_diff_that_look_like_headers_are_lines():
    old = "-- note\n--- a\nx\n"
    assert changed(diff("@@ -1,3 +1,3 @@", "--- note", "+++ plus", " --- a", " x"), old) == "++ plus\n--- a\nx\n"


def test_one_diff_creates_deletes_renames_and_changes_modes():
    text = """diff --git a/new.py b/new.py
new file mode 100755
--- /dev/null
+++ b/new.py
@@ -0,0 +1,2 @@
+one
+two
diff --git a/gone.py b/gone.py
deleted file mode 100644
--- a/gone.py
+++ /dev/null
@@ -1 +0,0 @@
-bye
diff --git a/from.py b/to.py
similarity index 50%
rename from from.py
rename to to.py
--- a/from.py
+++ b/to.py
@@ -1,2 +1,2 @@
-1
+one
 2
diff --git a/tool.sh b/tool.sh
old mode 100755
new mode 100644
"""
    files = {"gone.py": b"bye\n", "from.py": b"1\n2\n", "tool.sh": b"true\n"}
    assert applied(text, files) == {"tool.sh": b"true\n", "new.py": b"one\ntwo\n", "to.py": b"one\n2\n"}
    modes = {result.path: result.executable for result in resolve(text, Tree(files)).files}
    assert modes == {"new.py": True, "gone.py": None, "to.py": None, "tool.sh": False}


def test_a_diff_of_new_lines_for_a_missing_file_creates_it():
    assert applied(diff("@@ -0,0 +1 @@", "+x", path="d/new.py"), {}) == {"d/new.py": b"x\n"}


def test_names_with_blanks_and_octal_escapes_are_read():
    name = "d \u00e9/x y.py"
    old, new = (f'"{side}/d \\303\\251/x y.py"' for side in "ab")
    text = f"diff --git {old} {new}\n--- {old}\n+++ {new}\n@@\n-1\n+2\n"
    assert applied(text, {name: b"1\n"}) == {name: b"2\n"}


def test_the_signature_of_a_mailed_patch_is_no_text():
    text = (
        "From "
        + "0" * 40
        + " Mon Sep 17 00:00:00 2001\nSubject: x\n---\n a.py | 2 +-\n\n"
        + diff("@@ -1,2 +1,2 @@", "-1", "+2", " 3")
        + "-- \n2.39.5\n"
    )
    assert changed(text, "1\n3\n") == "2\n3\n"


def test_v4a_adds_updates_moves_and_deletes():
    text = """*** Begin Patch
*** Add File: new/x.py
+one
+
+two
*** Update File: a.py
*** Move to: b.py
@@ def f():
-    return 1
+    return 10
*** Delete File: old.py
*** End Patch
"""
    assert applied(text, {"a.py": OLD, "old.py": "x\n"}) == {"new/x.py": b"one\n\ntwo\n", "b.py": NEW.encode()}


@pytest.mark.parametrize(
    "text",
    [
        "*** Update File: a.py\n@@\n-    return 1\n+    return 10\n",
        "***Begin Patch\n***Update File: a.py\n@@\n-    return 1\n+    return 10\n***End Patch\n",
        "*** Begin Patch\n*** Modify File: a.py\n--- a/a.py\n+++ b/a.py\n@@ -2 +2 @@\n"
        "-    return 1\n+    return 10\n*** End Patch",
        "```\n*** Begin Patch\n*** Update File: a.py\n@@ def f():\n-    return 1\n+    return 10\n*** End Patch\n```\n",
    ],
)
def test_v4a_is_read_leniently(text: str):
    assert changed(text, OLD) == NEW


@pytest.mark.parametrize(
    "above",
    [
        *("a.py\n", "a.py:\n", "**a.py**\n", "`a.py`\n", "### a.py\n", "File: a.py\n", "# a.py\n", "// a.py\n"),
        *("1. `a.py`\n", "a.py\n```python\n", "```python a.py\n", "```\na.py\n"),
    ],
)
def test_a_block_finds_its_path_line(above: str):
    fence = "```\n" if "```" in above else ""
    text = above + "<<<<<<< SEARCH\n    return 1\n=======\n    return 10\n>>>>>>> REPLACE\n" + fence
    assert changed(text, OLD) == NEW


def test_later_blocks_belong_to_the_last_path():
    more = "\nand\n\n<<<<<<< SEARCH\n    return 2\n=======\n    return 20\n>>>>>>> REPLACE\n"
    assert changed(blocks("    return 1\n", "    return 10\n") + more, OLD) == NEW.replace("return 2", "return 20")


def test_an_empty_search_creates_the_file():
    assert applied(blocks("", "x\n", path="d/n.py"), {}) == {"d/n.py": b"x\n"}


def test_markers_count_only_at_the_left_edge():
    old = "Title\n  =======\n  <<<<<<< SEARCH\nend\n"
    assert changed(blocks("Title\n  =======\n", "Name\n  =======\n"), old) == old.replace("Title", "Name")


def test_a_line_that_a_block_forgets_on_one_side_survives_on_the_other():
    assert changed(blocks("a\nb\nc\n", "a\nB\nc\n"), "a\nb\nc\nd\n") == "a\nB\nc\nd\n"


@pytest.mark.parametrize(
    "opening",
    ["a.py\n```python\n", "**a.py**\n\n```\n", "```python a.py\n"],
)
def test_a_whole_file_in_a_fence_replaces_or_creates(opening: str):
    assert changed(f"Here:\n\n{opening}{NEW}```\n\nDone.\n", OLD) == NEW


def test_a_fence_inside_a_whole_file_belongs_to_it():
    content = "# Use\n\n```sh\nrun\n```\n\nEnd\n"
    assert applied(f"README.md\n```markdown\n{content}```\n", {}) == {"README.md": content.encode()}
    assert applied(f"README.md\n````\n{content}````\n", {}) == {"README.md": content.encode()}


def test_longer_fences_inside_a_whole_file_do_not_end_it():
    body = "# Notes\n`````\nshown\n`````\nmore\n"
    assert applied(f"n.md\n```markdown\n{body}```\n", {"n.md": "old\n"}) == {"n.md": body.encode()}
    assert applied("n.md\n```markdown\n# Notes\n`````\n", {"n.md": "old\n"}) == {"n.md": b"# Notes\n"}


@pytest.mark.parametrize(
    "wrap",
    [
        lambda text: f"I will change it.\n\n{text}\nThat is all - really.\n",
        lambda text: f"Sure:\n\n```diff\n{text}```\n\nBye.\n",
        lambda text: "".join(f"    {line}" for line in text.splitlines(keepends=True)),
        lambda text: text.replace("\n", "\r\n"),
        lambda text: json.dumps({"input": text}),
        lambda text: json.dumps(text)[1:-1],
        lambda text: "\ufeff" + text,
    ],
    ids=["prose", "fence", "indented", "crlf", "json", "escaped", "bom"],
)  # fmt: skip
@pytest.mark.parametrize("text", [diff("@@ -1,3 +1,3 @@", *HUNK[:3], ""), v4a("@@", *HUNK[:3])], ids=["diff", "v4a"])
def test_what_is_around_an_edit_does_not_matter(wrap, text: str):
    assert changed(wrap(text), OLD) == NEW


def test_several_formats_in_one_reply_are_one_edit():
    text = diff("@@", "-    return 1", "+    return 10") + "\nAnd:\n\n" + blocks("x\n", "y\n", path="b.py")
    assert applied(text, {"a.py": OLD, "b.py": "x\n"}) == {"a.py": NEW.encode(), "b.py": b"y\n"}


def test_line_numbers_and_entities_of_a_listing_are_taken_off():
    assert changed(v4a("@@", "-   2 |     return 1", "+   2 |     return 10"), OLD) == NEW
    assert changed(v4a("@@", "-if a &lt; b:", "+if a &gt; b:"), "if a < b:\n") == "if a > b:\n"


def test_entities_of_the_file_itself_stay():
    assert changed(v4a("@@", " &amp;", "+&lt;"), "&amp;\n") == "&amp;\n&lt;\n"


@pytest.mark.parametrize(
    "text", ["", "Hello.\n", "```python\nprint(1)\n```\n", "Use `--- a` and `+++ b`.\n", "a -> b\n"]
)
def test_a_reply_without_an_edit_has_none(text: str):
    assert not has_edit(text)
    assert [problem.kind for problem in refused(text, OLD)] == ["malformed"]


@pytest.mark.parametrize(
    "text", [diff("@@", "-1", "+2"), v4a("@@", "-1", "+2"), blocks("1\n", "2\n"), "*** Begin Patch\ncut"]
)
def test_a_reply_with_an_edit_has_one_even_a_damaged_one(text: str):
    assert has_edit(text)


def test_fences_beside_blocks_only_illustrate():
    text = "a.py\n```\nwrong\n```\n\n" + blocks("    return 1\n", "    return 10\n")
    resolution = resolve(text, Tree({"a.py": OLD.encode()}))
    assert resolution.files[0].content == NEW.encode()
    assert "illustration" in resolution.warnings[0]
