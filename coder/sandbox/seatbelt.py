"""macOS: a profile for sandbox-exec(1). The command runs in a copy, since nothing can be mounted there.

Everything is denied that is not named; later rules win. Reading is open but for the places of secrets: macOS
toolchains read from all over the system.
"""

from coder.sandbox.scene import Scene

_PROGRAM = "/usr/bin/sandbox-exec"
_PROFILE = """(version 1)
(deny default)
(import "system.sb")
(allow process-exec process-fork)
(allow signal (target same-sandbox))
(allow process-info* (target same-sandbox))
(allow sysctl-read)
(allow ipc-posix-sem ipc-posix-shm)
(allow mach-lookup (global-name "com.apple.system.opendirectoryd.libinfo"))
(allow file-read*)
"""


def arguments(laid: Scene, network: bool) -> list[str]:
    """The command line up to what it is to run."""
    seen = laid.layout
    parameters: dict[str, str] = {}

    def place(path: str) -> str:
        name = f"P{len(parameters)}"
        parameters[name] = path
        return f'(subpath (param "{name}"))'

    rules = [f"(deny file-read* file-write* {place(path)})" for path in (*seen.hidden, *seen.inner, *seen.masked)]
    rules += [f"(allow file-read* {place(path)})" for path in (*seen.shown, laid.root)]
    rules += [f"(deny file-read* {place(path)})" for path in seen.masked]
    rules += [f"(allow file-read* file-write* {place(path)})" for path in (laid.cwd, laid.home, laid.temporary)]
    rules.append('(allow file-write* (literal "/dev/null") (literal "/dev/zero") (literal "/dev/tty"))')
    if network:
        rules.append("(allow network*)")
    else:
        rules.append('(allow network* (local ip "localhost:*"))')
        rules.append('(allow network-outbound (remote ip "localhost:*"))')
        rules.append(f"(allow network* {place(laid.temporary)})")  # sockets with a path, of the command's own
    words = [word for name, path in parameters.items() for word in ("-D", f"{name}={path}")]
    return [_PROGRAM, "-p", _PROFILE + "\n".join(rules), *words]
