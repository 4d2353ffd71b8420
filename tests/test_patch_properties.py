"""For any text git's own diff resolves to exactly the new bytes; no reply, however broken, does more than refuse."""

import json
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from coder.repo.patch.edits import PatchRefused
from coder.repo.patch.find import has_edit
from coder.repo.patch.resolve import resolve
from coder.repo.repository import FileState, Repository
from tests.patch_tools import Tree, blocks, diff, v4a
from tests.repo_tools import new_ground

ENDS = [b"\n", b"\r\n"]
WORDS = [b"a", b"b", b"  c", b"\td", b"", b"  ", b"-- x", b"++ y", b"@@ -1 +1 @@", b"\x0c"]
BOUNDED = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Repository]:
    with new_ground(tmp_path_factory.mktemp("properties")).open() as repository:
        yield repository


MARK = b"\xef\xbb\xbf"


@st.composite
def texts(draw: st.DrawFn) -> bytes:
    """Lines that repeat, with line ends of one kind or mixed, with or without a last line end."""
    ends = draw(st.sampled_from([ENDS[:1], ENDS[1:], ENDS]))
    words = [*WORDS, draw(st.sampled_from([b"caf\xe9", "\u00fc".encode()]))]  # one encoding a file
    lines = draw(st.lists(st.tuples(st.sampled_from(words), st.sampled_from(ends)), max_size=30))
    text = b"".join(word + end for word, end in lines)
    return text.rstrip(b"\r\n") if draw(st.booleans()) else text


@st.composite
def pairs(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """A text and what some edits make of it; each may begin with a byte order mark, which never moves inside."""
    old = draw(texts())
    lines = old.splitlines(keepends=True)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(lines)))
        added = draw(st.lists(st.sampled_from([b"new\n", b"a\n", b"x y\r\n"]), max_size=2))
        lines[at : at + draw(st.integers(0, 2))] = added
    before, after = draw(st.sampled_from([(b"", b""), (MARK, MARK), (MARK, b""), (b"", MARK)]))
    return before + old, after + b"".join(lines)


@BOUNDED
@given(pairs())
def test_the_diff_that_git_makes_gives_exactly_the_new_bytes(repository: Repository, pair: tuple[bytes, bytes]):
    old, new = pair
    base = repository.write_tree(repository.tree_of(""), {"f": FileState(old), "other": FileState(b"1\n")})
    patch = repository.patch(base, repository.write_tree(base, {"f": FileState(new)}))
    if patch:
        (result,) = resolve(patch.decode("utf-8", "surrogateescape"), Tree({"f": old, "other": b"1\n"})).files
        assert (result.path, result.content) == ("f", new)


BITS = [
    *("@@", "@@ -1,3 +1,3 @@", "@@ -0,0 +1 @@", "--- a/a.py", "+++ b/a.py", "+++ /dev/null", "*** Begin Patch"),
    *("*** End Patch", "*** Update File: a.py", "*** Move to: ../x", "*** End of File", "<<<<<<< SEARCH", "======="),
    *(
        ">>>>>>> REPLACE",
        "```",
        "~~~",
        "```diff",
        "...",
        "\\ No newline at end of file",
        "rename from a.py",
        "rename to b",
    ),
    *(
        'diff --git "a/\\303" "b/\\777"',
        "new mode 100755",
        "\ud800",
        "\udc80",
        "\ufeff",
        '{"a": "b"}',
        "\\n",
        "\r",
        "\0",
    ),
    *("a.py", "-one", "+one", " one", ""),
]
BODY = "one\ntwo\nthree\n\nfour\n"
SEEDS = [
    diff("@@ -1,3 +1,3 @@", " one", "-two", "+2", " three"),
    v4a("@@ one", "-two", "+2", " ...", "-four", "+4"),
    blocks("two\nthree\n", "2\nthree\n"),
    f"a.py\n```python\n{BODY}```\n",
]


