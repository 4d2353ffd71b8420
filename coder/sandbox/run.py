"""One command in one tier: from a view to a result."""

import asyncio
import os
import tempfile
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from coder.sandbox import layout, orders, process, scene
from coder.sandbox.environment import environment
from coder.sandbox.values import CommandResult, SandboxError, View
from coder.store import Places, private_dir

if TYPE_CHECKING:
    from coder.config import SandboxSettings

Tier = orders.Tier


@dataclass(frozen=True, slots=True)
class Sandbox:
    """Runs commands in `tier`. `checks` is what its self-test showed ("9/9"); `limits` what it cannot do.
    Without `overlay` a tier that mounts lays a view out as a copy, which is also what it does where none can be had.
    Without `loopback` the Landlock tier has no sockets, for where the kernel's means to grant some are forbidden."""

    tier: Tier
    settings: "SandboxSettings"
    places: Places
    environ: Mapping[str, str]
    secrets: Collection[str] = ()
    checks: str = ""
    limits: str = ""
    overlay: bool = True
    loopback: bool = True

    def __str__(self) -> str:
        return f"{self.tier} {self.checks}".strip()

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
        """Run `argv` (no shell) in `view`. `want`: paths below the root, or below "$TMPDIR", whose files are brought
        back as `artifacts` under the same names; a path with a star brings all that match and were written by this
        run. `env` is added to the environment; "$TMPDIR" is filled in.

        Raises SandboxError when the sandbox could not be made; the command did not run then. Cancelling kills all.
        """
        try:
            ended = await self._attempt(argv, view, timeout, on_output, log, want, env, overlay=self.overlay)
        except SandboxError as error:
            if error.stage != "mounts" or not self.overlay:
                raise
            ended = await self._attempt(argv, view, timeout, on_output, log, want, env, overlay=False)
        return CommandResult(
            ended.code, ended.duration_s, ended.stopped == "time", ended.truncated, log, ended.artifacts, ended.stopped
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
        run = await asyncio.to_thread(self._place, view.root)
        try:
            laid = await asyncio.to_thread(self._lay_out, argv, view, run, overlay)
            environ = self._environment(laid, env)
            line, order = orders.give(self.tier, laid, argv, want, environ, self.settings, self.loopback)
            return await process.follow(line, order, self._launcher_environment(), timeout_s, on_output, log)
        finally:
            await asyncio.shield(asyncio.to_thread(scene.clear, run))

    def _place(self, root: Path) -> Path:
        """A directory for one run: in coder's cache, unless that lies in the repository, whose layer it would be."""
        base = private_dir(self.places.cache / "sandbox")
        return Path(tempfile.mkdtemp(prefix="run-", dir=None if base.is_relative_to(root) else base))

    def _environment(self, laid: scene.Scene, extra: Mapping[str, str]) -> dict[str, str]:
        home = self.environ.get("HOME", laid.home) if self.tier == "none" else laid.home
        passed = environment(self.environ, laid.root, home, laid.temporary, self.settings.env, self.secrets)
        return {**laid.environ, **passed, **{name: orders.inside(value, laid) for name, value in extra.items()}}

    def _launcher_environment(self) -> dict[str, str]:
        passed = ("LD_LIBRARY_PATH", "LANG", "CODER_SANDBOX_CHILD")  # the last is the self-test's canary
        kept = {name: self.environ[name] for name in passed if name in self.environ}
        return {**kept, "PATH": "/usr/bin:/bin"}

    def _lay_out(self, argv: Sequence[str], view: View, run: Path, overlay: bool) -> scene.Scene:
        try:
            return self._lay(argv, view, run, overlay)
        except OSError as error:  # a path that is too long for a copy, a file that may not be read
            raise SandboxError("view", str(error)) from error

    def _lay(self, argv: Sequence[str], view: View, run: Path, overlay: bool) -> scene.Scene:
        own = tuple(str(path) for path in (self.places.config, self.places.state, self.places.cache))
        root = os.path.realpath(view.root)
        names = ("/etc/resolv.conf",) if self.settings.network else ()  # often a link into /run
        seen = layout.plan(root, self.environ, own, (*self.settings.readable, *names), argv[0])
        if self.tier in ("bubblewrap", "namespaces"):
            return scene.with_mounts(view, run, seen, overlay=overlay, memory_mb=self.settings.memory_mb)
        return scene.with_copy(view, run, seen)
