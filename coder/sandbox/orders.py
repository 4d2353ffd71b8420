"""What the process inside is told, and the command line that starts it, for each tier."""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from coder.sandbox import bubblewrap, gitdir, layout, seatbelt
from coder.sandbox.scene import Scene

if TYPE_CHECKING:
    from coder.config import SandboxSettings

Tier = Literal["bubblewrap", "namespaces", "landlock", "seatbelt", "none"]

MAX_PROCESSES, MAX_THREADS = 1_024, 8_192
_FILE_SIZE = 4 << 30
_DISK_RESERVE = 512 << 20
_PACKAGE = Path(__file__).parent.parent
_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/tty")


def give(
    tier: Tier,
    laid: Scene,
    argv: Sequence[str],
    want: Sequence[str],
    environ: Mapping[str, str],
    settings: "SandboxSettings",
    loopback: bool,
) -> tuple[list[str], dict[str, Any]]:
    """(command line, order) for `inside.launch`, which documents itself by its use of the order's keys."""
    mounts = tier in ("bubblewrap", "namespaces")
    order: dict[str, Any] = {
        "unshare": tier == "namespaces",
        "own_pids": mounts,
        "confine": tier not in ("none", "seatbelt"),
        "network": settings.network,
        "brokered": tier == "landlock" and loopback,
        "steps": list(laid.steps),
        "argv": [inside(word, laid) for word in argv],
        "cwd": laid.cwd,
        "env": dict(environ),
        "writable": [laid.cwd, *laid.layout.writable, "/dev"] if mounts else _own(laid),
        "readable": None if mounts else [*_own(laid), *_readable(laid)],
        "need_landlock": not mounts,
        "want": [(path, os.path.join(laid.cwd, inside(path, laid))) for path in want],
        "processes": MAX_PROCESSES,
        "process_limit": MAX_THREADS if mounts else 0,  # without a namespace it would count all of the user's
        "memory": settings.memory_mb << 20,
        "file_size": _FILE_SIZE,
        "disk_reserve": _DISK_RESERVE,
    }
    start = python(str(_PACKAGE.parent))
    if tier == "bubblewrap":
        line, order["steps"] = bubblewrap.arguments(bubblewrap.find(), laid, str(_PACKAGE), settings.network)
        start = [*line, *python(f"{bubblewrap.STAGE}/package")]
    elif tier == "seatbelt":
        start = [*seatbelt.arguments(laid, settings.network, [str(_PACKAGE), *_linked(laid)]), *start]
    return start, order


def python(package: str) -> list[str]:
    """A Python that imports the standard library and, after it, what is in the directory `package`; nothing else."""
    stub = f"import sys; sys.path.append({package!r}); from coder.sandbox.inside.launch import main; main()"
    return [sys.executable, "-I", "-S", "-c", stub]


def inside(text: str, laid: Scene) -> str:
    """`text` of the caller as it must read inside: "$TMPDIR" filled in, and the repository's path where it moved."""
    text = text.replace("$TMPDIR", laid.temporary)
    moved = laid.cwd != laid.root and (text == laid.root or text.startswith(f"{laid.root}/"))
    return laid.cwd + text.removeprefix(laid.root) if moved else text


def _own(laid: Scene) -> list[str]:
    return [laid.cwd, laid.home, laid.temporary, *_DEVICES]


def _readable(laid: Scene) -> list[str]:
    """The system and the toolchain; of the repository itself only what the copy links to."""
    return [*layout.readable(laid.layout), *_linked(laid)]


def _linked(laid: Scene) -> list[str]:
    """What a copy has as links into the repository that it was made of."""
    found = gitdir.directories(laid.root)
    links = [entry.path for entry in os.scandir(laid.cwd) if entry.is_symlink()]
    linked = [os.path.realpath(path) for path in links if os.path.realpath(path).startswith(f"{laid.root}/")]
    return [*linked, *(gitdir.linked_directories(*found) if found else [])]
