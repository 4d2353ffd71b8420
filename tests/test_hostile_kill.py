"""Kills and failing calls while the whole program writes: the tree is all old or all new at the next start."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.work import coder, make_repository, state_of

pytestmark = pytest.mark.skipif(not shutil.which("strace"), reason="strace is not installed")
FILES = {f"f{number}.txt": f"old{number}\n" for number in range(3)}
EDIT = (
    "*** Begin Patch\n"
    + "".join(f"*** Update File: f{number}.txt\n@@\n-old{number}\n+new{number}\n" for number in range(3))
    + "*** Add File: d/n.txt\n+n\n*** Delete File: gone.txt\n*** End Patch\n"
)


@pytest.mark.parametrize("call", ["rename,renameat,renameat2", "unlink,unlinkat", "fsync"])
@pytest.mark.parametrize("fault", ["signal=KILL", "error=ENOSPC"])
def test_a_fault_in_the_middle_leaves_all_old_or_all_new(tmp_path: Path, call: str, fault: str) -> None:
    root, trace = make_repository(tmp_path / "repo", {**FILES, "gone.txt": "g\n"}), tmp_path / "trace"
    (tmp_path / "edit").write_text(EDIT)
    old = state_of(root)
    inject = ["strace", "-f", "-qq", "-o", str(trace), "-e", f"trace={call}", "-e", f"inject={call}:{fault}:when=3"]
    line = [*inject, sys.executable, "-m", "coder", "apply", str(tmp_path / "edit")]
    done = subprocess.run(line, cwd=root, stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
    assert "INJECTED" in trace.read_text() or done.returncode < 0, "the fault was never met"
    assert coder(root, "undo", "--list").code == 0  # any command that opens the repository recovers
    names = {path.relative_to(root).as_posix() for path in root.rglob("*") if ".git" not in path.parts}
    if (root / "f0.txt").read_text() == "old0\n":
        assert state_of(root) == old
        assert done.returncode != 0
    else:
        assert names == {*FILES, "d", "d/n.txt"}
        assert {(root / name).read_text()[:3] for name in FILES} == {"new"}
