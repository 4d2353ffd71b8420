"""One command in one tier: from a view to a result."""

import asyncio
import os
import sys
import tempfile
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from coder.sandbox import bubblewrap, process, scene
from coder.sandbox.environment import environment
from coder.sandbox.values import CommandResult, SandboxError, View
from coder.store import Places, private_dir

if TYPE_CHECKING:
    from coder.config import SandboxSettings

Tier = Literal["bubblewrap", "namespaces", "landlock", "seatbelt", "none"]

OUT = "/tmp/coder-out"  # where a command may leave what `want` brings back
MAX_PROCESSES = 4_096
_FILE_SIZE = 4 << 30
_DISK_RESERVE = 512 << 20
_PACKAGE = str(Path(__file__).parent.parent)


@dataclass(frozen=True, slots=True)
class Sandbox:
    """Runs commands in `tier`. `checks` is what its self-test showed ("9/9"); `limits` what it cannot do."""

    tier: Tier
    settings: "SandboxSettings"
    places: Places
    environ: Mapping[str, str]
    secrets: Collection[str] = ()
    checks: str = ""
    limits: str = ""

    def __str__(self) -> str:
        return f"{self.tier} {self.checks}".strip()

    @property
    def has_loopback(self) -> bool:
        """Whether a server and its client inside can meet."""
        return self.tier != "landlock"

    async def run(
        self,
        argv: Sequence[str],
        view: View,
        *,
        timeout: float,  # noqa: ASYNC109 - enforced by killing, not by cancelling
        on_output: Callable[[bytes], None],
        log: Path,
        want: Sequence[str] = (),
        env: Mapping[str, str] = {},
    ) -> CommandResult:
        """Run `argv` (no shell) in `view`. `want`: absolute paths, or paths below the root, whose files are brought
        back as `artifacts` under the same names. `env` is added to the environment as it is.

        Raises SandboxError when the sandbox could not be made; the command did not run then. Cancelling kills all.
        """
        try:
            ended = await self._attempt(argv, view, timeout, on_output, log, want, env, overlay=True)
        except SandboxError as error:
            if error.stage != "mounts" or self.tier not in ("bubblewrap", "namespaces"):
                raise
            ended = await self._attempt(argv, view, timeout, on_output, log, want, env, overlay=False)
        artifacts = {want[position]: content for position, content in ended.artifacts.items()}
        return CommandResult(
            ended.code, ended.duration_s, ended.stopped == "time", ended.truncated, log, artifacts, ended.stopped
        )

    async def _attempt(
        self,
        argv: Sequence[str],
        view: View,
        timeout_s: float,
        on_output: Callable[[bytes], None],
        log: Path,
        want: Sequence[str],
        env: Mapping[str, str],
        *,
        overlay: bool,
    ) -> process.Ended:
        run = Path(tempfile.mkdtemp(prefix="run-", dir=private_dir(self.places.cache / "sandbox")))
        try:
            laid = await asyncio.to_thread(self._lay, argv, view, run, overlay)
            line, order = self._order(argv, laid, want, env)
            return await process.follow(line, order, self._launcher_environment(), timeout_s, on_output, log)
        finally:
            await asyncio.shield(asyncio.to_thread(scene.clear, run))

    def _lay(self, argv: Sequence[str], view: View, run: Path, overlay: bool) -> scene.Scene:
        own = tuple(str(path) for path in (self.places.config, self.places.state, self.places.cache))
        return scene.prepare(view, run, self.environ, own, self.settings.readable, argv[0], overlay)

    def _order(
        self, argv: Sequence[str], laid: scene.Scene, want: Sequence[str], env: Mapping[str, str]
    ) -> tuple[list[str], dict[str, Any]]:
        """The command line of the process inside, and what it is told; see `inside.launch`."""
        seen = laid.layout
        child = environment(self.environ, laid.root, seen.home, "/tmp", self.settings.env, self.secrets)
        line: list[str] = []
        steps = list(laid.steps)
        package = os.path.dirname(_PACKAGE)
        if self.tier == "bubblewrap":
            line, steps = bubblewrap.arguments(bubblewrap.find(), laid, _PACKAGE, self.settings.network)
            package = f"{bubblewrap.STAGE}/package"
        order: dict[str, Any] = {
            "unshare": self.tier == "namespaces",
            "own_pids": True,
            "network": self.settings.network,
            "steps": steps,
            "argv": list(argv),
            "cwd": laid.root,
            "root": laid.root,
            "env": {**child, **env},
            "writable": [laid.root, *seen.writable, "/dev"],
            "readable": None,
            "need_landlock": False,
            "want": [os.path.join(laid.root, path) for path in want],
            "processes": MAX_PROCESSES,
            "process_limit": MAX_PROCESSES,
            "memory": self.settings.memory_mb << 20,
            "file_size": _FILE_SIZE,
            "disk_reserve": _DISK_RESERVE,
        }
        return [*line, *python(package)], order

    def _launcher_environment(self) -> dict[str, str]:
        passed = ("LD_LIBRARY_PATH", "LANG", "CODER_SANDBOX_CHILD")  # the last is the self-test's canary
        kept = {name: self.environ[name] for name in passed if name in self.environ}
        return {**kept, "PATH": "/usr/bin:/bin"}


def python(package: str) -> list[str]:
    """A Python that imports the standard library and, after it, what is in the directory `package`; nothing else."""
    stub = f"import sys; sys.path.append({package!r}); from coder.sandbox.inside.launch import main; main()"
    return [sys.executable, "-I", "-S", "-c", stub]
