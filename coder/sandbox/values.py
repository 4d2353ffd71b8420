"""What goes into a sandbox and what comes out, as values. Holds no behaviour."""

from dataclasses import dataclass, field
from pathlib import Path


class SandboxError(Exception):
    """The sandbox itself failed, not the command in it. `stage` is the step that could not be taken."""

    def __init__(self, stage: str, message: str) -> None:
        super().__init__(f"{stage}: {message}")
        self.stage = stage


@dataclass(frozen=True, slots=True)
class View:
    """A tree to run in: the directory `root` with the files below `changed` laid over it and `deleted` taken away.

    Paths are relative to the root, POSIX, with surrogate escapes. `masked` are files of the root that the command
    must not see (ignored secrets). The root itself is never written to.
    """

    root: Path
    changed: Path | None = None
    deleted: tuple[str, ...] = ()
    masked: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CommandResult:
    """How a command ended. `exit_code` is None when it was stopped; then `stopped` says why ("time", "memory",
    "processes", "disk"). The log at `log` holds its output, its middle dropped when `truncated`."""

    exit_code: int | None
    duration_s: float
    timed_out: bool
    truncated: bool
    log: Path
    artifacts: dict[str, bytes] = field(default_factory=dict)
    stopped: str = ""
