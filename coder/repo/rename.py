"""Renames that cannot destroy what they meet: exchange two names, or take a name only if it is free.

Python offers neither. Sources: renameat2(2) of Linux, renameatx_np(2) of macOS. Where the file system or the C
library has neither, the closest safe call is used and the caller is told.
"""

import errno
import os
import sys
from collections.abc import Callable
from functools import cache

NEVER_REPLACE = 1
SWAP = 2

_LINUX_FLAGS = {NEVER_REPLACE: 1, SWAP: 2}  # RENAME_NOREPLACE, RENAME_EXCHANGE
_MACOS_FLAGS = {NEVER_REPLACE: 4, SWAP: 2}  # RENAME_EXCL, RENAME_SWAP
_NOT_AVAILABLE = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP)

SystemCall = Callable[[int, bytes, int, bytes, int], int]


@cache
def _system_call() -> SystemCall | None:
    """The C library's function, returning 0 or the error number."""
    import ctypes

    library = ctypes.CDLL(None, use_errno=True)
    function = getattr(library, "renameatx_np" if sys.platform == "darwin" else "renameat2", None)
    if function is None:
        return None
    function.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint)
    function.restype = ctypes.c_int

    def call(from_directory: int, source: bytes, to_directory: int, target: bytes, flags: int) -> int:
        done: int = function(from_directory, source, to_directory, target, flags)
        return 0 if done == 0 else ctypes.get_errno()

    return call


def rename(from_directory: int, source: str, to_directory: int, target: str, flag: int) -> bool:
    """Rename between two open directories. True if `flag` was kept to.

    False for SWAP where exchange is not available: `source` then replaced `target`. NEVER_REPLACE is always kept to,
    but for file systems that have neither this call nor hard links, where a look goes before the rename.
    """
    call = _system_call()
    flags = (_MACOS_FLAGS if sys.platform == "darwin" else _LINUX_FLAGS)[flag]
    failure = errno.ENOSYS
    if call is not None:
        failure = call(from_directory, os.fsencode(source), to_directory, os.fsencode(target), flags)
        if failure == 0:
            return True
    if failure not in _NOT_AVAILABLE:
        raise OSError(failure, os.strerror(failure), source, None, target)
    if flag == NEVER_REPLACE:
        _move_by_link(from_directory, source, to_directory, target)
        return True
    os.rename(source, target, src_dir_fd=from_directory, dst_dir_fd=to_directory)
    return False


def _move_by_link(from_directory: int, source: str, to_directory: int, target: str) -> None:
    try:
        os.link(source, target, src_dir_fd=from_directory, dst_dir_fd=to_directory, follow_symlinks=False)
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK):
            raise
        try:
            os.stat(target, dir_fd=to_directory, follow_symlinks=False)
        except FileNotFoundError:
            os.rename(source, target, src_dir_fd=from_directory, dst_dir_fd=to_directory)
            return
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), target) from None
    os.unlink(source, dir_fd=from_directory)
