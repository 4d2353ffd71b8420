"""Opens, binds and connects sockets for a command that may not, where no network namespace keeps it to itself.

The filter in `seccomp` hands these calls to a thread of the supervisor (seccomp_unotify(2)), which reads an address
once, judges its copy, and makes the call itself, with that copy and on its own descriptor of the socket: nothing
that the command changes meanwhile can matter, and no call is ever let through after a look. The supervisor has no
privileges and the command's own Landlock rules, so even a broker that was fooled could do no more than the command.

Every internet socket is bound to the device `lo` at birth, which cannot be undone: whatever else happens, nothing it
sends leaves the machine, and nothing from another interface reaches it.
"""

from __future__ import annotations

import errno
import fcntl
import os
import resource
import select
import stat
import struct
from _socket import AF_UNIX, SOCK_CLOEXEC, SOCK_DGRAM, SOCK_NONBLOCK, SOCK_STREAM, SOL_SOCKET, socket

from coder.sandbox.inside import addresses, kernel, listeners, seccomp, supervise

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Attempt = Callable[[], int]  # an errno, 0 when it succeeded, EAGAIN when it must be tried again

# linux/seccomp.h: struct seccomp_notif, seccomp_notif_resp, seccomp_notif_addfd, and the calls that take them
_NOTICE, _ANSWER, _DESCRIPTOR = struct.Struct("=QIIiIQ6Q"), struct.Struct("=QqiI"), struct.Struct("=QIIII")
_RECEIVE, _SEND, _IS_VALID, _ADD_DESCRIPTOR = 0xC0502100, 0xC0182101, 0x40082102, 0x40182103
_ANSWERS_TOO = 2  # SECCOMP_ADDFD_FLAG_SEND

_SO_BINDTODEVICE, _SO_ERROR, _IPPROTO_TCP, _TCP_INFO, _IPPROTO_UDP, _UDP_CORK = 25, 4, 6, 11, 17, 1
_CONNECTING = (2, 3)  # TCP_SYN_SENT, TCP_SYN_RECV
_CLOSED = 7
_MOST_SOCKETS = 4_096
_AGAIN_MS = 10


def give(channel: socket, listener: int) -> None:
    """In the command's process, once it is filtered: hand the supervisor what it answers calls by."""
    channel.sendmsg([b"L"], [(SOL_SOCKET, 1, struct.pack("i", listener))])  # SCM_RIGHTS


def take(channel: socket) -> int | None:
    """In the supervisor; None when the command's process died before it got so far."""
    _, ancillary, _, _ = channel.recvmsg(1, 64, 0x40000000)  # MSG_CMSG_CLOEXEC
    return int(struct.unpack("i", ancillary[0][2][:4])[0]) if ancillary else None


