"""Trust is for one repository, survives writers at once, and never means the whole home directory."""

import subprocess
import sys
from pathlib import Path

import pytest

from coder.errors import UserError
from coder.repo.merge import merge3
from coder.repo.trust import TrustStore
from coder.store import Places
from tests.repo_tools import Ground, new_ground, run_git


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    return new_ground(tmp_path)


def test_a_repository_is_trusted_until_it_is_not(ground: Ground):
    store = TrustStore(ground.places)
    assert not store.is_trusted(ground.root) and not ground.places.state.exists()
    store.add(ground.root)
    assert TrustStore(ground.places).is_trusted(ground.root) and store.list() == (ground.root,)
    store.remove(ground.root)
    assert not store.is_trusted(ground.root) and store.list() == ()


def test_an_alias_is_the_same_and_a_repository_inside_is_another(ground: Ground, tmp_path: Path):
    store = TrustStore(ground.places)
    store.add(ground.root)
    (tmp_path / "alias").symlink_to(ground.root)
    run_git(ground.root, "init", "-q", "inner")
    assert store.is_trusted(tmp_path / "alias") and not store.is_trusted(ground.root / "inner")


def test_another_repository_at_the_same_place_is_asked_about_again(ground: Ground):
    store = TrustStore(ground.places)
    store.add(ground.root)
    store.approve_command(ground.root, ("make", "test"))
    (ground.root / ".git").rename(ground.root / "old")
    run_git(ground.root, "init", "-q")
    assert not store.is_trusted(ground.root) and store.approved_commands(ground.root) == frozenset()


def test_home_and_root_and_plain_directories_are_never_trusted(ground: Ground, private_places: Path):
    store = TrustStore(ground.places)
    run_git(private_places, "init", "-q")
    for place in (private_places, Path("/")):
        with pytest.raises(UserError, match="never trusted"):
            store.add(place)
        store.approve_command(place, ("true",))
        assert not store.is_trusted(place) and store.approved_commands(place) == frozenset()
    with pytest.raises(UserError, match="not the root"):
        store.add(ground.root.parent)


def test_commands_are_remembered_word_for_word(ground: Ground):
    store = TrustStore(ground.places)
    store.approve_command(ground.root, ("pytest", "-k", "a b", "\udcff"))
    assert store.approved_commands(ground.root) == {("pytest", "-k", "a b", "\udcff")}
    assert ("pytest",) not in store.approved_commands(ground.root) and not store.is_trusted(ground.root)


WRITER = """
import sys
from pathlib import Path
from coder.repo.trust import TrustStore
from coder.store import Places
root, state, name = map(Path, sys.argv[1:])
store = TrustStore(Places(state, state, state))
for number in range(50):
    store.approve_command(root, (str(name), str(number)))
"""


def test_writers_at_once_lose_nothing(ground: Ground, tmp_path: Path):
    command = [sys.executable, "-c", WRITER, str(ground.root), str(tmp_path / "s")]
    writers = [subprocess.Popen([*command, f"writer{number}"]) for number in range(4)]
    assert [writer.wait(timeout=60) for writer in writers] == [0] * 4
    store = TrustStore(Places(tmp_path, tmp_path / "s", tmp_path))
    assert len(store.approved_commands(ground.root)) == 200


def test_a_damaged_file_means_no_trust(ground: Ground):
    store = TrustStore(ground.places)
    store.add(ground.root)
    (ground.places.state / "trust.sqlite").write_bytes(b"garbage" * 1000)
    assert not store.is_trusted(ground.root)
    store.add(ground.root)
    assert store.is_trusted(ground.root)


LINES = b"".join(b"%d\r\n" % number for number in range(20)) + b"end"


def test_changes_of_both_sides_are_merged_with_their_bytes():
    ours, theirs = LINES.replace(b"\n3\r", b"\nthree\r"), LINES.replace(b"end", b"END")
    merged = merge3(LINES, ours, theirs)
    assert (merged.content, merged.conflict) == (ours.replace(b"end", b"END"), False)
    assert merge3(LINES, LINES, theirs).content == merge3(LINES, theirs, theirs).content == theirs
    assert merge3(LINES, ours, LINES).content == ours


def test_a_conflict_is_reported_with_both_sides():
    merged = merge3(b"1\n2\n3\n", b"1\nours\n3\n", b"1\ntheirs\n3\n")
    both = b"<<<<<<< as it is now\nours\n=======\ntheirs\n>>>>>>> as the edit makes it"
    assert merged.conflict and both in merged.content
    assert merge3(b"a\0b", b"a\0c", b"a\0d") == type(merged)(b"a\0c", True)
