"""Addresses of sockets that a filtered thread names: copied out of its memory once, and judged as copies."""

from __future__ import annotations

import errno
import os
import sys
from _socket import AF_INET, AF_INET6, AF_UNIX

_LONGEST = 128  # struct sockaddr_storage


def read(thread: int, at: int, length: int) -> bytes:
    """An address of the caller's memory, copied once."""
    length &= 0xFFFFFFFF
    if not 2 <= length <= _LONGEST:
        raise OSError(errno.EINVAL, "")
    try:
        memory = os.open(f"/proc/{thread}/mem", os.O_RDONLY | os.O_CLOEXEC)
        try:
            address = os.pread(memory, length, at)
        finally:
            os.close(memory)
    except (OSError, OverflowError) as error:
        raise OSError(errno.EFAULT, "") from error
    if len(address) != length:
        raise OSError(errno.EFAULT, "")
    return address


def path(address: bytes) -> bytes:
    path = address[2:].partition(b"\0")[0]
    if int.from_bytes(address[:2], sys.byteorder) != AF_UNIX:
        raise OSError(errno.EINVAL, "")
    if not path:  # an abstract name, which has no place that could be judged
        raise OSError(errno.EPERM, "")
    return path


def port(address: bytes, elsewhere: int) -> int:
    """Of an address of loopback, or the one that stands for all addresses: with `lo`, for those of loopback.
    Raises OSError(`elsewhere`) for another."""
    family = int.from_bytes(address[:2], sys.byteorder)
    if family == AF_INET and len(address) >= 16:
        host = address[4:8]
    elif family == AF_INET6 and len(address) >= 24:
        host = address[8:24].removeprefix(bytes(10) + b"\xff\xff")
    else:
        raise OSError(errno.EAFNOSUPPORT, "")
    if any(host) and host != bytes(15) + b"\1" and not (len(host) == 4 and host[0] == 127):
        raise OSError(elsewhere, "")
    return int.from_bytes(address[2:4], "big")
