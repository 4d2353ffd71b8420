"""The self-test's command: tries to do what a sandbox must prevent, and prints one line for each attempt.

Argument 1 is a marshalled hex dict of what was planted. A line is the name of a check and what happened; "held" is
the only good word. Runs as the command itself, with every restriction in force.
"""

from __future__ import annotations

import marshal
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Planted = dict[str, Any]


def main() -> None:
    planted: Planted = marshal.loads(bytes.fromhex(sys.argv[1]))
    for check in CHECKS:
        try:
            outcome = check(planted)
        except Exception as error:
            outcome = f"{type(error).__name__}: {error}"
        print(check.__name__, outcome or "held", flush=True)


def files(planted: Planted) -> str:
    """Files of the machine cannot be written."""
    for position, path in enumerate(planted["outside"]):
        create = os.O_CREAT if position else 0  # where the first lies there may be a fresh directory to write to
        try:
            os.close(os.open(path, os.O_WRONLY | os.O_TRUNC | create, 0o600))
            return f"{path} could be written"
        except OSError:
            pass
    return ""


def secrets(planted: Planted) -> str:
    """What lies beside coder's own state cannot be read."""
    try:
        with open(planted["secret"], "rb"):
            return "a private file could be read"
    except OSError:
        return ""


def sockets(planted: Planted) -> str:
    """Sockets of the machine's services cannot be reached, by path or by abstract name."""
    from _socket import AF_UNIX, SOCK_STREAM, socket

    for address in (planted["socket"], "\0" + planted["abstract"]):
        try:
            client = socket(AF_UNIX, SOCK_STREAM, 0)
            client.connect(address)
            return f"{address!r} accepted a connection"
        except OSError:
            pass
    return ""


def network(planted: Planted) -> str:
    """The machine's ports and what lies beyond cannot be reached, and the sandbox's own loopback works."""
    from _socket import AF_INET, SOCK_DGRAM, SOCK_STREAM, socket

    places = [(SOCK_STREAM, ("127.0.0.1", planted["port"]))] if planted["port"] else []
    places += [(SOCK_STREAM, ("192.0.2.1", 9)), (SOCK_DGRAM, ("192.0.2.1", 53))]  # of nobody: RFC 5737
    for kind, address in () if planted["network"] else places:
        try:
            client = socket(AF_INET, kind, 0)
            client.settimeout(0.5)
            client.connect(address)
            return f"{address[0]} can be reached"
        except OSError as error:
            if str(error) == "timed out":
                return f"packets leave for {address[0]}"
    try:
        server = socket(AF_INET, SOCK_STREAM, 0)
        server.bind(("0.0.0.0" if sys.platform == "linux" else "127.0.0.1", 0))
        server.listen(1)
        client = socket(AF_INET, SOCK_STREAM, 0)
        client.settimeout(5)
        client.connect(("127.0.0.1", server.getsockname()[1]))
        client.send(b"x")
    except OSError as error:
        return f"no loopback: {error}" if planted["loopback"] else ""
    return "" if not planted["brokered"] or _stays_on_lo(server) else "a server could be reached from other machines"


def _stays_on_lo(server: Any) -> bool:
    """Whether the kernel keeps the socket to the device of loopback, and lets nobody change that."""
    try:
        server.setsockopt(1, 25, b"\0")  # SOL_SOCKET, SO_BINDTODEVICE
    except OSError:
        pass
    return bool(server.getsockopt(1, 25, 16).startswith(b"lo\0"))


def repository(planted: Planted) -> str:
    """A write to the repository and its git directory does not get through; whether it did is checked outside."""
    for path in planted["repository"]:
        try:
            with open(path, "a") as file:
                file.write("changed")
        except OSError:
            pass
    return ""


def environment(planted: Planted) -> str:
    """No variable holds a secret of coder's environment."""
    return "a secret was handed on" if any(planted["token"] in value for value in os.environ.values()) else ""


def processes(planted: Planted) -> str:
    """No other process's environment or memory holds it either, as far as /proc lets one look."""
    token = planted["token"].encode()
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) == os.getpid():
            continue
        try:
            with open(f"/proc/{name}/environ", "rb") as file:
                if token in file.read(1 << 20):
                    return f"the environment of process {name} could be read"
        except OSError:
            pass
    return ""


def namespaces(planted: Planted) -> str:
    """No new namespace can be made, in which the rest could be undone."""
    import ctypes

    if sys.platform != "linux":
        return ""
    libc = ctypes.CDLL(None, use_errno=True)
    for flags in (0x10000000, 0x00020000):
        if libc.unshare(flags) == 0:
            return f"unshare({flags:#x}) succeeded"
    with open("/proc/self/status") as file:
        for line in file:
            name, _, value = line.partition(":")
            if (name == "CapEff" and int(value, 16)) or (name == "NoNewPrivs" and int(value) != 1):
                return f"privileges were left: {line.strip()}"
    return ""


def mounts(planted: Planted) -> str:
    """No mount can be changed or taken away."""
    import ctypes

    if sys.platform != "linux":
        return ""
    libc = ctypes.CDLL(None, use_errno=True)
    remount, lazy = 32 | 4096, 2
    if libc.mount(b"none", b"/", None, ctypes.c_ulong(remount), None) == 0:
        return "/ could be remounted writable"
    if libc.umount2(b"/tmp", lazy) == 0:
        return "/tmp could be unmounted"
    return ""


CHECKS: tuple[Callable[[Planted], str], ...] = (
    files, secrets, sockets, network, repository, environment, processes, namespaces, mounts
)  # fmt: skip
