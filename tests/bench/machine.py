"""The machine that figures were measured on: without it they say nothing. And where the figures are kept."""

import os
import platform
import re
import time
from dataclasses import dataclass
from pathlib import Path

PERFORMANCE = Path(__file__).parent.parent.parent / ".github" / "PERFORMANCE.md"


@dataclass(frozen=True)
class Figure:
    """One row of the table. `goal` is "" where there is none; `met` None where the number cannot tell."""

    name: str
    goal: str
    measured: str
    met: bool | None = None


def calibration() -> str:
    """The processor, the versions, the time of a small fixed loop (milliseconds, best of five), and how busy it is."""
    names = re.findall(r"^model name\s*: (.*)$", _read("/proc/cpuinfo"), re.MULTILINE)
    loop = min(_loop() for _ in range(5)) * 1_000
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    return (
        f"{names[0] if names else platform.processor()}, {os.cpu_count()} cores; {platform.system()} "
        f"{platform.release()}; Python {platform.python_version()}; calibration loop {loop:.0f} CPU ms; "
        f"load average {load}; {time.strftime('%Y-%m-%d')}"
    )


def _loop() -> float:
    """CPU seconds that adding up a million squares takes."""
    began = time.process_time()
    sum(number * number for number in range(1_000_000))
    return time.process_time() - began


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""


def table(figures: list[Figure]) -> str:
    signs = {True: "✓", False: "✗", None: ""}
    rows = [f"| {figure.name} | {figure.goal} | {figure.measured} | {signs[figure.met]} |" for figure in figures]
    return "\n".join(["| figure | goal | measured | |", "|---|---|---|---|", *rows])


def keep(section: str, text: str) -> None:
    """Put `text` between the two marks of a section of PERFORMANCE.md, at its end if it has none yet."""
    start, end = f"<!-- {section} -->", f"<!-- /{section} -->"
    body = f"{start}\n{text}\n{end}"
    whole = PERFORMANCE.read_text("utf-8") if PERFORMANCE.exists() else "# Performance\n"
    before, found, rest = whole.partition(start)
    after = rest.partition(end)[2] if found else "\n"
    PERFORMANCE.write_text(f"{before if found else whole.rstrip() + chr(10) * 2}{body}{after}", "utf-8")
