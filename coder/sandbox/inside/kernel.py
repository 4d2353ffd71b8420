"""The Linux system calls that Python has no function for, by ctypes. Numbers are from the kernel's uapi headers."""

import ctypes
import os

_libc = ctypes.CDLL(None, use_errno=True)

CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC = 0x00020000, 0x04000000, 0x08000000
CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x10000000, 0x20000000, 0x40000000

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT = 1, 2, 4, 8, 32
MS_BIND, MS_REC, MS_PRIVATE = 4096, 16384, 1 << 18

MOUNT_ATTR_RDONLY, MOUNT_ATTR_NOSUID = 1, 2
_AT_FDCWD, _AT_RECURSIVE = -100, 0x8000
_SYS_MOUNT_SETATTR = 442  # the same number on every architecture since Linux 5.12

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_CAPBSET_DROP, _PR_SET_SECUREBITS = 1, 4, 24, 28
_PR_SET_CHILD_SUBREAPER, _PR_SET_NO_NEW_PRIVS, _PR_CAP_AMBIENT = 36, 38, 47
_PR_CAP_AMBIENT_CLEAR_ALL = 4
_SECURE_BITS = 0x01 | 0x02 | 0x04 | 0x08 | 0x20 | 0x40 | 0x80  # root is nobody special, for good
_CAPABILITY_VERSION_3 = 0x20080522
_SIGKILL = 9


def _check(outcome: int, what: str) -> int:
    if outcome == -1:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return outcome


def syscall(number: int, *arguments: object) -> int:
    """The raw call. Integers must be given as ctypes values where they may not fit an int."""
    return _check(_libc.syscall(ctypes.c_long(number), *arguments), f"syscall {number}")


def bind(descriptor: int, address: bytes) -> None:
    """As bind(2), with the bytes of a struct sockaddr; Python's own would read a meaning into them."""
    _check(_libc.bind(descriptor, address, len(address)), "bind")


def connect(descriptor: int, address: bytes) -> None:
    _check(_libc.connect(descriptor, address, len(address)), "connect")


def unshare(flags: int) -> None:
    _check(_libc.unshare(flags), "unshare")


def prctl(option: int, *arguments: int) -> int:
    padded = [ctypes.c_ulong(value) for value in (*arguments, 0, 0, 0, 0)[:4]]
    return _check(_libc.prctl(option, *padded), f"prctl {option}")


def mount(source: str, target: str, kind: str, flags: int, options: str = "") -> None:
    encoded = [os.fsencode(text) for text in (source, target, kind, options)]
    _check(
        _libc.mount(encoded[0], encoded[1], encoded[2], ctypes.c_ulong(flags), encoded[3]),
        f"mount {kind or 'bind'} on {target}",
    )


def set_mount_attributes(path: str, add: int, clear: int = 0, *, recursive: bool = False) -> None:
    """mount_setattr(2): change the flags of one mount, or of every mount below `path`."""
    attributes = (ctypes.c_uint64 * 4)(add, clear, 0, 0)
    syscall(
        _SYS_MOUNT_SETATTR,
        ctypes.c_int(_AT_FDCWD),
        ctypes.c_char_p(os.fsencode(path)),
        ctypes.c_uint(_AT_RECURSIVE if recursive else 0),
        ctypes.byref(attributes),
        ctypes.c_size_t(ctypes.sizeof(attributes)),
    )


def die_with_parent() -> None:
    prctl(_PR_SET_PDEATHSIG, _SIGKILL)


def become_subreaper() -> None:
    """Orphans of this process's descendants become its children, so that it can end them."""
    prctl(_PR_SET_CHILD_SUBREAPER, 1)


def hide_memory() -> None:
    """Nobody of the same user may read this process's memory, environment or descriptors."""
    prctl(_PR_SET_DUMPABLE, 0)


def forbid_new_privileges() -> None:
    prctl(_PR_SET_NO_NEW_PRIVS, 1)


def drop_capabilities() -> None:
    """Give up every capability, also for whatever is executed later, root or not."""
    prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL)
    try:
        prctl(_PR_SET_SECUREBITS, _SECURE_BITS)
        for capability in range(64):
            prctl(_PR_CAPBSET_DROP, capability)
    except OSError as error:
        if error.errno not in (1, 22):  # EPERM: had none to give up; EINVAL: past the last capability
            raise
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    nothing = (ctypes.c_uint32 * 6)()
    _check(_libc.capset(ctypes.byref(header), ctypes.byref(nothing)), "capset")


def raise_loopback() -> None:
    """Bring `lo` up in a new network namespace: a server and its client inside must find each other."""
    import fcntl
    import struct
    from _socket import AF_INET, SOCK_DGRAM, socket

    link = socket(AF_INET, SOCK_DGRAM, 0)
    try:
        # struct ifreq with IFF_UP; SIOCSIFFLAGS
        fcntl.ioctl(link.fileno(), 0x8914, struct.pack("16sh14x", b"lo", 1))
    finally:
        link.close()
