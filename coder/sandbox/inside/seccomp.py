"""The system calls a test has no business with, refused by a classic BPF program. Source: seccomp(2), uapi headers.

Namespaces and mounts could undo the sandbox; the rest is kernel surface that tests do not need. `ptrace` stays:
sanitizers use it, and inside an own PID namespace it reaches nothing else.
"""

import ctypes
import os
import struct

from coder.sandbox.inside import kernel

_EPERM, _ENOSYS, _ENOPROTOOPT, _EOPNOTSUPP, _EAFNOSUPPORT = 1, 38, 92, 95, 97
_NAMESPACE_FLAGS = 0x7E020000  # every CLONE_NEW* that clone(2) takes
_TERMINAL_INPUT = (0x5412, 0x541C)  # TIOCSTI, TIOCLINUX: typing into the user's terminal
_FAMILIES = (1, 2, 10, 16)  # AF_UNIX, AF_INET, AF_INET6, AF_NETLINK (interface lists)
_BROKERED = (1, 2, 10)

# name: (x86_64, aarch64)
_REFUSED = {
    "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "unshare": (272, 97), "setns": (308, 268),
    "swapon": (167, 224), "swapoff": (168, 225), "reboot": (169, 142), "acct": (163, 89), "syslog": (103, 116),
    "init_module": (175, 105), "delete_module": (176, 106), "finit_module": (313, 273), "kexec_load": (246, 104),
    "kexec_file_load": (320, 294), "add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219),
    "perf_event_open": (298, 241), "open_by_handle_at": (304, 265), "bpf": (321, 280), "userfaultfd": (323, 282),
    "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "fanotify_init": (300, 262),
    "quotactl": (179, 60), "sethostname": (170, 161), "setdomainname": (171, 162), "settimeofday": (164, 170),
    "open_tree": (428, 428), "move_mount": (429, 429), "fsopen": (430, 430), "fsconfig": (431, 431),
    "fsmount": (432, 432), "fspick": (433, 433), "pidfd_getfd": (438, 438), "mount_setattr": (442, 442),
    "quotactl_fd": (443, 443), "open_tree_attr": (467, 467),
}  # fmt: skip
_ABSENT = {"clone3": (435, 435), "io_uring_setup": (425, 425), "io_uring_enter": (426, 426),
           "io_uring_register": (427, 427)}  # fmt: skip  # libraries fall back when these do not exist
_CLONE, _IOCTL, _PTRACE, _SOCKETPAIR, _KILL = (56, 220), (16, 29), (101, 117), (53, 199), (62, 129)
SOCKET, BIND, LISTEN, CONNECT = (41, 198), (49, 200), (50, 201), (42, 203)
_SENDTO, _SENDMSG, _SENDMMSG, _SETSOCKOPT = (44, 206), (46, 211), (307, 269), (54, 208)
_SECCOMP = (317, 277)
_ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}

_LOAD, _AND, _JUMP_EQUAL, _JUMP_ABOVE, _JUMP_BITS, _RETURN = 0x20, 0x54, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, range(16, 64, 8)  # offsets in struct seccomp_data: of low halves
_ALLOW, _ERRNO, _ASK = 0x7FFF0000, 0x00050000, 0x7FC00000

# asm-generic/socket.h, linux/tcp.h, linux/in.h, linux/in6.h
_STREAM, _DATAGRAM, _MSG_FASTOPEN = 1, 2, 0x20000000
_SOL_SOCKET, _SO_REUSEPORT, _SO_DEVICES = 1, 15, (25, 62)  # SO_BINDTODEVICE, SO_BINDTOIFINDEX
_HARMLESS_OPTIONS = {
    0: (1, 2, 8, 10, 11, 24),  # IP: TOS, TTL, PKTINFO, MTU_DISCOVER, RECVERR, BIND_ADDRESS_NO_PORT
    6: (1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 18, 25),  # TCP: NODELAY to DEFER_ACCEPT, QUICKACK, USER_TIMEOUT, NOTSENT_LOWAT
    41: (16, 23, 25, 26, 49, 67),  # IPV6: UNICAST_HOPS, MTU_DISCOVER, RECVERR, V6ONLY, RECVPKTINFO, TCLASS
}

