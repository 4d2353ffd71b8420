"""Real repositories for the tests of coder.repo: ordinary ones, and one whose every setting is a trap."""

import hashlib
import os
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path

from coder.repo.draft import Draft
from coder.repo.repository import Repository
from coder.store import Places

PEOPLE = {f"GIT_{who}_{what}": "t@example.com" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}


def run_git(where: Path, *args: str | bytes, stdin: bytes | None = None, check: bool = True) -> bytes:
    """git as the user of these tests runs it; the output."""
    done = subprocess.run(
        ["git", *args], cwd=where, input=stdin, capture_output=True, env={**os.environ, **PEOPLE}, timeout=60
    )
    if check and done.returncode:
        raise AssertionError((args, done.stderr))
    return done.stdout


@dataclass(frozen=True)
class Ground:
    """A working tree with a repository in it, and places for coder's state."""

    root: Path
    places: Places

    def git(self, *args: str | bytes, stdin: bytes | None = None, check: bool = True) -> str:
        return os.fsdecode(run_git(self.root, *args, stdin=stdin, check=check))

    def write(self, path: str, content: bytes | str, mode: int = 0o644) -> Path:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content.encode() if isinstance(content, str) else content)
        target.chmod(mode)
        return target

    def commit(self, **files: bytes | str) -> None:
        """Commit everything, `files` added (`__` in a keyword is a slash, a final `_` a dot before what follows)."""
        for name, content in files.items():
            self.write(name, content)
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", "more")

    def open(self, session: str = "test") -> Repository:
        return Repository.open(self.root, self.places, session)

    def land(self, draft: Draft, repository: Repository) -> None:
        """Put a draft's files into the working tree, as `apply` would."""
        into = self.places.cache / f"m{len(list(self.places.cache.glob('*')))}"
        into.mkdir(parents=True)
        for path in repository.materialise(draft.snapshot.tree, draft.tree, into):
            (self.root / path).unlink()
        for source in into.rglob("*"):
            if source.is_file():
                self.write(source.relative_to(into).as_posix(), source.read_bytes(), source.stat().st_mode & 0o777)


def new_ground(base: Path, *init: str) -> Ground:
    root = base / "project"
    root.mkdir()
    run_git(root, "init", "-q", "-b", "main", *init)
    return Ground(root, Places(base / "config", base / "state" / "coder", base / "cache"))


def contents(repository: Repository, tree: str) -> dict[str, bytes]:
    """Every file and link of a tree with its bytes."""
    files = [file for file in repository.files(tree) if file.mode != "160000"]
    blobs = repository.read_blobs(file.oid for file in files)
    return {file.path: blobs[file.oid] for file in files}


def fingerprint(root: Path) -> dict[str, str]:
    """Every path below root with kind, mode and content; what must be the same after coder only looked."""
    seen: dict[str, str] = {}
    for folder, folders, files in os.walk(os.fsencode(root)):
        for name in (*folders, *files):
            path = os.path.join(folder, name)
            status = os.lstat(path)
            content = b""
            if stat.S_ISLNK(status.st_mode):
                content = os.readlink(path)
            elif stat.S_ISREG(status.st_mode):
                with open(path, "rb") as file:
                    content = file.read()
            seen[os.fsdecode(os.path.relpath(path, os.fsencode(root)))] = (
                f"{stat.filemode(status.st_mode)} {hashlib.sha256(content).hexdigest()}"
            )
    return seen


HOOKS = [
    "applypatch-msg", "pre-applypatch", "post-applypatch", "pre-commit", "pre-merge-commit", "prepare-commit-msg",
    "commit-msg", "post-commit", "pre-rebase", "post-checkout", "post-merge", "pre-push", "reference-transaction",
    "post-index-change", "post-rewrite", "pre-auto-gc", "fsmonitor-watchman",
]  # fmt: skip


def set_traps(ground: Ground, markers: Path) -> None:
    """Make the repository run a program that leaves a marker from every place git is known to run one."""
    markers.mkdir(exist_ok=True)
    git_dir = Path(ground.git("rev-parse", "--absolute-git-dir").strip())

    def trap(name: str, tail: str = "cat") -> str:
        program = markers.parent / f"trap-{name}"
        program.write_text(f'#!/bin/sh\ntouch "{markers}/{name}"\n{tail}\n')
        program.chmod(0o755)
        return str(program)

    for hook in HOOKS:
        (git_dir / "hooks").mkdir(exist_ok=True)
        (git_dir / "hooks" / hook).symlink_to(trap(f"hook-{hook}", "exit 0"))
    included = ground.places.config.parent / "included"
    included.write_text(f'[core]\n\tfsmonitor = "{trap("included")}"\n[alias]\n\tls-files = "!{trap("alias")}"\n')
    settings = {
        "core.fsmonitor": trap("fsmonitor"), "core.pager": trap("pager"), "core.editor": trap("editor"),
        "core.sshCommand": trap("ssh"), "core.askPass": trap("askpass"), "core.alternateRefsCommand": trap("refs"),
        "diff.external": trap("external"), "diff.evil.command": trap("diff"), "diff.evil.textconv": trap("textconv"),
        "filter.evil.clean": trap("clean"), "filter.evil.smudge": trap("smudge"), "filter.evil.process": trap("filter"),
        "merge.evil.driver": trap("merge-driver"), "gpg.program": trap("gpg"), "commit.gpgSign": "true",
        "log.showSignature": "true", "credential.helper": trap("credential"), "trailer.x.command": trap("trailer"),
        "uploadpack.packObjectsHook": trap("pack"), "interactive.diffFilter": trap("interactive"),
        "sequence.editor": trap("sequence"), "include.path": str(included),
        "submodule.sub.update": f"!{trap('submodule-update')}",
        "remote.origin.url": f"ext::{trap('remote')}", "remote.origin.promisor": "true",
        "extensions.partialClone": "origin",
    }  # fmt: skip
    for key, value in settings.items():
        ground.git("config", key, value)
    (git_dir / "info").mkdir(exist_ok=True)
    (git_dir / "info" / "attributes").write_text("*.evil filter=evil diff=evil merge=evil\n")