class Broker:
    """Serves the calls that come from `listener`. `roots` are the directories, absolute and resolved, in which the
    command's own sockets with a path lie.

    A socket is known from its birth until it is connected or listens, or until nobody inside has it any more; what
    the supervisor kept open longer would not close when the command closes it.
    """

    def __init__(self, listener: int, roots: list[str]) -> None:
        self._listener = listener
        self._listeners = listeners.Listeners()
        self._roots = tuple(f"{root}/" for root in roots)
        self._sockets: dict[int, socket] = {}  # by inode
        self._listening: set[int] = set()  # inodes of sockets that were born here
        self._waiting: list[tuple[int, int, Attempt]] = []  # (call to answer or 0, inode, attempt)
        self._calls = {
            number[seccomp.column()]: action
            for number, action in (
                (seccomp.SOCKET, self._open),
                (seccomp.BIND, self._bind),
                (seccomp.LISTEN, self._listen),
                (seccomp.CONNECT, self._connect),
            )
        }

    def serve(self, niceness: int) -> None:
        """Until no process is filtered any more. Should this end early, the kernel fails every further call."""
        os.setpriority(os.PRIO_PROCESS, 0, niceness)  # of this thread: the supervisor itself is in more of a hurry
        poll = select.poll()
        poll.register(self._listener, select.POLLIN)
        try:
            while True:
                ready = poll.poll(_AGAIN_MS if self._waiting else None)
                if ready and not ready[0][1] & select.POLLIN:
                    return
                if ready:
                    self._serve_one()
                self._try_again()
        finally:
            os.close(self._listener)

    def _serve_one(self) -> None:
        notice = bytearray(_NOTICE.size)
        try:
            fcntl.ioctl(self._listener, _RECEIVE, notice)
        except OSError:  # who called is dead by now
            return
        call, thread, _, number, _, _, *arguments = _NOTICE.unpack(notice)
        try:
            self._calls[number](call, thread, arguments)
        except OSError as error:
            self._answer(call, error.errno or errno.EPERM)

    def _answer(self, call: int, number: int) -> None:
        try:
            fcntl.ioctl(self._listener, _SEND, bytearray(_ANSWER.pack(call, 0, -number, 0)))
        except OSError:  # dead
            pass

    def _is_alive(self, call: int) -> bool:
        """Whether who made the call still waits in it: only then was what was read under its number its own."""
        try:
            fcntl.ioctl(self._listener, _IS_VALID, struct.pack("=Q", call))
        except OSError:
            return False
        return True

    def _open(self, call: int, thread: int, arguments: list[int]) -> None:
        family, kind, protocol = (value & 0xFFFFFFFF for value in arguments[:3])
        if kind & 0xF == SOCK_DGRAM:
            self._give_mute(call, family, kind, protocol)
            return
        if protocol not in (0, 1 if family == AF_UNIX else _IPPROTO_TCP):
            raise OSError(errno.EPROTONOSUPPORT, "")
        if len(self._sockets) >= _most_sockets():
            self._forget_closed()
        if len(self._sockets) >= _most_sockets():
            raise OSError(errno.EMFILE, "")
        born = socket(family, SOCK_STREAM | kind & SOCK_NONBLOCK, protocol)
        if family != AF_UNIX:
            born.setsockopt(SOL_SOCKET, _SO_BINDTODEVICE, b"lo\0")
        self._hand_over(call, born, kind)
        self._sockets[os.fstat(born.fileno()).st_ino] = born

    def _give_mute(self, call: int, family: int, kind: int, protocol: int) -> None:
        """A datagram socket for those who ask one for the machine's interfaces, as Java does. It cannot say anything:
        it is corked, so that whatever is written to it waits, and the filter lets nobody pull the cork. Without a
        name or a peer it hears nothing either."""
        if family == AF_UNIX:
            raise OSError(errno.EAFNOSUPPORT, "")
        if protocol not in (0, _IPPROTO_UDP):
            raise OSError(errno.EPROTONOSUPPORT, "")
        born = socket(family, SOCK_DGRAM | kind & SOCK_NONBLOCK, _IPPROTO_UDP)
        born.setsockopt(SOL_SOCKET, _SO_BINDTODEVICE, b"lo\0")
        born.setsockopt(_IPPROTO_UDP, _UDP_CORK, 1)
        self._hand_over(call, born, kind)
        born.close()

    def _hand_over(self, call: int, born: socket, kind: int) -> None:
        flags = os.O_CLOEXEC if kind & SOCK_CLOEXEC else 0
        given = bytearray(_DESCRIPTOR.pack(call, _ANSWERS_TOO, born.fileno(), 0, flags))
        fcntl.ioctl(self._listener, _ADD_DESCRIPTOR, given)

    def _bind(self, call: int, thread: int, arguments: list[int]) -> None:
        known = self._sockets.get(_inode(thread, arguments[0]))
        address = addresses.read(thread, arguments[1], arguments[2])
        if not self._is_alive(call):
            return
        if known is None:
            raise OSError(errno.EINVAL, "")
        if known.family == AF_UNIX:
            addresses.path(address)
            with _Directory(thread):
                kernel.bind(known.fileno(), address)
        else:
            addresses.port(address, errno.EADDRNOTAVAIL)
            try:
                kernel.bind(known.fileno(), address)
            except OSError as error:
                if error.errno != errno.EADDRINUSE or not self._forget_closed():
                    raise
                kernel.bind(known.fileno(), address)
        self._answer(call, 0)

    def _listen(self, call: int, thread: int, arguments: list[int]) -> None:
        inode = _inode(thread, arguments[0])
        if not self._is_alive(call):
            return
        if len(self._listening) >= _MOST_SOCKETS:
            self._forget_closed()
        if known := self._sockets.get(inode):
            if len(self._listening) >= _MOST_SOCKETS:
                raise OSError(errno.EMFILE, "")
            known.listen(min(arguments[1] & 0xFFFFFFFF, 0x7FFFFFFF))
            self._listening.add(inode)
            self._forget(inode)
        elif inode not in self._listening:
            raise OSError(errno.EINVAL, "")
        self._answer(call, 0)

    def _connect(self, call: int, thread: int, arguments: list[int]) -> None:
        inode = _inode(thread, arguments[0])
        address = addresses.read(thread, arguments[1], arguments[2])
        known = self._sockets.get(inode)
        if not self._is_alive(call):
            return
        if known is None:
            raise OSError(errno.EISCONN, "")  # or an end of a pair, or it listens: the kernel says the same
        attempt: Attempt
        waits = not fcntl.fcntl(known, fcntl.F_GETFL) & os.O_NONBLOCK
        if known.family == AF_UNIX:
            path = addresses.path(address)
            attempt = lambda: self._to_path(known, thread, path)  # noqa: E731
            number = attempt()
        else:
            attempt = lambda: _outcome(known, waits)  # noqa: E731
            number = self._to_port(known, address, waits)
        if number == errno.EAGAIN and waits:
            self._waiting.append((call, inode, attempt))
            return
        if number == errno.EINPROGRESS and _outcome(known, waits) == errno.EAGAIN:
            self._waiting.append((0, inode, attempt))
        elif _outcome(known, waits) == 0 if number == errno.EINPROGRESS else number == 0:
            self._forget(inode)
        self._answer(call, number)

    def _to_path(self, known: socket, thread: int, path: bytes) -> int:
        """The socket is named by a descriptor of what was judged: its path could lead elsewhere by now."""
        with _Directory(thread):
            found = os.open(path, os.O_PATH | os.O_CLOEXEC)
        try:
            if not stat.S_ISSOCK(os.fstat(found).st_mode):
                return errno.ECONNREFUSED
            name = f"/proc/self/fd/{found}"
            if not os.readlink(name).startswith(self._roots):
                return errno.EACCES
            return _attempt_without_waiting(known, struct.pack("=H", AF_UNIX) + os.fsencode(name) + b"\0")
        finally:
            os.close(found)

    def _to_port(self, known: socket, address: bytes, waits: bool) -> int:
        """Looks before and after: a socket of the command that listened at both times listened in between, for once
        closed it cannot come back, and a port it holds is nobody else's."""
        port = addresses.port(address, errno.ENETUNREACH)
        if not self._is_own(port):
            return errno.ECONNREFUSED
        number = _attempt_without_waiting(known, address)
        if number in (0, errno.EINPROGRESS) and not self._is_own(port):
            known.shutdown(2)
            return errno.ECONNREFUSED
        return _outcome(known, waits) if number == errno.EINPROGRESS and waits else number

    def _is_own(self, port: int) -> bool:
        """Whether somebody listens on the port, and nobody but the command."""
        found = self._listeners.on(port)
        return bool(found) and self._listening.issuperset(found)

    def _try_again(self) -> None:
        waiting, self._waiting = self._waiting, []
        for call, inode, attempt in waiting:
            if inode not in self._sockets or (call and not self._is_alive(call)):
                continue
            try:
                number = attempt()
            except OSError as error:
                number = error.errno or errno.EPERM
            if number == errno.EAGAIN:
                self._waiting.append((call, inode, attempt))
                continue
            if number == 0:
                self._forget(inode)
            if call:
                self._answer(call, number)

    def _forget(self, inode: int) -> None:
        self._sockets.pop(inode).close()

    def _forget_closed(self) -> bool:
        """Close what nobody inside has any more; whether there was any."""
        held = {inode for pid in supervise.descendants() for inode in _inodes(pid)}
        self._listening &= held
        closed = self._sockets.keys() - held
        for inode in closed:
            self._forget(inode)
        return bool(closed)