Instruction = tuple[int, int, int, int]


def column() -> int:
    """Which of a call's numbers is this machine's. Raises OSError(ENOSYS) on an architecture whose are not known."""
    machine = os.uname().machine
    if machine not in _ARCHITECTURES:
        raise OSError(_ENOSYS, f"no system call numbers for {machine}")
    return _ARCHITECTURES[machine][0]


def program(own_namespaces: bool, brokered: bool) -> bytes:
    """The filter for this machine. Without namespaces of its own a command's sockets would be the machine's: it may
    then have connected pairs of sockets and, when they are `brokered`, those that `broker` opens for it."""
    number, machine = column(), os.uname().machine
    code: list[Instruction] = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_JUMP_EQUAL, 1, 0, _ARCHITECTURES[machine][1]),
        (_RETURN, 0, 0, _ERRNO | _EPERM),
        (_LOAD, 0, 0, _NUMBER),
    ]
    if machine == "x86_64":  # the x32 twins of the same calls
        code += [(_JUMP_ABOVE, 0, 1, 0x40000000), (_RETURN, 0, 0, _ERRNO | _ENOSYS)]
    for numbers in [*_REFUSED.values(), *(() if own_namespaces else (_PTRACE,))]:
        code += [(_JUMP_EQUAL, 0, 1, numbers[number]), (_RETURN, 0, 0, _ERRNO | _EPERM)]
    for numbers in _ABSENT.values():
        code += [(_JUMP_EQUAL, 0, 1, numbers[number]), (_RETURN, 0, 0, _ERRNO | _ENOSYS)]
    bodies = [(_CLONE, _clone()), (_IOCTL, _ioctl()), (SOCKET, _socket(own_namespaces, brokered))]
    bodies += [] if own_namespaces else [(_SOCKETPAIR, _pair()), (_KILL, _kill())]
    bodies += _brokered() if brokered else []
    for numbers, body in bodies:
        code += [(_JUMP_EQUAL, 0, len(body), numbers[number]), *body]
    code.append((_RETURN, 0, 0, _ALLOW))
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in code)


def _clone() -> list[Instruction]:
    return [
        (_LOAD, 0, 0, _ARGUMENTS[0]),
        (_JUMP_BITS, 0, 1, _NAMESPACE_FLAGS),
        (_RETURN, 0, 0, _ERRNO | _EPERM),
        (_RETURN, 0, 0, _ALLOW),
    ]


def _ioctl() -> list[Instruction]:
    rules: list[Instruction] = [(_LOAD, 0, 0, _ARGUMENTS[1])]
    for request in _TERMINAL_INPUT:
        rules += [(_JUMP_EQUAL, 0, 1, request), (_RETURN, 0, 0, _ERRNO | _EPERM)]
    return [*rules, (_RETURN, 0, 0, _ALLOW)]


def _socket(own_namespaces: bool, brokered: bool) -> list[Instruction]:
    rules: list[Instruction] = [(_LOAD, 0, 0, _ARGUMENTS[0])]
    if own_namespaces:
        for family in _FAMILIES:
            rules += [(_JUMP_EQUAL, 0, 1, family), (_RETURN, 0, 0, _ALLOW)]
    elif brokered:
        rules += [
            *((_JUMP_EQUAL, len(_BROKERED) - position, 0, family) for position, family in enumerate(_BROKERED)),
            (_RETURN, 0, 0, _ERRNO | _EAFNOSUPPORT),
            (_LOAD, 0, 0, _ARGUMENTS[1]),
            (_AND, 0, 0, 0xF),
            (_JUMP_EQUAL, 1, 0, _STREAM),
            (_JUMP_EQUAL, 0, 1, _DATAGRAM),
            (_RETURN, 0, 0, _ASK),
        ]
    return [*rules, (_RETURN, 0, 0, _ERRNO | _EAFNOSUPPORT)]


