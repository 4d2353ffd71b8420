"""Lays a view out for one run: the private directory of the run, and the mounts that make the view.

Two ways: an overlay, whose layers are the repository, the draft's files and harmless copies of the git
configuration, at the repository's own path; or, where no overlay can be had, a scratch copy mounted there.
"""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from coder.sandbox import copying, gitdir, layout
from coder.sandbox.layout import Layout, Step
from coder.sandbox.values import View


@dataclass(frozen=True, slots=True)
class Scene:
    """A view made ready. `root` is the repository, `cwd` where the command finds the view of it, `home` and
    `temporary` its own directories. `steps` are the mounts still to be made; without any, `cwd` is a copy.
    `environ` is what the command needs to find its toolchain, and its way in a copy."""

    root: str
    cwd: str
    home: str
    temporary: str
    run: Path
    layout: Layout
    steps: tuple[Step, ...] = ()
    overlay: bool = False
    environ: Mapping[str, str] = field(default_factory=dict)


def with_mounts(view: View, run: Path, seen: Layout, *, overlay: bool, memory_mb: int) -> Scene:
    """The view at the repository's own path. `run` is an existing empty private directory. Blocks on disk.

    Raises SandboxError where a scratch copy is needed and the repository is too big for one.
    """
    root = os.path.realpath(view.root)
    size = f"{max(64, min(2048, memory_mb // 4))}m"  # files there are memory
    steps: list[Step] = [_fresh(path, seen, size) for path in seen.hidden]
    steps += [_fresh(path, seen, size) for path in seen.writable if path not in seen.hidden and path not in seen.inner]
    for number, path in enumerate(seen.shown):
        if overlay and path in seen.caches:
            (run / f"cache-{number}").mkdir()
            steps.append(("overlay", path, str(run / f"cache-{number}"), path))
        else:
            steps.append(("bind", path, path))
    if overlay:
        steps += _overlay(root, view, run)
    else:
        copying.copy_tree(root, view, run / "copy")
        steps.append(("bind-writable", root, str(run / "copy")))
        steps += [("bind", f"{root}/{path}", f"{root}/{path}") for path in copying.linked(root)]
    steps += [("bind", path, path) for path in _mounts_below(root)]
    steps += _git(root, run, seen, overlay)
    steps += [_fresh(path, seen, size) for path in seen.inner]
    steps += [("empty", path) if os.path.isdir(path) else ("bind", path, "/dev/null") for path in seen.masked]
    steps.append(("dev",))
    return Scene(root, root, seen.home, "/tmp", run, seen, tuple(steps), overlay, layout.default_homes(seen))


def with_copy(view: View, run: Path, seen: Layout) -> Scene:
    """The view as a copy below `run`, for tiers that cannot mount: dependencies are links to the original."""
    root = os.path.realpath(view.root)
    copy = run / "copy"
    copying.copy_tree(root, view, copy)
    for name in copying.linked(root):
        (copy / name).rmdir()
        if name != ".git":
            (copy / name).symlink_to(f"{root}/{name}")
    if found := gitdir.directories(root):
        (copy / ".git").unlink(missing_ok=True)
        gitdir.imitate(*found, copy / ".git")
    for name in ("home", "tmp"):
        (run / name).mkdir(mode=0o700)
    return Scene(
        root,
        str(copy),
        str(run / "home"),
        str(run / "tmp"),
        run,
        seen,
        environ={**layout.default_homes(seen), **copying.python_path(root, str(copy))},
    )


def clear(run: Path) -> None:
    """Delete the directory of a run, also what a command nested deeper than Python recurses, made unreadable, or the
    overlay left behind."""
    with contextlib.suppress(RecursionError):
        shutil.rmtree(run, ignore_errors=True)
    if run.exists():
        _remove(run)
    if run.exists():
        for top, directories, _ in copying.walk(str(run)):
            for name in directories:
                with contextlib.suppress(OSError):
                    if not os.path.islink(f"{top}/{name}"):
                        os.chmod(f"{top}/{name}", 0o700)
        _remove(run)


def _remove(run: Path) -> None:
    subprocess.run(["rm", "-rf", "--", str(run)], env={"PATH": "/usr/bin:/bin"}, stderr=subprocess.DEVNULL)


def _fresh(path: str, seen: Layout, size: str) -> Step:
    return ("tmpfs", path, size) if path in seen.writable else ("empty", path)


def _overlay(root: str, view: View, run: Path) -> list[Step]:
    cover, scratch = run / "cover", run / "scratch"
    cover.mkdir()
    scratch.mkdir()
    if os.path.isdir(f"{root}/.git") and (found := gitdir.directories(root)):
        for path in gitdir.configurations(*found):
            if layout.is_below(path, root):
                copy = cover / os.path.relpath(path, root)
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.write_bytes(gitdir.harmless(path))
    layers = [str(cover), *([str(view.changed)] if view.changed else []), root]
    # an upper layer below the lower one is an error; the launcher then falls back to memory
    return [("overlay", root, str(scratch), *layers), ("remove", root, *view.deleted, *view.masked)]


def _git(root: str, run: Path, seen: Layout, overlay: bool) -> list[Step]:
    """The git directory where it is not part of the overlay: read-only, with harmless configurations over its own."""
    found = gitdir.directories(root)
    if not found or (overlay and layout.is_below(found[1], root) and layout.is_below(found[0], root)):
        return []
    steps: list[Step] = []
    for path in dict.fromkeys((found[1], found[0])):
        if not any(layout.is_below(path, shown) for shown in seen.shown) and (
            any(layout.is_in(path, place) for place in seen.hidden) or layout.is_below(path, root)
        ):
            steps.append(("bind", path, path))
    for number, path in enumerate(gitdir.configurations(*found)):
        copy = run / f"configuration-{number}"
        copy.write_bytes(gitdir.harmless(path))
        steps.append(("bind", path, str(copy)))
    return steps


def _mounts_below(root: str) -> list[str]:
    """Other file systems mounted inside the repository: an overlay does not see through to them."""
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
            points = [line.split(" ")[4].encode().decode("unicode_escape") for line in file]
    except (OSError, IndexError, UnicodeError):
        return []
    return sorted({point for point in points if layout.is_below(point, root)})
