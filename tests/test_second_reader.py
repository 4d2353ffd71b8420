"""The second reader of patches: agrees with what git prints, and stops what was shown otherwise."""

import difflib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coder.errors import Failed
from coder.repo.diff import parse_patch
from coder.repo.second_reader import check_patch

HEADER = b"diff --git a/f b/f\nindex 1111111..2222222 100644\n"
LINES = st.lists(
    st.sampled_from(["a\n", "b\n", "--- c\n", "+++ d\n", "\n", "\r\n", "x\ry\n", "\x0c\n", "\u2028\n"]), max_size=30
)


def diff(old: list[str], new: list[str]) -> bytes:
    body = "".join(difflib.unified_diff(old, new, "a/f", "b/f", n=1)).encode()
    return HEADER + body if body else b""


@settings(max_examples=60, deadline=None)
@given(LINES, LINES)
def test_both_readers_count_the_same(old: list[str], new: list[str]) -> None:
    patch = diff(old, new)
    check_patch(patch, parse_patch(patch))


def test_a_patch_that_differs_from_what_was_shown_is_stopped() -> None:
    shown = parse_patch(diff(["a\n", "b\n"], ["a\n", "c\n"]))
    with pytest.raises(Failed, match="reads differently"):
        check_patch(diff(["a\n", "b\n"], ["a\n", "c\n", "d\n"]), shown)


def test_a_patch_that_cannot_be_read_back_is_stopped() -> None:
    patch = diff(["a\n", "b\n"], ["a\n", "c\n"])
    with pytest.raises(Failed, match=r"cannot be read back|reads differently"):
        check_patch(patch.replace(b"@@ -1,2 +1,2 @@", b"@@ -1,4 +1,2 @@"), parse_patch(patch))
