"""What working on a repository costs: `python tests/bench/repository.py [FILES ...]`. Prints figures, asserts nothing.

CPU seconds are this process's and its children's, user and system; git is among the children.
"""

import contextlib
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from coder.repo import git
from coder.repo.commit import commit
from coder.repo.draft import Draft
from coder.repo.repository import Repository
from coder.store import Places

EDIT = "*** Begin Patch\n*** Update File: d0/f0.py\n@@\n-line 3\n+line three\n*** Add File: new.py\n+1\n*** End Patch\n"
PEOPLE = {f"GIT_{who}_{what}": "b@example.com" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}


def make(root: Path, files: int) -> None:
    for number in range(files):
        path = root / f"d{number // 50}" / f"f{number}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"line {line}\n" for line in range(30 + number % 400)) + f"# {number}\n")
    for command in (["init", "-q"], ["add", "-A"], ["-c", "gc.auto=0", "commit", "-q", "-m", "one"], ["gc", "-q"]):
        subprocess.run(["git", *command], cwd=root, check=True, env={**os.environ, **PEOPLE})


def cpu() -> float:
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


@contextlib.contextmanager
def timed(what: str) -> Iterator[None]:
    wall, used = time.perf_counter(), cpu()
    yield
    print(f"  {what:32} {cpu() - used:7.3f} s CPU {time.perf_counter() - wall:7.3f} s")


def measure(base: Path, files: int) -> None:
    print(f"{files:,} files")
    root, places = base / "project", Places(base / "config", base / "state", base / "cache")
    make(root, files)
    with timed("open"):
        repository = Repository.open(root, places, "one")
    with timed("snapshot, first ever"):
        repository.snapshot()
    repository.close()
    repository = Repository.open(root, places, "two")
    with timed("snapshot, first of a session"):
        repository.snapshot()
    with timed("snapshot, again"):
        snapshot = repository.snapshot()
    draft = Draft(repository, snapshot)
    with timed("edit"):
        edit = draft.edit(EDIT)
    with timed("edit again"):
        draft.edit(EDIT.replace("-line 3", "-line three").replace("+line three", "+line 3").replace("new", "newer"))
    with timed("diff by hunk"):
        repository.diff(snapshot.tree, draft.tree)
    with timed("files that differ"):
        (base / "into").mkdir()
        repository.materialise(snapshot.tree, draft.tree, base / "into")
    (root / "d0" / "f0.py").write_bytes(repository.read(repository.apply(snapshot.tree, edit.patch), "d0/f0.py") or b"")
    (root / "new.py").write_text("1\n")
    with timed("commit"):
        commit(repository, edit.patch, "measure", None, False)
    repository.close()


if __name__ == "__main__":
    os.environ.update(PEOPLE)
    with timed("import of GitPython"):
        git.warm()
    with timed("100 calls of git"):
        for _ in range(100):
            git.Git(None).run("version")
    for files in map(int, sys.argv[1:] or ("200", "2000", "20000")):
        with tempfile.TemporaryDirectory() as directory:
            measure(Path(directory), files)