def _pair() -> list[Instruction]:
    """A datagram socket of a pair could still send to any address."""
    return [
        (_LOAD, 0, 0, _ARGUMENTS[1]),
        (_AND, 0, 0, 0xF),
        (_JUMP_EQUAL, 0, 1, _STREAM),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _ERRNO | _EAFNOSUPPORT),
    ]


def _kill() -> list[Instruction]:
    """kill(-1): without a PID namespace that is every process of the user."""
    return [
        (_LOAD, 0, 0, _ARGUMENTS[0]),
        (_JUMP_EQUAL, 0, 1, 0xFFFFFFFF),
        (_RETURN, 0, 0, _ERRNO | _EPERM),
        (_RETURN, 0, 0, _ALLOW),
    ]


def _brokered() -> list[tuple[tuple[int, int], list[Instruction]]]:
    """What leads a stream somewhere: asked for, or, where only a fast open could carry an address, without that."""
    ask: list[Instruction] = [(_RETURN, 0, 0, _ASK)]
    bodies = [(numbers, ask) for numbers in (BIND, LISTEN, CONNECT)]
    for numbers, argument in ((_SENDTO, 3), (_SENDMSG, 2), (_SENDMMSG, 3)):
        refused: list[Instruction] = [
            (_LOAD, 0, 0, _ARGUMENTS[argument]),
            (_JUMP_BITS, 0, 1, _MSG_FASTOPEN),
            (_RETURN, 0, 0, _ERRNO | _EOPNOTSUPP),
            (_RETURN, 0, 0, _ALLOW),
        ]
        bodies.append((numbers, refused))
    return [*bodies, (_SETSOCKOPT, _options())]


def _options() -> list[Instruction]:
    """Of the options of a protocol only those known to do no harm: others route packets elsewhere, or turn a socket
    into one of another kind. SO_REUSEPORT, by which two programs share a port, seems to work and does nothing."""
    rules: list[Instruction] = [(_LOAD, 0, 0, _ARGUMENTS[1])]
    for level, options in _HARMLESS_OPTIONS.items():
        body: list[Instruction] = [(_LOAD, 0, 0, _ARGUMENTS[2])]
        for option in options:
            body += [(_JUMP_EQUAL, 0, 1, option), (_RETURN, 0, 0, _ALLOW)]
        body.append((_RETURN, 0, 0, _ERRNO | _ENOPROTOOPT))
        rules += [(_JUMP_EQUAL, 0, len(body), level), *body]
    return [
        *rules,
        (_JUMP_EQUAL, 1, 0, _SOL_SOCKET),
        (_RETURN, 0, 0, _ERRNO | _ENOPROTOOPT),
        (_LOAD, 0, 0, _ARGUMENTS[2]),
        (_JUMP_EQUAL, 0, 1, _SO_REUSEPORT),
        (_RETURN, 0, 0, _ERRNO),
        *(
            instruction
            for option in _SO_DEVICES
            for instruction in ((_JUMP_EQUAL, 0, 1, option), (_RETURN, 0, 0, _ERRNO | _EPERM))
        ),
        (_RETURN, 0, 0, _ALLOW),
    ]


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_char_p)]


def install(code: bytes) -> None:
    """Filter this process and whatever it starts, for good. Needs no_new_privs."""
    filters = _Program(len(code) // 8, code)
    kernel.prctl(22, 2, ctypes.addressof(filters))  # PR_SET_SECCOMP, SECCOMP_MODE_FILTER


def install_brokered(code: bytes) -> int:
    """As `install`; returns the descriptor on which the calls to be asked for arrive (Linux 5.19).

    A caller that is being answered can be killed and not interrupted: a call made for it is not made again.
    """
    filters = _Program(len(code) // 8, code)
    set_filter, flags = 1, 8 | 32  # SECCOMP_SET_MODE_FILTER; NEW_LISTENER | WAIT_KILLABLE_RECV
    return kernel.syscall(_SECCOMP[column()], ctypes.c_uint(set_filter), ctypes.c_uint(flags), ctypes.byref(filters))
