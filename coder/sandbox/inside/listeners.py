"""Which sockets of the machine listen on a port. Source: sock_diag(7), linux/inet_diag.h.

The kernel's other answer, /proc/net/tcp, takes it a walk over every connection there could be: milliseconds.
"""

from __future__ import annotations

import errno
import os
import struct
from _socket import AF_INET, AF_INET6, SOCK_CLOEXEC, SOCK_RAW, socket

_AF_NETLINK, _NETLINK_SOCK_DIAG = 16, 4
_BY_FAMILY, _ERROR, _DONE = 20, 2, 3  # kinds of messages
_REQUEST, _DUMP = 0x001, 0x300
_TCP, _LISTENS = 6, 1 << 10
_HEADER, _QUERY = struct.Struct("=IHHII"), struct.Struct("=BBBBI2s46x")
_INODE_AT = 16 + 68  # in a message: behind its header, the last field of struct inet_diag_msg


class Listeners:
    def __init__(self) -> None:
        self._kernel = socket(_AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, _NETLINK_SOCK_DIAG)

    def on(self, port: int) -> list[int]:
        """Inodes of the TCP sockets that listen on the port, whatever their address. Raises OSError."""
        return [inode for family in (AF_INET, AF_INET6) for inode in self._ask(family, port)]

    def _ask(self, family: int, port: int) -> list[int]:
        query = _QUERY.pack(family, _TCP, 0, 0, _LISTENS, port.to_bytes(2, "big"))
        self._kernel.send(_HEADER.pack(_HEADER.size + len(query), _BY_FAMILY, _REQUEST | _DUMP, 1, 0) + query)
        found: list[int] = []
        while True:
            answer, at = self._kernel.recv(1 << 16), 0
            while at < len(answer):
                length, kind, *_ = _HEADER.unpack_from(answer, at)
                if kind == _DONE:
                    return found
                if kind == _ERROR:
                    number = -struct.unpack_from("=i", answer, at + _HEADER.size)[0]
                    raise OSError(number or errno.EIO, os.strerror(number))
                found.append(struct.unpack_from("=I", answer, at + _INODE_AT)[0])
                at += (length + 3) & ~3
