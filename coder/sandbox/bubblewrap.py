"""A scene as arguments of bwrap(1). What bwrap cannot do (overlays, in the versions people have) is left to the
process inside, which for that keeps the capabilities of its own user namespace until it has mounted."""

import os
import shutil

from coder.sandbox import layout
from coder.sandbox.layout import Step
from coder.sandbox.scene import Scene

STAGE = "/run/coder"


def find() -> str:
    """The bwrap to use; "" if there is none. The distribution's own comes first: AppArmor knows that path."""
    usual = "/usr/bin/bwrap"
    return usual if os.access(usual, os.X_OK) else shutil.which("bwrap") or ""


def arguments(program: str, scene: Scene, package: str, network: bool) -> tuple[list[str], list[Step]]:
    """(the command line up to what it is to run, the steps left to the process inside).

    `package` is the directory that coder's own package is in: the process inside starts from there.
    """
    # not the control groups: Java looks for its limits below the path that its group has outside
    line = [program, "--unshare-user", "--unshare-ipc", "--unshare-pid", "--unshare-uts"]
    line += [] if network else ["--unshare-net"]
    line += ["--die-with-parent", "--new-session", "--as-pid-1", "--cap-drop", "ALL"]
    line += ["--cap-add", "ALL"] if scene.overlay else []  # an overlay works with the rights of who mounts it
    line += ["--ro-bind", "/", "/"]
    left: list[Step] = []
    staged: dict[str, str] = {}
    for step in scene.steps:
        covered = len(step) > 1 and any(layout.is_below(step[1], other[1]) for other in left if other[0] == "overlay")
        if step[0] in ("overlay", "remove") or covered:
            left.append(_stage(step, staged))
        else:
            line += _render(step)
    for step in left:
        line += ["--dir", step[1]] if step[0] == "overlay" else []
    scratch = {place for step in left if step[0] == "overlay" for place in step[2:3]}
    for path, place in staged.items():
        line += ["--bind" if place in scratch else "--ro-bind", path, place]
    line += ["--ro-bind", package, f"{STAGE}/package/coder", "--dev", "/dev", "--proc", "/proc"]
    for step in scene.steps:
        line += ["--remount-ro", step[1]] if step[0] == "empty" and step not in left else []
    return [*line, "--chdir", "/", "--"], [*left, ("empty", STAGE)] if left else []


def _stage(step: Step, staged: dict[str, str]) -> Step:
    """The step with its sources where bwrap puts them: their own places may be hidden by then."""
    match step:
        case ("overlay", target, *paths):
            return ("overlay", target, *(staged.setdefault(path, f"{STAGE}/{len(staged)}") for path in paths))
        case ("bind", target, source) if source != "/dev/null":
            return ("bind", target, staged.setdefault(source, f"{STAGE}/{len(staged)}"))
        case _:
            return step


def _render(step: Step) -> list[str]:
    match step:
        case ("tmpfs", target, size):
            return ["--size", str(int(size.removesuffix("m")) << 20), "--perms", "1777", "--tmpfs", target]
        case ("empty", target):
            return ["--perms", "0555", "--tmpfs", target]
        case ("bind", target, source):
            return ["--ro-bind", source, target]
        case ("bind-writable", target, source):
            return ["--bind", source, target]
        case _:
            return []  # "dev": bwrap has its own
