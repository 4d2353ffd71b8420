"""How long coder takes: version, first request, the whole trivial fix, exit. Prints medians; asserts nothing.

    python -m tests.bench.start [RUNS]

CPU seconds are those of coder and its children (resource usage of waited-for processes); wall seconds beside them.
"""

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.fake_openai import FakeOpenAI, free_text_call, text
from tests.work import CALC, FIX, TEST, make_repository

SLOW_TEST = TEST.replace("import unittest\n", "import time\nimport unittest\n\ntime.sleep(0.35)\n", 1)
Figures = dict[str, float]


def run(arguments: list[str], root: Path, env: Mapping[str, str]) -> tuple[float, float, float]:
    """Wall start, wall end (time.monotonic) and CPU seconds of one run of coder."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.monotonic()
    subprocess.run(
        [sys.executable, "-m", "coder", *arguments],
        cwd=root,
        env={**os.environ, **env},
        capture_output=True,
        check=True,
    )
    ended = time.monotonic()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return started, ended, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def version(place: Path) -> Figures:
    started, ended, cpu = run(["--version"], place, {})
    return {"version, wall": ended - started, "version, cpu": cpu}


def fix(place: Path) -> Figures:
    """The trivial fix, base and draft tested with a suite of 0.35 s."""
    root = make_repository(place / "fix", {"calc.py": CALC, "test_calc.py": SLOW_TEST})
    command = ["run", "mend add", "--test", f"{sys.executable} -m unittest"]
    with FakeOpenAI([free_text_call("apply_patch", FIX), text("done")]) as server:
        started, ended, cpu = run(command, root, server.environ())
        first, last = server.requests[0].at, server.requests[-1].at
    return {
        "launch to first request, wall": first - started,
        "whole fix, wall": ended - started,
        "whole fix, cpu with tests": cpu,
        "last request to exit, wall (tests, apply)": ended - last,
    }


def answer(place: Path) -> Figures:
    """A run that ends with the model's answer: what is left after it is coder's own exit."""
    root = make_repository(place / "answer")
    with FakeOpenAI([text("nothing to do")]) as server:
        started, ended, cpu = run(["ask", "why?"], root, server.environ())
        last = server.requests[-1].at
    return {"ask, wall": ended - started, "ask, cpu": cpu, "last request to exit, wall (ask)": ended - last}


def measure(runs: int, jobs: tuple[Callable[[Path], Figures], ...]) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for _ in range(runs):
        for job in jobs:
            with tempfile.TemporaryDirectory(prefix="coder-bench-") as place:
                os.environ["HOME"] = place
                for name, seconds in job(Path(place)).items():
                    found.setdefault(name, []).append(seconds)
    return found


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    for name, seconds in measure(runs, (version, fix, answer)).items():
        low, middle, high = min(seconds), statistics.median(seconds), max(seconds)
        print(f"{name:<45} {middle:7.3f} s   ({low:.3f} to {high:.3f}, {len(seconds)} runs)")


if __name__ == "__main__":
    main()
