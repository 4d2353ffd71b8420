"""Landlock (Linux 5.13): what files a process and its children may write, and optionally read, whatever the mounts.

Source: Documentation/userspace-api/landlock.rst. TCP is left to the network namespace: Landlock's rule for it would
also close the sandbox's own loopback.
"""

import ctypes
import os
import stat
import struct

from coder.sandbox.inside import kernel

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same numbers on every architecture
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_REFER, _TRUNCATE = 1 << 13, 1 << 14
_CHANGE = sum(1 << bit for bit in range(4, 13))  # remove and make, of every kind of file
_ON_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE
_SCOPE_ABSTRACT_SOCKETS, _SCOPE_SIGNALS = 1, 2


def version() -> int:
    """The kernel's Landlock ABI; 0 where there is none."""
    try:
        return kernel.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint(1))
    except OSError:
        return 0


def restrict(writable: list[str], readable: list[str] | None, alone: bool) -> bool:
    """Allow writing below `writable` and, unless `readable` is None, reading below both lists; nothing else.

    False where the kernel has no Landlock, or, when it stands `alone` and not behind mounts, one that could not
    stop a file from being truncated. Must be called after the mounts are in place (a rule names an inode)
    and after no_new_privs. Paths that do not exist are passed over.
    """
    abi = version()
    if abi < (3 if alone else 1):
        return False
    write = _WRITE_FILE | _CHANGE | (_REFER if abi >= 2 else 0) | (_TRUNCATE if abi >= 3 else 0)
    read = _EXECUTE | _READ_FILE | _READ_DIR
    handled = write | (read if readable is not None else 0)
    scope = _SCOPE_ABSTRACT_SOCKETS | _SCOPE_SIGNALS if abi >= 6 else 0
    attributes = struct.pack("=QQQ", handled, 0, scope)[: 8 if abi < 4 else 16 if abi < 6 else 24]
    ruleset = kernel.syscall(_CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), ctypes.c_uint(0))
    try:
        for path in readable or ():
            _allow(ruleset, path, read)
        for path in writable:
            _allow(ruleset, path, handled)
        kernel.syscall(_RESTRICT_SELF, ctypes.c_int(ruleset), ctypes.c_uint(0))
    finally:
        os.close(ruleset)
    return True


def _allow(ruleset: int, path: str, access: int) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
            access &= _ON_FILES
        rule = struct.pack("=Qi", access, descriptor)
        kernel.syscall(_ADD_RULE, ctypes.c_int(ruleset), ctypes.c_int(1), rule, ctypes.c_uint(0))
    finally:
        os.close(descriptor)
