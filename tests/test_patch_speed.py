"""The edit engine's time on large files and on replies that are made to be slow. Bounds are generous; figures print."""

import time

import pytest

from coder.repo.patch.edits import PatchRefused
from coder.repo.patch.resolve import resolve
from tests.patch_tools import Tree, diff, v4a

LINES = [
    f"    value_{i % 977} = compute(item, {i})" if i % 5 else ("" if i % 10 else f"def f_{i}():") for i in range(5000)
]
TREE = Tree({"a.py": "".join(f"{line}\n" for line in LINES).encode()})


def hunks(context: str = "") -> list[str]:
    """200 hunks over the whole file; `context` is put in front of each first context line."""
    edit: list[str] = []
    for i in range(3, 4990, 25):
        before = [f" {line}" for line in LINES[i - 3 : i]]
        before[0] = f" {context}{before[0][1:]}"
        edit += ["@@", *before, f"-{LINES[i]}", f"+{LINES[i]}  # new", *(f" {line}" for line in LINES[i + 1 : i + 4])]
    return edit


def spent(text: str, name: str, tree: Tree = TREE) -> float:
    """CPU seconds of one resolution."""
    begun = time.process_time()
    try:
        resolve(text, tree)
    except PatchRefused:
        pass
    seconds = time.process_time() - begun
    print(f"{name}: {seconds * 1000:.0f} ms")
    return seconds


@pytest.mark.parametrize("write", [diff, v4a])
def test_two_hundred_hunks_in_five_thousand_lines(write):
    assert spent(write(*hunks()), "200 hunks") < 1  # 30 to 60 ms on an idle machine
    assert spent(write(*hunks("x")), "200 hunks, each with a slip") < 1  # 50 to 100 ms


def test_one_hunk_of_five_thousand_lines_with_a_slip_takes_no_longer():
    edit = [f" {line}" if i % 50 else f"-{line}" for i, line in enumerate(LINES)]
    edit[2501] = f" x{edit[2501][1:]}"
    assert spent(diff("@@ -1,5000 +1,5000 @@", *edit), "one hunk of 5000 lines") < 1  # 80 to 150 ms


def test_a_refusal_of_many_hunks_takes_no_longer():
    edit = [line + "?" if line.startswith("-") else line for line in hunks()]
    assert spent(v4a(*edit), "200 hunks that are not there") < 2
    assert spent(v4a(*hunks()[:-9], "-nowhere", "+x"), "199 hunks and one that is not there") < 2


def repetitive() -> list[str]:
    """200 numbered hunks in a file of two lines that take turns."""
    lines = ["    x = 1", "    y = 2"] * 2500
    edit: list[str] = []
    for i in range(3, 4990, 25):
        context = [f" {line}" for line in lines[i - 3 : i + 4]]
        edit += [f"@@ -{i - 2},7 +{i - 2},7 @@", *context[:3], f"-{lines[i]}", f"+{lines[i]}  # new", *context[4:]]
    return edit


def test_a_file_whose_lines_repeat_takes_no_longer():
    tree = Tree({"a.py": b"    x = 1\n    y = 2\n" * 2500})
    edit = repetitive()
    unnumbered = ["@@" if line.startswith("@@") else line for line in edit]
    dedented = [line[:1] + line[1:].lstrip() for line in unnumbered]
    for name, lines in {"numbered": edit, "ambiguous": unnumbered, "dedented": dedented}.items():
        assert spent(v4a(*lines), name, tree) < 1  # 80 to 150 ms on an idle machine


def test_a_whole_file_of_five_thousand_lines():
    text = "".join(f"{line} #\n" if i % 50 == 0 else f"{line}\n" for i, line in enumerate(LINES))
    assert spent(f"a.py\n```\n{text}```\n", "whole file") < 1


SLOW = {
    "fences": "```\n" * 5_000,
    "open fences": "```py\n" * 20_000,
    "hunk headers": "@@\n" * 50_000,
    "half headers": "--- a\n" * 20_000,
    "open blocks": "<<<<<<< SEARCH\n" * 20_000,
    "half blocks": "a.py\n<<<<<<< SEARCH\nx\n=======\n" * 5_000,
    "envelopes": "*** Begin Patch\n" * 20_000,
    "git headers": "diff --git a/x b/x\n" * 20_000,
    "escapes": "\\n" * 50_000,
    "brackets": '{"a":' * 50_000,
    "paths": "a.py\n" * 50_000,
    "gaps": v4a("@@", *[" x", " ..."] * 2_000, "-y", "+z"),
    "blanks": v4a(*["@@", " ", "-", "+y"] * 50),
    "long lines": v4a("@@", *[f" {'word ' * 2_000}{i}" for i in range(5)], "-x", "+y"),
}


@pytest.mark.parametrize("name", SLOW)
def test_a_reply_that_is_made_to_be_slow_is_not(name: str):
    assert spent(SLOW[name], name) < 4
