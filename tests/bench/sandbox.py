"""What the sandbox costs: the self-test and an empty command in each tier, and a suite of 1,000 tests.

Run as `python tests/bench/sandbox.py`; prints a table of seconds: wall time, and CPU time with that of children.
Figures are medians of nine rounds (the suite: of three); the least wall time, which a machine that does other
things only ever adds to, stands behind.
"""

import asyncio
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from coder.config import SandboxSettings
from coder.errors import Refused
from coder.sandbox import Sandbox, View, choose
from coder.store import Places

ROUNDS = 9
SUITE = "import pytest\n@pytest.mark.parametrize('n', range(1000))\ndef test_n(n): assert n >= 0\n"


def cpu() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


async def measured(action: Callable[[], Awaitable[object]], rounds: int = ROUNDS) -> str:
    walls, cpus = [], []
    for _ in range(rounds):
        wall, processor = time.perf_counter(), cpu()
        await action()
        walls.append(time.perf_counter() - wall)
        cpus.append(cpu() - processor)
    return f"{statistics.median(walls):.3f} / {statistics.median(cpus):.3f} ({min(walls):.3f})"


async def measure(base: Path) -> None:
    places, settings = Places(base / "config", base / "state", base / "cache"), SandboxSettings()
    root = base / "repository"
    root.mkdir()
    (root / "test_many.py").write_text(SUITE)
    suite = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    print(f"{'tier':<13}{'self-test':>24}{'true':>24}{'1,000 tests':>24}   (wall / CPU (least wall))")
    for tier in ("bubblewrap", "namespaces", "landlock", "none"):
        sandbox = Sandbox("none", settings, places, os.environ)
        if tier != "none":
            try:
                sandbox = await choose("auto", settings, places, tiers=(tier,))  # type: ignore[arg-type]
            except Refused as refusal:
                print(f"{tier:<13}{refusal.message}")
                continue

        async def run(argv: list[str], sandbox: Sandbox = sandbox) -> None:
            log = base / "log"
            result = await sandbox.run(argv, View(root), timeout=120, on_output=lambda _: None, log=log)
            assert result.exit_code == 0, log.read_text()

        async def prove(tier: str = tier) -> None:
            await choose("auto", settings, places, tiers=(tier,))  # type: ignore[arg-type]

        row = [await measured(prove) if tier != "none" else "", await measured(lambda: run(["true"]))]
        row.append(await measured(lambda: run(suite), 3))
        print(f"{tier:<13}" + "".join(f"{figures:>24}" for figures in row))

    async def bare() -> None:
        process = await asyncio.create_subprocess_exec(*suite, cwd=root, stdout=asyncio.subprocess.DEVNULL)
        assert await process.wait() == 0

    print(f"{'no sandbox':<61}{await measured(bare, 3):>24}")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(measure(Path(directory)))
