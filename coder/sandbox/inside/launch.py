"""Turns a fresh process into a sandbox and runs one command in it: what `python -I -S -c` calls, see `run.stub`.

The order of steps matters and is that of the bubblewrap and Landlock manuals: namespaces, mounts, then privileges
dropped, then Landlock (its rules name inodes that mounts would hide), then seccomp (it forbids all of the former).
"""

from __future__ import annotations

import errno
import os
import resource
import sys

from coder.sandbox.inside import kernel, landlock, mounts, seccomp, supervise, wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

    Order = dict[str, Any]


def main() -> NoReturn:
    """Reads its order from descriptor 0, which stays open as the lifeline to coder."""
    order = wire.read_order(0)
    status: int = order["status_fd"]
    try:
        _stage("process", _begin, order)
        if order["unshare"]:
            _stage("namespaces", _enter_namespaces, order)
            child = os.fork()
            if child:
                os.close(status)
                _wait_outside(child)
            _stage("process", kernel.die_with_parent)
        elif order["steps"]:
            _stage("mounts", kernel.unshare, kernel.CLONE_NEWNS)  # bubblewrap made the others; AppArmor may forbid it
            mounts.make_private()
        channel = _channel() if order["brokered"] else None
        _confine(order)
        order["before"] = supervise.stamps(order["want"])
        command = os.fork()
        if command == 0:
            _become_command(order, channel)
        if channel:
            _start_broker(order, channel)
        wire.send(status, wire.STARTED, b"")
        _supervise(order, command)
    except OSError as error:
        _give_up(status, getattr(error, "stage", "start"), str(error))
    os._exit(0)


def _stage(name: str, action: Any, *arguments: Any) -> Any:
    try:
        return action(*arguments)
    except OSError as error:
        error.stage = name  # type: ignore[attr-defined]
        raise


def _begin(order: Order) -> None:
    if os.getpid() != os.getsid(0):
        os.setsid()
    os.umask(0o022)
    os.chdir("/")
    if order["own_pids"] and not order["unshare"]:  # changing user namespaces would clear it
        kernel.die_with_parent()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        with open("/proc/self/oom_score_adj", "w") as file:
            file.write("500")  # where the machine runs out of memory, the command goes first and not coder
    except OSError:
        pass
    order["nice"] = os.getpriority(os.PRIO_PROCESS, 0)
    try:
        os.setpriority(os.PRIO_PROCESS, 0, -20)  # so that a fork bomb of root's, whom no rlimit binds, is noticed
    except OSError:
        pass


def _enter_namespaces(order: Order) -> None:
    user, group = os.geteuid(), os.getegid()
    flags = kernel.CLONE_NEWUSER | kernel.CLONE_NEWNS | kernel.CLONE_NEWPID | kernel.CLONE_NEWIPC | kernel.CLONE_NEWUTS
    kernel.unshare(flags | (0 if order["network"] else kernel.CLONE_NEWNET))
    kernel.die_with_parent()
    for path, text in (
        ("/proc/self/setgroups", "deny"),
        ("/proc/self/uid_map", f"{user} {user} 1"),
        ("/proc/self/gid_map", f"{group} {group} 1"),
    ):
        with open(path, "w") as file:
            file.write(text)
    if not order["network"]:
        kernel.raise_loopback()
    mounts.make_private()


def _wait_outside(child: int) -> NoReturn:
    """Stay as the handle by which coder kills the namespace: its first process dies with this one."""
    os.waitpid(child, 0)
    os._exit(0)


def _confine(order: Order) -> None:
    if order["steps"]:
        _stage("mounts", mounts.carry_out, order["steps"], order["unshare"])
        if order["unshare"]:
            _stage("proc", mounts.mount_proc)
    if order["own_pids"]:
        _stage("capabilities", kernel.drop_capabilities)
        _restrict(order)
        _filter(order)
        kernel.hide_memory()
    elif sys.platform == "linux":
        kernel.become_subreaper()
        if order["confine"]:  # a watcher that can do no more than the command can't be made to do more for it
            _stage("capabilities", kernel.drop_capabilities)
            _restrict(order)
            kernel.hide_memory()


