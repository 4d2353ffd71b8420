"""Carries out a list of mounts, in order, in a mount namespace of our own. Decides nothing: see `layout`.

A step is a tuple whose first item names it. Sources are opened before the first step, so that a step may hide the
place a later one takes its source from.
"""

import os
import stat

from coder.sandbox.inside import kernel

Step = tuple[str, ...]

_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_FIXED_PROC = ("sys", "sysrq-trigger", "irq", "bus", "fs", "acpi", "scsi", "kcore", "latency_stats", "timer_list")


def carry_out(steps: list[Step], seal: bool) -> None:
    """Every step in order; then, with `seal`, everything but what a step made writable becomes read-only."""
    sources = {path: os.open(path, os.O_PATH | os.O_CLOEXEC) for step in steps for path in _sources(step)}
    try:
        for step in steps:
            _ACTIONS[step[0]](step, sources)
    finally:
        for descriptor in sources.values():
            os.close(descriptor)
    for step in steps:
        if step[0] == "empty":
            kernel.set_mount_attributes(step[1], kernel.MOUNT_ATTR_RDONLY)
    if seal:
        kernel.set_mount_attributes("/", kernel.MOUNT_ATTR_RDONLY | kernel.MOUNT_ATTR_NOSUID, recursive=True)
        for step in steps:
            if step[0] in ("tmpfs", "overlay", "bind-writable"):
                kernel.set_mount_attributes(step[1], 0, kernel.MOUNT_ATTR_RDONLY)
        if any(step[0] == "dev" for step in steps):
            for path in ("/dev/shm", "/dev/pts"):
                kernel.set_mount_attributes(path, 0, kernel.MOUNT_ATTR_RDONLY)


def make_private() -> None:
    kernel.mount("none", "/", "", kernel.MS_REC | kernel.MS_PRIVATE)


def mount_proc() -> None:
    """A /proc of the new PID namespace. What in it is not per process stays the machine's, so it is read-only:
    a root whose id is the machine's root could otherwise set its sysctls."""
    kernel.mount("proc", "/proc", "proc", kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC)
    for name in _FIXED_PROC:
        path = f"/proc/{name}"
        if os.path.exists(path):
            kernel.mount(path, path, "", kernel.MS_BIND)
            kernel.set_mount_attributes(path, kernel.MOUNT_ATTR_RDONLY)


def _sources(step: Step) -> tuple[str, ...]:
    match step[0]:
        case "bind" | "bind-writable":
            return (step[2],)
        case "overlay":
            return step[2:]
        case "dev":
            return tuple(f"/dev/{name}" for name in _DEVICES)
        case _:
            return ()


def _at(sources: dict[str, int], path: str) -> str:
    return f"/proc/self/fd/{sources[path]}"


def _tmpfs(step: Step, sources: dict[str, int]) -> None:
    _, target, size = step
    os.makedirs(target, exist_ok=True)
    kernel.mount("tmpfs", target, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, f"size={size},mode=1777")


def _empty(step: Step, sources: dict[str, int]) -> None:
    os.makedirs(step[1], exist_ok=True)
    kernel.mount("tmpfs", step[1], "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, "size=1m,mode=0555")


def _bind(step: Step, sources: dict[str, int]) -> None:
    _, target, source = step
    _make_mount_point(target, stat.S_ISDIR(os.fstat(sources[source]).st_mode))
    kernel.mount(_at(sources, source), target, "", kernel.MS_BIND | kernel.MS_REC)


def _overlay(step: Step, sources: dict[str, int]) -> None:
    """("overlay", target, scratch, top layer, ..., bottom layer). Writes go to `scratch`, or where that cannot be
    an upper layer (it lies on an overlay itself) to memory."""
    _, target, scratch, *layers = step
    lower = ":".join(_at(sources, layer) for layer in layers)
    _make_mount_point(target, True)
    try:
        _mount_overlay(target, lower, _at(sources, scratch))
    except OSError:
        kernel.mount("tmpfs", target, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, "size=2g,mode=0700")
        memory = os.open(target, os.O_PATH | os.O_CLOEXEC)  # the overlay is about to cover it
        try:
            _mount_overlay(target, lower, f"/proc/self/fd/{memory}")
        finally:
            os.close(memory)


def _mount_overlay(target: str, lower: str, scratch: str) -> None:
    for name in ("upper", "work"):
        os.makedirs(f"{scratch}/{name}", exist_ok=True)
    options = f"userxattr,volatile,lowerdir={lower},upperdir={scratch}/upper,workdir={scratch}/work"
    kernel.mount("overlay", target, "overlay", kernel.MS_NOSUID | kernel.MS_NODEV, options)


def _remove(step: Step, sources: dict[str, int]) -> None:
    """("remove", root, path...): take files away from a view, and directories that this empties, as git does."""
    _, root, *paths = step
    for path in paths:
        full = f"{root}/{path}"
        try:
            os.unlink(full)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            pass  # a changed file or directory lies there instead
        parent = os.path.dirname(path)
        while parent:
            try:
                os.rmdir(f"{root}/{parent}")
            except OSError:
                break
            parent = os.path.dirname(parent)


def _dev(step: Step, sources: dict[str, int]) -> None:
    kernel.mount("tmpfs", "/dev", "tmpfs", kernel.MS_NOSUID, "size=1m,mode=0755")
    for name in _DEVICES:
        _make_mount_point(f"/dev/{name}", False)
        kernel.mount(_at(sources, f"/dev/{name}"), f"/dev/{name}", "", kernel.MS_BIND)
    for name, options in (("shm", "size=1g,mode=1777"), ("pts", "newinstance,ptmxmode=0666,mode=0620")):
        os.mkdir(f"/dev/{name}")
        kind = "devpts" if name == "pts" else "tmpfs"
        kernel.mount(kind, f"/dev/{name}", kind, kernel.MS_NOSUID | kernel.MS_NOEXEC, options)
    os.symlink("pts/ptmx", "/dev/ptmx")
    os.symlink("/proc/self/fd", "/dev/fd")
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        os.symlink(f"/proc/self/fd/{number}", f"/dev/{name}")


def _make_mount_point(target: str, directory: bool) -> None:
    if directory:
        os.makedirs(target, exist_ok=True)
    elif not os.path.lexists(target):
        os.makedirs(os.path.dirname(target), exist_ok=True)
        os.close(os.open(target, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o444))


_ACTIONS = {
    "tmpfs": _tmpfs,
    "empty": _empty,
    "bind": _bind,
    "bind-writable": _bind,
    "overlay": _overlay,
    "remove": _remove,
    "dev": _dev,
}
