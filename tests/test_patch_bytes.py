"""Bytes that an edit does not mention stay: line ends, byte order mark, encoding, the end of the file."""

import pytest

from tests.patch_tools import applied, blocks, diff, refused, v4a

EDITS = [
    diff("@@ -1,3 +1,4 @@", " one", "-two", "+2", "+2b", " three"),
    v4a("@@", " one", "-two", "+2", "+2b", " three"),
    blocks("one\ntwo\nthree\n", "one\n2\n2b\nthree\n"),
    "a.py\n```\none\n2\n2b\nthree\n```\n",
]


@pytest.mark.parametrize("text", EDITS, ids=["diff", "v4a", "blocks", "whole"])
@pytest.mark.parametrize("crlf", [False, True], ids=["lf edit", "crlf edit"])
@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"one\ntwo\nthree\n", b"one\n2\n2b\nthree\n"),
        (b"one\r\ntwo\r\nthree\r\n", b"one\r\n2\r\n2b\r\nthree\r\n"),
        (b"one\rtwo\rthree\r", b"one\r2\r2b\rthree\r"),
        (b"one\r\ntwo\nthree\r\n", b"one\r\n2\n2b\nthree\r\n"),
        (b"one\ntwo\r\nthree", b"one\n2\r\n2b\r\nthree"),
        (b"\xef\xbb\xbfone\ntwo\nthree\n", b"\xef\xbb\xbfone\n2\n2b\nthree\n"),
        (b"\xef\xbb\xbfone\r\ntwo\r\nthree", b"\xef\xbb\xbfone\r\n2\r\n2b\r\nthree"),
    ],
)
def test_line_ends_mark_and_end_of_file_are_kept(text: str, crlf: bool, before: bytes, after: bytes):
    text = text.replace("\n", "\r\n") if crlf else text
    assert applied(text, {"a.py": before}) == {"a.py": after}


@pytest.mark.parametrize("text", EDITS[:3], ids=["diff", "v4a", "blocks"])
def test_bytes_of_another_encoding_are_kept(text: str):
    before = b"caf\xe9 \xff\none\ntwo\nthree\n\x80\n"
    assert applied(text, {"a.py": before}) == {"a.py": before.replace(b"two", b"2\n2b")}


def test_other_encodings_are_not_mixed():
    assert [p.kind for p in refused(v4a("@@", "-two", "+\u00e9"), {"a.py": b"caf\xe9\ntwo\n"})] == ["malformed"]
    assert applied(v4a("@@", "-two", "+\u00e9"), {"a.py": "caf\u00e9\ntwo\n"}) == {
        "a.py": "caf\u00e9\n\u00e9\n".encode()
    }


def test_context_keeps_the_files_own_bytes():
    text = v4a("@@", ' say "hi" - now', "-two", "+2")
    before = "say \u201chi\u201d \u2013\u00a0now  \ntwo\n"
    assert applied(text, {"a.py": before}) == {"a.py": before.replace("two", "2").encode()}


def test_only_gits_mark_adds_or_takes_the_last_line_end():
    assert applied(diff("@@ -1 +1 @@", "-a", "+b"), {"a.py": b"a"}) == {"a.py": b"b"}
    assert applied(diff("@@ -1 +1 @@", "-a", "\\ No newline at end of file", "+b"), {"a.py": b"a"}) == {"a.py": b"b\n"}
    assert applied(diff("@@ -1 +1 @@", "-a", "+b", "\\ No newline at end of file"), {"a.py": b"a\n"}) == {"a.py": b"b"}
    assert refused(diff("@@ -1 +1 @@", "-a", "\\ No newline at end of file", "+b"), {"a.py": b"a\nc\n"})


def test_line_ends_are_data_where_only_the_lines_of_a_diff_have_them():
    text = "--- a/a.py\n+++ b/a.py\n@@ -1,2 +1,2 @@\n-one\n+one\r\n two\n"
    assert applied(text, {"a.py": b"one\ntwo\n"}) == {"a.py": b"one\r\ntwo\n"}


def test_a_lone_carriage_return_is_part_of_its_line():
    assert applied(v4a("@@", "-two", "+2"), {"a.py": b"o\rne\ntwo\n"}) == {"a.py": b"o\rne\n2\n"}


def test_an_empty_file_takes_lines():
    assert applied(v4a("@@", "+x"), {"a.py": b""}) == {"a.py": b"x\n"}
    assert applied(diff("@@ -0,0 +1 @@", "+x"), {"a.py": b""}) == {"a.py": b"x\n"}


def test_a_new_file_has_the_line_ends_of_its_diff():
    text = "--- /dev/null\n+++ b/n\n@@ -0,0 +1,2 @@\n+a\r\n+b\n\\ No newline at end of file\n"
    assert applied(text, {}) == {"n": b"a\r\nb"}


@pytest.mark.parametrize(
    ("before", "after"), [(b"1\none\r", b"1\n2\r"), (b"one\r", b"2\r")], ids=["mixed", "classic Mac"]
)
def test_a_carriage_return_at_the_end_of_a_file_without_a_newline_is_kept(before: bytes, after: bytes):
    end = "\r\n\\ No newline at end of file\n"
    assert applied(f"--- a/a.py\n+++ b/a.py\n@@ -1 +1 @@\n-one{end}+2{end}", {"a.py": before}) == {"a.py": after}
