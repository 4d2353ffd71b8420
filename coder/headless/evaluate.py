"""Trials of a suite, each in a fresh copy of its repository by the program itself; their sums by configuration."""

import asyncio
import contextlib
import json
import math
import os
import shutil
import statistics
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from msgspec import Struct, to_builtins
from msgspec.structs import replace

from coder.headless.suite import Loaded, Trial, assignments
from coder.repo.create import create_repository
from coder.verify.commands import parse_command

Z = 1.959964  # 95 % of a normal distribution
_GRACE_S = 10.0  # beyond its own time limit, before a trial is ended from outside


class Verdict(Struct, frozen=True):
    """How one trial ended. `usd` is None where a price is unknown; `error` says why there is no verdict."""

    task: str
    configuration: str
    number: int
    success: bool = False
    status: str = ""
    usd: float | None = 0.0
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    seconds: float = 0.0
    error: str = ""


@dataclass(slots=True)
class Purse:
    """What all trials together may cost: a trial begins only if its own limit still fits."""

    limit: float | None
    each: float
    spent: float = 0.0
    reserved: float = 0.0
    refused: int = 0

    def take(self) -> bool:
        if self.limit is not None and self.spent + self.reserved + self.each > self.limit + 1e-9:
            self.refused += 1
            return False
        self.reserved += self.each
        return True

    def settle(self, usd: float | None) -> None:
        self.reserved -= self.each
        self.spent += self.each if usd is None else usd


@dataclass(slots=True)
class Evaluation:
    """Verdicts as they come in, so that an interrupted evaluation has those it got."""

    loaded: Loaded
    purse: Purse
    verdicts: list[Verdict] = field(default_factory=list)

    async def run(self, trials: Sequence[Trial], jobs: int, said: Callable[[Verdict], None]) -> None:
        """Carry out `trials`, `jobs` at a time."""
        gate = asyncio.Semaphore(jobs)

        async def one(trial: Trial) -> None:
            async with gate:
                if not self.purse.take():
                    return
                usd: float | None = None
                try:
                    verdict = await carry_out(self.loaded, trial)
                    usd = verdict.usd
                finally:
                    self.purse.settle(usd)
            self.verdicts.append(verdict)
            said(verdict)

        async with asyncio.TaskGroup() as group:
            for trial in trials:
                group.create_task(one(trial))


async def carry_out(loaded: Loaded, trial: Trial) -> Verdict:
    """One trial: the run, then the check on what it left."""
    verdict = Verdict(trial.task.id, trial.configuration.name, trial.number)
    place = await asyncio.to_thread(_new_place)
    try:
        root = place / "repository"
        await asyncio.to_thread(_lay_out, loaded.place / trial.task.repository, root)
        ran = await _coder(root, place, _run_arguments(loaded, trial), loaded.suite.timeout)
        if ran is None:
            return replace(verdict, error="the run ended without a result", usd=None)
        verdict = _with_run(verdict, ran)
        if trial.task.check_files:
            await asyncio.to_thread(shutil.copytree, loaded.place / trial.task.check_files, root, dirs_exist_ok=True)
        check = ["triage", "--output", "json", "--", *parse_command(trial.task.check)]
        checked = await _coder(root, place, check, loaded.suite.timeout, key=False)
        if checked is None or not checked["tests"]["commands"]:
            why = checked["error"]["message"] if checked and checked["error"] else "the check ended without a result"
            return replace(verdict, error=why)
        return replace(verdict, success=checked["tests"]["exit_code"] == 0 and checked["tests"]["passed"] > 0)
    finally:
        await asyncio.shield(asyncio.to_thread(shutil.rmtree, place, True))


def _new_place() -> Path:
    return Path(tempfile.mkdtemp(prefix="coder-eval-")).resolve()


def _lay_out(source: Path, root: Path) -> None:
    shutil.copytree(source, root, symlinks=True, ignore=shutil.ignore_patterns(".git", "__pycache__"))
    create_repository(root, "the task's repository")


