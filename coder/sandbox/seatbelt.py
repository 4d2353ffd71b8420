"""macOS: a profile for sandbox-exec(1). The command runs in a copy, since nothing can be mounted there.

Everything is denied that is not named; of the rules that fit, the last one counts. Reading is open but for the places
of secrets: macOS toolchains read from all over the system. Apple documents no more of the language than sandbox(7);
the rules are those that the profiles of macOS itself and of browsers use. Paths are compared as the kernel resolves
them, so /tmp is /private/tmp here, and go in as parameters, which need no quoting.
"""

import os
from collections.abc import Iterable
from pathlib import PurePosixPath

from coder.sandbox.scene import Scene

_PROGRAM = "/usr/bin/sandbox-exec"
# Terminals: of /dev/ttys* only those that were made inside, for the others are the user's.
_PROFILE = """(version 1)
(deny default)
(import "system.sb")
(allow process-exec* process-fork)
(allow signal (target same-sandbox))
(allow process-info* (target same-sandbox))
(allow sysctl-read)
(allow ipc-posix-sem ipc-posix-shm)
(allow mach-lookup
  (global-name "com.apple.system.opendirectoryd.libinfo")
  (global-name "com.apple.system.opendirectoryd.membership"))
(allow system-socket (socket-domain AF_UNIX))
(allow file-read* file-map-executable)
(deny file-read-data file-write* (regex #"^/dev/(ttys|cu\\.|r?disk)"))
(allow pseudo-tty)
(allow file-read* file-write* file-ioctl (literal "/dev/ptmx"))
(allow file-read* file-write* file-ioctl
  (require-all (regex #"^/dev/ttys[0-9]+") (extension "com.apple.sandbox.pty")))
(allow file-write* (literal "/dev/null") (literal "/dev/zero") (literal "/dev/tty") (regex #"^/dev/fd/"))
"""


def arguments(laid: Scene, network: bool, readable: Iterable[str]) -> list[str]:
    """The command line up to what it is to run. `readable`: what is shown although it may lie in a hidden place."""
    seen = laid.layout
    parameters: dict[str, str] = {}

    def place(path: str, kind: str = "subpath") -> str:
        name = parameters.setdefault(os.path.realpath(path), f"P{len(parameters)}")
        return f'({kind} (param "{name}"))'

    own = (laid.cwd, laid.home, laid.temporary)
    shown = (*seen.shown, *readable)
    rules = [f"(deny file-read* file-write* {place(path)})" for path in (*seen.hidden, laid.root)]
    rules += [f"(allow file-read* {place(path)})" for path in shown]
    rules += [f"(deny file-read* file-write* {place(path)})" for path in (*seen.inner, *seen.masked)]
    rules += [f"(allow file-read* file-write* {place(path)})" for path in own]
    # whoever resolves a path, as node does with each module's, asks what every directory on the way to it is
    rules += [f"(allow file-read-metadata {place(path, 'literal')})" for path in _ancestors((*own, *shown))]
    if network:
        rules.append("(allow network* system-socket)")
    else:  # outbound by where to, never by where from: a socket that was not bound comes from everywhere
        rules.append('(allow network-bind network-inbound (local ip "localhost:*"))')
        rules.append('(allow network-outbound (remote ip "localhost:*"))')
        for path in own:
            rules.append(f"(allow network-bind network-inbound (local unix-socket {place(path)}))")
            rules.append(f"(allow network-outbound (remote unix-socket {place(path)}))")
    words = [word for path, name in parameters.items() for word in ("-D", f"{name}={path}")]
    return [_PROGRAM, "-p", _PROFILE + "\n".join(rules), *words]


def _ancestors(paths: Iterable[str]) -> list[str]:
    found = (parent for path in paths for parent in PurePosixPath(os.path.realpath(path)).parents)
    return sorted({str(parent) for parent in found})
