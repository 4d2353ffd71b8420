"""Watches the command: reaps orphans, enforces what no rlimit can, and ends everything when it or coder ends."""

import os
import select
import stat
import sys
import time

from coder.sandbox.inside import wire

_TICK_S = 0.05
_FULL_LOOK_EVERY = 5  # ticks
_INODE_RESERVE = 10_000
_PAGE = os.sysconf("SC_PAGE_SIZE")


def watch(command: int, order: dict[str, object], lifeline: int, own_pids: bool) -> tuple[int, str]:
    """Wait for `command`. Returns (exit code, why it was stopped or ""); a signal counts as 128 + number.

    `own_pids`: everything in /proc is ours (a PID namespace); otherwise only our descendants are. `lifeline` is a
    pipe whose other end only coder holds: when it closes, coder is gone. What still runs is the caller's to end.
    """
    poll = select.poll()
    poll.register(lifeline, select.POLLHUP | select.POLLERR)
    if sys.platform == "linux":
        poll.register(os.pidfd_open(command), select.POLLIN)
    at_start, tick, shared = _threads_of_machine(), 0, _shared_memory()
    while True:
        ready = {descriptor for descriptor, _ in poll.poll(_TICK_S * 1000)}
        if lifeline in ready:
            end_descendants(command, 5.0) if not own_pids else None
            os._exit(1)  # the kernel ends a PID namespace with its first process
        code = _reap(command)
        if code is not None:
            return code, ""
        tick += 1
        crowded = _threads_of_machine() - at_start > int(str(order["processes"]))
        if (crowded or tick % _FULL_LOOK_EVERY == 0) and (stopped := _excess(order, own_pids, shared)):
            return 128 + 9, stopped


def _threads_of_machine() -> int:
    """One cheap read that shows a fork bomb at once, whoever's it is; the full look then tells whether it is ours."""
    try:
        with open("/proc/loadavg", "rb") as file:
            return int(file.read().split()[3].split(b"/")[1])
    except (OSError, ValueError, IndexError):
        return 0


def _reap(command: int) -> int | None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return None
        if pid == 0:
            return None
        if pid == command:
            return os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)


def end_all(command: int, own_pids: bool) -> None:
    """Kill every process but this one. Elsewhere than in a PID namespace one call may miss some: repeat it."""
    if own_pids:
        try:
            os.kill(-1, 9)
        except ProcessLookupError:
            pass
        return
    for kill, pid in [(os.killpg, command), *((os.kill, pid) for pid in descendants())]:
        try:
            kill(pid, 9)
        except (ProcessLookupError, PermissionError):
            pass


def end_descendants(command: int, deadline_s: float) -> None:
    """Without a PID namespace: kill and reap until nothing is left. As a subreaper we inherit every orphan."""
    until = time.monotonic() + deadline_s
    while time.monotonic() < until:
        end_all(command, False)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        time.sleep(0.005)


def _excess(order: dict[str, object], own_pids: bool, shared: int) -> str:
    """`shared` is what `_shared_memory` said before the command started."""
    pids = _all_pids() if own_pids else descendants()
    if len(pids) > int(str(order["processes"])):
        return "processes"
    private = sum(_resident(pid) for pid in pids) * _PAGE
    if private + max(0, _shared_memory() - shared) > int(str(order["memory"])):
        return "memory"
    return "disk" if _disk_is_short(order) else ""


def _disk_is_short(order: dict[str, object]) -> bool:
    space = os.statvfs(str(order["cwd"]))  # an overlay answers for the disk its writes go to
    inodes_are_short = space.f_files > 0 and space.f_favail < min(_INODE_RESERVE, space.f_files // 100)
    return inodes_are_short or space.f_bavail * space.f_frsize < int(str(order["disk_reserve"]))


def _shared_memory() -> int:
    """Bytes of the machine's shared memory. What a command writes to /tmp and /dev/shm, to memory files and to shared
    mappings is nowhere else to be seen, so its growth counts as the command's."""
    try:
        with open("/proc/meminfo", "rb") as file:
            return next((int(line.split()[1]) << 10 for line in file if line.startswith(b"Shmem:")), 0)
    except (OSError, ValueError, IndexError):
        return 0


def _all_pids() -> list[int]:
    if sys.platform != "linux":
        return []
    return [int(name) for name in os.listdir("/proc") if name.isdigit() and name != "1"]


def descendants() -> list[int]:
    """Processes that this one started, and theirs."""
    children: dict[int, list[int]] = {}
    for pid in _all_pids():
        try:
            with open(f"/proc/{pid}/stat", "rb") as file:
                parent = int(file.read().rpartition(b")")[2].split()[1])
        except (OSError, ValueError, IndexError):
            continue
        children.setdefault(parent, []).append(pid)
    found: list[int] = []
    waiting = [os.getpid()]
    while waiting:
        below = children.get(waiting.pop(), [])
        found += below
        waiting += below
    return found


def _resident(pid: int) -> int:
    """Pages in memory that are the process's own: shared ones would be counted once for each process."""
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:
            _, resident, shared = file.read().split()[:3]
    except (OSError, ValueError):
        return 0
    return int(resident) - int(shared)


def stamps(wanted: list[tuple[str, str]]) -> dict[str, tuple[int, ...]]:
    """What the starred paths among `wanted` match before the command runs: reports that it did not write."""
    found = {path for _, pattern in wanted if "*" in pattern for path in _matches(pattern)}
    return {path: stamp for path in found if (stamp := _stamp(path))}


def send_artifacts(
    status: int, wanted: list[tuple[str, str]], cwd: str, places: list[str], before: dict[str, tuple[int, ...]]
) -> None:
    """Hand out the regular files among `wanted`, pairs of name and path; what else the command may have put there is
    not opened, nor what its links lead to outside of the directories `places`. A path with a star stands for all it
    matches that are not as they were `before`: the name is then the path below `cwd`."""
    room = wire.MAX_ARTIFACTS
    inside = tuple(f"{os.path.realpath(place)}/" for place in places)
    for name, path in wanted:
        for found in _matches(path) if "*" in path else [path]:
            if not os.path.realpath(found).startswith(inside) or ("*" in path and before.get(found) == _stamp(found)):
                continue
            content = _read_regular(found, room)
            if content is not None:
                room -= len(content)
                title = os.fsencode(os.path.relpath(found, cwd) if "*" in path else name)
                wire.send(status, wire.ARTIFACT, len(title).to_bytes(2, "big") + title + content)


def _matches(pattern: str) -> list[str]:
    import glob

    return sorted(glob.iglob(pattern))


def _stamp(path: str) -> tuple[int, ...]:
    try:
        status = os.lstat(path)
    except OSError:
        return ()
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _read_regular(path: str, room: int) -> bytes | None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    with open(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        content = file.read(room + 1)
    return content if len(content) <= room else None