def _run_arguments(loaded: Loaded, trial: Trial) -> list[str]:
    tests = [part for command in trial.task.test for part in ("--test", command)] or ["--no-test"]
    settings = [f"--set={pair}" for pair in assignments(trial.configuration.set)]
    limits = [f"--max-cost={loaded.suite.max_cost}", f"--timeout={loaded.suite.timeout}"]
    return ["run", "--output=json", *limits, *settings, *tests, "--", trial.task.task]


def _with_run(verdict: Verdict, result: Mapping[str, Any]) -> Verdict:
    usage = result["usage"]
    return replace(
        verdict,
        status=result["status"],
        usd=result["cost_usd"],
        input_tokens=sum(each["input_tokens"] for each in usage),
        cached_tokens=sum(each["cached_tokens"] for each in usage),
        output_tokens=sum(each["output_tokens"] for each in usage),
        seconds=result["duration_s"],
    )


async def _coder(
    root: Path, place: Path, arguments: Sequence[str], seconds: float, *, key: bool = True
) -> dict[str, Any] | None:
    """The result that coder prints in `root`, with a state of its own; None where it printed none in time."""
    environment = {**os.environ, "XDG_STATE_HOME": str(place / "state"), "XDG_CACHE_HOME": str(place / "cache")}
    if not key:  # the check is no place for a model
        environment = {name: value for name, value in environment.items() if not name.startswith("OPENAI_")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "coder", *arguments),
        cwd=root,
        env=environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(seconds + _GRACE_S):
            out, _ = await process.communicate()
    except TimeoutError:
        return None
    finally:
        await _end(process)
    with contextlib.suppress(ValueError):
        value = json.loads(out)
        return value if isinstance(value, dict) else None
    return None


async def _end(process: asyncio.subprocess.Process) -> None:
    """See to it that the process is gone: asked first, so that it ends its own children."""
    for ask in (process.terminate, process.kill):
        if process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            ask()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_GRACE_S):
                await process.wait()


# ── sums ─────────────────────────────────────────────────────────────────────────────────────────


def wilson(successes: int, trials: int) -> tuple[float, float]:
    """The 95 % confidence interval of a rate (Wilson, 1927): honest for few trials, and near 0 and 1."""
    if not trials:
        return 0.0, 1.0
    rate, square = successes / trials, Z * Z / trials
    middle = (rate + square / 2) / (1 + square)
    half = Z * math.sqrt(rate * (1 - rate) / trials + square / (4 * trials)) / (1 + square)
    return max(0.0, middle - half), min(1.0, middle + half)


def sums(verdicts: Sequence[Verdict]) -> list[dict[str, Any]]:
    """One row a configuration, in the order of their names. Trials without a verdict count as failures."""
    rows = []
    for name in sorted({verdict.configuration for verdict in verdicts}):
        own = [verdict for verdict in verdicts if verdict.configuration == name]
        successes = sum(verdict.success for verdict in own)
        low, high = wilson(successes, len(own))
        prices = [verdict.usd for verdict in own]
        usd = None if None in prices else sum(price for price in prices if price is not None)
        seconds = sorted(verdict.seconds for verdict in own)
        rows.append({
            "configuration": name, "trials": len(own), "successes": successes,
            "errors": sum(bool(verdict.error) for verdict in own),
            "success_rate": successes / len(own), "low": low, "high": high, "usd": usd,
            "usd_per_success": usd / successes if usd is not None and successes else None,
            "input_tokens": sum(v.input_tokens for v in own), "cached_tokens": sum(v.cached_tokens for v in own),
            "output_tokens": sum(v.output_tokens for v in own),
            "seconds_median": statistics.median(seconds), "seconds_p90": seconds[math.ceil(0.9 * len(seconds)) - 1],
        })  # fmt: skip
    return rows


def verdict_objects(verdicts: Sequence[Verdict]) -> list[dict[str, Any]]:
    """The verdicts as JSON holds them, in an order that does not depend on who finished first."""
    ordered = sorted(verdicts, key=lambda verdict: (verdict.configuration, verdict.task, verdict.number))
    told: list[dict[str, Any]] = to_builtins(ordered)
    return told