def broken(text: str, chance: random.Random) -> str:
    """The reply with lines lost, doubled, moved, cut and mixed with those of other formats."""
    lines = text.split("\n")
    for _ in range(chance.randint(1, 6)):
        at = chance.randrange(len(lines) + 1)
        match chance.randrange(5):
            case 0:
                lines[at:at] = [chance.choice(BITS)]
            case 1:
                del lines[at : at + 1]
            case 2:
                lines[at:at] = lines[: chance.randrange(4)]
            case 3:
                lines = lines[:at] or [""]
            case _:
                lines[at : at + 1] = [line[chance.randrange(3) :] for line in lines[at : at + 1]]
    return "\n".join(lines)


def check(text: str) -> None:
    """Reading and resolving end in new contents or in a refusal of bounded length; the tree itself is not touched."""
    tree = Tree({"a.py": BODY.encode(), "d/b.py": b"1\n"})
    before = dict(tree.files)
    has_edit(text)
    try:
        resolve(text, tree)
    except PatchRefused as refusal:
        assert refusal.problems and len(str(refusal).splitlines()) <= 40
    assert tree.files == before


@pytest.mark.parametrize("seed", range(8))
def test_a_broken_reply_is_resolved_or_refused_and_never_raises_anything_else(seed: int):
    chance = random.Random(seed)
    for _ in range(250):
        check(broken(chance.choice(SEEDS) + chance.choice(["", chance.choice(SEEDS)]), chance))


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(BITS), max_size=25).map("\n".join) | st.text(max_size=300))
def test_any_text_is_resolved_or_refused(text: str):
    check(text)


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=300), st.sampled_from(SEEDS), st.integers(0, 200))
def test_any_bytes_in_the_reply_are_resolved_or_refused(noise: bytes, seed: str, at: int):
    raw = seed.encode()
    check((raw[:at] + noise + raw[at:]).decode("utf-8", "surrogateescape"))


REPLIES = json.loads(Path(__file__).with_name("data").joinpath("replies.json").read_text("utf-8"))


@pytest.mark.parametrize("number", range(len(REPLIES)))
def test_a_reply_of_the_corpus_ends_as_it_ever_did(number: int):
    """Broken replies, one for each way in which reading or resolving one has ended."""
    reply = REPLIES[number]
    tree = Tree({"a.py": BODY.encode(), "d/b.py": b"1\n"})
    check(reply["reply"])
    try:
        files = resolve(reply["reply"], tree).files
        assert {file.path: None if file.content is None else file.content.decode() for file in files} == reply["files"]
    except PatchRefused as refusal:
        assert sorted({problem.kind for problem in refusal.problems}) == reply["refused"]


@settings(max_examples=80, deadline=None)
@given(st.binary(max_size=300), st.sampled_from(SEEDS))
def test_any_bytes_in_the_file_are_edited_or_refused(content: bytes, text: str):
    try:
        for result in resolve(text, Tree({"a.py": content})).files:
            assert result.path == "a.py"
    except PatchRefused:
        pass


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text("ab \t", max_size=4), min_size=1, max_size=12), st.data())
def test_a_block_of_the_whole_text_gives_exactly_the_other_side(lines: list[str], data: st.DataObject):
    other = data.draw(st.lists(st.text("abc", min_size=1, max_size=4), min_size=1, max_size=12))
    old, new = "".join(f"{line}\n" for line in lines), "".join(f"{line}\n" for line in other)
    if old != new and old.strip():
        (result,) = resolve(blocks(old, new), Tree({"a.py": old.encode()})).files
        assert result.content == new.encode()


def test_a_block_of_thousands_of_lines_gives_exactly_the_other_side():
    chance = random.Random(5)
    old = [f"line {chance.randrange(2000)}\n" for _ in range(3000)]
    new = [line for line in old if chance.random() < 0.9]
    new[100:100] = new[1000:1400]
    (result,) = resolve(blocks("".join(old), "".join(new)), Tree({"a.py": "".join(old).encode()})).files
    assert result.content == "".join(new).encode()
