"""The system calls a test has no business with, refused by a classic BPF program. Source: seccomp(2), uapi headers.

Namespaces and mounts could undo the sandbox; the rest is kernel surface that tests do not need. `ptrace` stays:
sanitizers use it, and inside an own PID namespace it reaches nothing else.
"""

import ctypes
import os
import struct

from coder.sandbox.inside import kernel

_EPERM, _ENOSYS, _EAFNOSUPPORT = 1, 38, 97
_NAMESPACE_FLAGS = 0x7E020000  # every CLONE_NEW* that clone(2) takes
_TERMINAL_INPUT = (0x5412, 0x541C)  # TIOCSTI, TIOCLINUX: typing into the user's terminal
_FAMILIES = (1, 2, 10, 16)  # AF_UNIX, AF_INET, AF_INET6, AF_NETLINK (interface lists)

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
_CLONE, _IOCTL, _PTRACE, _SOCKET, _SOCKETPAIR = (56, 220), (16, 29), (101, 117), (41, 198), (53, 199)
_KILL = (62, 129)
_ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}

_LOAD, _AND, _JUMP_EQUAL, _JUMP_ABOVE, _JUMP_BITS, _RETURN = 0x20, 0x54, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT, _SECOND_ARGUMENT = 0, 4, 16, 24  # offsets in struct seccomp_data
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000

Instruction = tuple[int, int, int, int]


def program(own_namespaces: bool) -> bytes:
    """The filter for this machine. Without namespaces of its own a command may have connected pairs of sockets and
    no others: they would be the machine's. Raises OSError(ENOSYS) on an architecture whose numbers are not known."""
    machine = os.uname().machine
    if machine not in _ARCHITECTURES:
        raise OSError(_ENOSYS, f"no system call numbers for {machine}")
    column, architecture = _ARCHITECTURES[machine]
    code: list[Instruction] = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_JUMP_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, _ERRNO | _EPERM),
        (_LOAD, 0, 0, _NUMBER),
    ]
    if machine == "x86_64":  # the x32 twins of the same calls
        code += [(_JUMP_ABOVE, 0, 1, 0x40000000), (_RETURN, 0, 0, _ERRNO | _ENOSYS)]
    for numbers in [*_REFUSED.values(), *(() if own_namespaces else (_PTRACE,))]:
        code += [(_JUMP_EQUAL, 0, 1, numbers[column]), (_RETURN, 0, 0, _ERRNO | _EPERM)]
    for numbers in _ABSENT.values():
        code += [(_JUMP_EQUAL, 0, 1, numbers[column]), (_RETURN, 0, 0, _ERRNO | _ENOSYS)]
    code += _argument_rules(column, own_namespaces)
    code.append((_RETURN, 0, 0, _ALLOW))
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in code)


def _argument_rules(column: int, own_namespaces: bool) -> list[Instruction]:
    clone: list[Instruction] = [
        (_LOAD, 0, 0, _FIRST_ARGUMENT),
        (_JUMP_BITS, 0, 1, _NAMESPACE_FLAGS),
        (_RETURN, 0, 0, _ERRNO | _EPERM),
        (_RETURN, 0, 0, _ALLOW),
    ]
    socket: list[Instruction] = [(_LOAD, 0, 0, _FIRST_ARGUMENT)]
    for family in _FAMILIES if own_namespaces else ():
        socket += [(_JUMP_EQUAL, 0, 1, family), (_RETURN, 0, 0, _ALLOW)]
    socket.append((_RETURN, 0, 0, _ERRNO | _EAFNOSUPPORT))
    ioctl: list[Instruction] = [(_LOAD, 0, 0, _SECOND_ARGUMENT)]
    for request in _TERMINAL_INPUT:
        ioctl += [(_JUMP_EQUAL, 0, 1, request), (_RETURN, 0, 0, _ERRNO | _EPERM)]
    ioctl.append((_RETURN, 0, 0, _ALLOW))
    rules: list[Instruction] = []
    pair: list[Instruction] = [  # a datagram socket of a pair could still send to any address
        (_LOAD, 0, 0, _SECOND_ARGUMENT),
        (_AND, 0, 0, 0xF),
        (_JUMP_EQUAL, 0, 1, 1),  # SOCK_STREAM
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _ERRNO | _EAFNOSUPPORT),
    ]
    everyone: list[Instruction] = [  # kill(-1): without a PID namespace that is every process of the user
        (_LOAD, 0, 0, _FIRST_ARGUMENT),
        (_JUMP_EQUAL, 0, 1, 0xFFFFFFFF),
        (_RETURN, 0, 0, _ERRNO | _EPERM),
        (_RETURN, 0, 0, _ALLOW),
    ]
    without = () if own_namespaces else ((_SOCKETPAIR, pair), (_KILL, everyone))
    bodies = [(_CLONE, clone), (_IOCTL, ioctl), (_SOCKET, socket), *without]
    for numbers, body in bodies:
        rules += [(_JUMP_EQUAL, 0, len(body), numbers[column]), *body]
    return rules


def install(code: bytes) -> None:
    """Filter this process and whatever it starts, for good. Needs no_new_privs."""

    class Program(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_char_p)]

    filter_program = Program(len(code) // 8, code)
    kernel.prctl(22, 2, ctypes.addressof(filter_program))  # PR_SET_SECCOMP, SECCOMP_MODE_FILTER