def _restrict(order: Order) -> None:
    """Needs no privilege, and gives none back: what is executed later stays restricted."""
    kernel.forbid_new_privileges()
    held = _stage("landlock", landlock.restrict, order["writable"], order["readable"], order["need_landlock"])
    if not held and order["need_landlock"]:
        error = OSError(errno.ENOSYS, "the kernel has no Landlock of version 3 (Linux 6.2)")
        error.stage = "landlock"  # type: ignore[attr-defined]
        raise error


def _filter(order: Order, channel: Any = None) -> None:
    """With a `channel`, calls that the filter does not decide go to the broker at its other end."""
    code = _stage("seccomp", seccomp.program, order["own_pids"], channel is not None)
    if channel is None:
        _stage("seccomp", seccomp.install, code)
        return
    from coder.sandbox.inside import broker

    broker.give(channel[1], _stage("seccomp", seccomp.install_brokered, code))


def _channel() -> Any:
    from _socket import socketpair

    from coder.sandbox.inside import broker as broker  # while coder's own files can still be read

    return socketpair()


def _start_broker(order: Order, channel: Any) -> None:
    import _thread

    from coder.sandbox.inside import broker

    channel[1].close()
    listener = broker.take(channel[0])
    if listener is not None:
        roots = [os.path.realpath(path) for path in (order["cwd"], order["env"]["HOME"], order["env"]["TMPDIR"])]
        _thread.start_new_thread(broker.Broker(listener, roots).serve, (order["nice"],))


def _become_command(order: Order, channel: Any) -> NoReturn:
    """In the forked child: the last restrictions, then the command itself. 127 and 126 are the shell's own codes."""
    argv, environment = order["argv"], order["env"]
    try:
        os.setsid()
        os.setpriority(os.PRIO_PROCESS, 0, order["nice"])
        if order["confine"] and not order["own_pids"]:
            kernel.drop_capabilities()
            _restrict(order)  # once more: what is restricted alike, as the watcher is, could look into its memory
            _filter(order, channel)
        os.chdir(order["cwd"])
        empty = os.open("/dev/null", os.O_RDONLY)
        os.dup2(empty, 0)
        os.closerange(3, 65536)
        _lower(resource.RLIMIT_FSIZE, order["file_size"])
        if order["process_limit"]:
            _lower(resource.RLIMIT_NPROC, order["process_limit"])
        os.execvpe(argv[0], argv, environment)
    except (FileNotFoundError, NotADirectoryError):
        os.write(2, b"coder: command not found: " + os.fsencode(argv[0]) + b"\n")
        os._exit(127)
    except OSError as error:
        os.write(2, f"coder: cannot run {argv[0]!r}: {error}\n".encode(errors="backslashreplace"))
        os._exit(126)


def _lower(limit: int, most: int) -> None:
    hard = resource.getrlimit(limit)[1]
    bound = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(limit, (bound, bound))


def _supervise(order: Order, command: int) -> None:
    status: int = order["status_fd"]
    own_pids: bool = order["own_pids"]
    empty = os.open("/dev/null", os.O_WRONLY)
    for descriptor in (1, 2):  # the command's output ends when the command and its children do
        os.dup2(empty, descriptor)
    try:
        code, stopped = supervise.watch(command, order, 0, own_pids)
    finally:
        if own_pids:
            supervise.end_all(command, True)
        else:
            supervise.end_descendants(command, 5.0)
    places = [order["cwd"], order["env"]["TMPDIR"]]
    supervise.send_artifacts(status, order["want"], order["cwd"], places, order["before"])
    wire.send(status, wire.ENDED, f"{code} {stopped}".encode())


def _give_up(status: int, stage: str, message: str) -> NoReturn:
    try:
        wire.send(status, wire.FAILED, f"{stage}\n{message}".encode(errors="backslashreplace"))
    finally:
        os._exit(125)