class _Directory:
    """Where a thread's relative paths begin. The supervisor itself uses none."""

    def __init__(self, thread: int) -> None:
        self._path = f"/proc/{thread}/cwd"

    def __enter__(self) -> None:
        os.chdir(self._path)

    def __exit__(self, *_: object) -> None:
        os.chdir("/")


def _most_sockets() -> int:
    return max(16, min(_MOST_SOCKETS, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 128))


def _inode(thread: int, descriptor: int) -> int:
    """Of a socket that a thread has under a number."""
    try:
        link = os.readlink(f"/proc/{thread}/fd/{descriptor & 0xFFFFFFFF}")
    except OSError as error:
        raise OSError(errno.EBADF, "") from error
    if not link.startswith("socket:["):
        raise OSError(errno.ENOTSOCK, "")
    return int(link[8:-1])


def _inodes(pid: int) -> list[int]:
    found = []
    try:
        for descriptor in os.listdir(f"/proc/{pid}/fd"):
            link = os.readlink(f"/proc/{pid}/fd/{descriptor}")
            found += [int(link[8:-1])] if link.startswith("socket:[") else []
    except OSError:  # it ended, or closed one meanwhile: what it had counts for now
        pass
    return found


def _attempt_without_waiting(known: socket, address: bytes) -> int:
    """The errno of connect(2), or 0. The descriptor's own mode, which the command shares, comes back after it."""
    flags = fcntl.fcntl(known, fcntl.F_GETFL)
    fcntl.fcntl(known, fcntl.F_SETFL, flags | os.O_NONBLOCK)
    try:
        kernel.connect(known.fileno(), address)
    except OSError as error:
        return error.errno or errno.EPERM
    finally:
        fcntl.fcntl(known, fcntl.F_SETFL, flags)
    return 0


def _outcome(known: socket, take_error: bool) -> int:
    """Of an attempt that had not ended: 0, an errno, or EAGAIN while it goes on."""
    state = known.getsockopt(_IPPROTO_TCP, _TCP_INFO, 1)[0]
    if state in _CONNECTING:
        return errno.EAGAIN
    if state != _CLOSED:
        return 0
    return (known.getsockopt(SOL_SOCKET, _SO_ERROR) if take_error else 0) or errno.ECONNREFUSED
