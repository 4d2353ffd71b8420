"""How fast the screen is, on a pseudo-terminal of 120×40.

    python -m tests.bench.screen [start streaming turns review resume index] [--files N] [--write]

Prints a table and asserts nothing; --write keeps it in .github/PERFORMANCE.md. CPU seconds are those of the measured
process itself (user and system), so they say the same on a busy machine; milliseconds do not.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from coder.session.record import write_records
from coder.store import Places
from tests.bench.machine import Figure, calibration, keep, table
from tests.fake_openai import FakeOpenAI, text
from tests.terminal import Terminal, plain_text
from tests.work import git, make_repository

ROOT = Path(__file__).parent.parent.parent
READY = "Describe a change"
BUSY = "Esc interrupts"
FRAME_S = 1 / 30


def scripted(what: str, place: Path) -> Terminal:
    """The screen alone, over a scripted session."""
    argv = [sys.executable, "-m", "tests.bench.screen_child", what, str(place / "screen.log")]
    return Terminal(argv, env=_environ(place), cwd=str(ROOT))


def program(root: Path, place: Path, *arguments: str, **more: str) -> Terminal:
    """`coder` as a user starts it in `root`."""
    return Terminal([sys.executable, "-m", "coder", *arguments], env=_environ(place, **more), cwd=str(root))


def _environ(place: Path, **more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("CODER_", "OPENAI_", "NO_COLOR"))}
    homes = {f"XDG_{name}_HOME": str(place / name.lower()) for name in ("CONFIG", "STATE", "CACHE")}
    return {**kept, **homes, "TERM": "xterm-256color", "COLORTERM": "truecolor", "HOME": str(place), **more}


# ── ways to measure ──────────────────────────────────────────────────────────────────────────────


def keystrokes(screen: Terminal, number: int = 60) -> list[float]:
    """Milliseconds from a key to its paint. The letters differ so that each paint can be told apart."""
    times = []
    for at in range(number):
        letter = "qzxjkvwy"[at % 8]
        start, began = len(screen.raw), time.perf_counter()
        screen.send(letter)
        while letter not in plain_text(bytes(screen.raw[start:])):
            screen.read(0.001)
            if time.perf_counter() - began > 5:
                break
        times.append((time.perf_counter() - began) * 1_000)
        screen.read(0.05)
    return times


def typing(name: str, times: list[float]) -> Figure:
    times = sorted(times)
    p50, p95 = statistics.median(times), times[int(len(times) * 0.95)]
    return Figure(f"keystroke to paint, {name}", "p95 < 50 ms", f"p50 {p50:.0f} ms, p95 {p95:.0f} ms", p95 < 50)


def cpu_until(screen: Terminal, wanted: str, keys: str, seconds: float = 60.0) -> tuple[float, float]:
    """CPU and wall seconds from keys until `wanted` is there."""
    cpu, start, began = screen.cpu_seconds(), len(screen.raw), time.monotonic()
    screen.send(keys)
    screen.wait_for(wanted, seconds, start)
    wall = time.monotonic() - began
    screen.read(0.3)
    return screen.cpu_seconds() - cpu, wall


def cpu_of(screen: Terminal, keys: str) -> float:
    """CPU seconds from keys until nothing has been painted for half a second."""
    cpu = screen.cpu_seconds()
    screen.send(keys)
    while screen.read(0.5):
        pass
    return screen.cpu_seconds() - cpu


def held(screen: Terminal, key: str, seconds: float = 3.0) -> tuple[float, float]:
    """A key held at 30 a second: CPU milliseconds for each, and milliseconds from the last until all is painted."""
    cpu, began, number = screen.cpu_seconds(), time.perf_counter(), int(seconds / FRAME_S)
    for at in range(number):
        screen.send(key)
        screen.read(max(0.001, began + (at + 1) * FRAME_S - time.perf_counter()))
    ended = time.perf_counter()
    last = ended
    while time.perf_counter() - last < 0.25:
        if screen.read(0.005):
            last = time.perf_counter()
    return (screen.cpu_seconds() - cpu) / number * 1_000, (last - ended) * 1_000


# ── what is measured ─────────────────────────────────────────────────────────────────────────────


def measure_start(place: Path, files: int) -> Iterator[Figure]:
    root = make_repository(place / "small")
    with FakeOpenAI([text("hm " * 50).stall(1, 60)]) as server:
        cpu, wall = min(_until(program(root, place, **server.environ()), READY) for _ in range(3))
        cpu_ready, ready = min(_until_typed(program(root, place, **server.environ())) for _ in range(3))
        cpu_task, task = min(_until(program(root, place, "--task", "go", **server.environ()), BUSY) for _ in range(3))
        with program(root, place, **server.environ()) as screen:
            screen.wait_for(READY)
            before = -1.0
            while screen.cpu_seconds() > before:  # it warms up in the background
                before = screen.cpu_seconds()
                screen.read(2.0)
            rss = screen.rss_mib()
            screen.read(5.0)
            idle = (screen.cpu_seconds() - before) / 5
    yield Figure("first frame, `coder` in a repository", "≤ 0.6 CPU s", f"{cpu:.2f} CPU s, {wall:.2f} s", cpu <= 0.6)
    yield Figure("ready: a key is painted", "≤ 0.7 CPU s", f"{cpu_ready:.2f} CPU s, {ready:.2f} s", cpu_ready <= 0.7)
    yield Figure("a task given on the command line begins", "", f"{cpu_task:.2f} CPU s, {task:.2f} s")
    yield Figure("idle", "< 1 % CPU, ≤ 110 MiB", f"{idle:.1%} CPU, {rss:.0f} MiB", idle < 0.01 and rss <= 110)


def _until(started: Terminal, wanted: str) -> tuple[float, float]:
    """CPU and wall seconds from the start of a program until `wanted` is there."""
    with started as screen:
        wall = screen.wait_for(wanted, 60)
        return screen.cpu_seconds(), wall


def _until_typed(started: Terminal) -> tuple[float, float]:
    """CPU and wall seconds from the start of a program until a key, pressed at the first frame, is painted."""
    with started as screen:
        wall, start = screen.wait_for(READY, 60), len(screen.raw)
        screen.send("q")
        wall += screen.wait_for("q", 60, start)
        return screen.cpu_seconds(), wall


def measure_streaming(place: Path, files: int) -> Iterator[Figure]:
    with scripted("stream", place) as screen:
        screen.wait_for(READY)
        yield typing("idle", keystrokes(screen))
        screen.send("\x15\x7f" + "12\r")
        screen.read(1.5)
        written, cpu = len(screen.raw), screen.cpu_seconds()
        screen.read(5.0)
        rate, used = (len(screen.raw) - written) / 5_000, (screen.cpu_seconds() - cpu) / 5
        yield Figure("written while 200 tokens/s stream", "≤ 64 kB/s", f"{rate:.1f} kB/s, {used:.0%} CPU", rate <= 64)
        yield typing("200 tokens/s streaming", keystrokes(screen))


def measure_turns(place: Path, files: int) -> Iterator[Figure]:
    with scripted("turns", place) as screen:
        screen.wait_for(READY)
        first = min(cpu_of(screen, "one\r") for _ in range(3))
        cpu_until(screen, "All turns are there.", "fill\r")
        last = min(cpu_of(screen, "one\r") for _ in range(3))
        told = f"{last * 1_000:.0f} CPU ms (the first: {first * 1_000:.0f})"
        yield Figure("a turn told after 500", "as the first", told, last <= first * 1.25 + 0.01)
        screen.send("12\r")
        screen.read(1.5)
        yield typing("streaming after 500 turns", keystrokes(screen))
        rss = screen.rss_mib()
        yield Figure("500 turns", "≤ 200 MiB", f"{rss:.0f} MiB", rss <= 200)


def measure_review(place: Path, files: int) -> Iterator[Figure]:
    with scripted("review", place) as screen:
        screen.wait_for(READY)
        screen.send("plan\r")
        screen.read(3.0)
        cpu, wall = cpu_until(screen, "value_0 = compute", "go\r")
        yield Figure(
            "200 files, 20,000 lines: the review opens", "< 0.5 s", f"{wall:.2f} s, {cpu:.2f} CPU s", wall < 0.5
        )
        screen.read(3.0)  # more than the grace in which typed-ahead keys do not act
        for name, key in (("line", "j"), ("page", " "), ("hunk", "n")):
            each, lag = held(screen, key)
            told = f"{each:.0f} CPU ms a frame, the last {lag:.0f} ms late"
            yield Figure(f"review scrolled by the {name}, 30 times a second", "< 33 CPU ms", told, each < 33)


def measure_resume(place: Path, files: int) -> Iterator[Figure]:
    root = make_repository(place / "resumed")
    places = Places(place / "config" / "coder", place / "state" / "coder", place / "cache" / "coder")
    write_records(places, "long", _five_hundred(str(root)))
    with (
        FakeOpenAI([text("hm " * 50).stall(1, 60)]) as server,
        program(root, place, "--resume", "long", **server.environ()) as screen,
    ):
        wall = screen.wait_for("the answer to task 500", 60)
        cpu = screen.cpu_seconds()
        yield Figure("resume of 500 turns, from the command line", "< 1 s", f"{wall:.2f} s, {cpu:.2f} CPU s", wall < 1)


def _five_hundred(root: str) -> Iterator[dict[str, object]]:
    """The records of a session of 500 turns, 1,500 items."""

    def message(role: str, kind: str, said: str) -> dict[str, object]:
        return {"type": "message", "role": role, "content": [{"type": kind, "text": said}]}

    yield {"kind": "session", "time": time.time(), "root": root, "model": "gpt-5.4-mini", "effort": "medium"}
    for turn in range(1, 501):
        call = {"call_id": f"c{turn}", "type": "function_call", "name": "list_files", "arguments": '{"pattern": "*"}'}
        items = [
            message("user", "input_text", f"task {turn}"),
            call,
            {"type": "function_call_output", "call_id": f"c{turn}", "output": "calc.py\ntest_calc.py"},
            message("assistant", "output_text", "A paragraph with `code`.\n\n" * 8 + f"the answer to task {turn}"),
        ]
        yield {"kind": "task", "time": time.time(), "turn": turn, "text": f"task {turn}"}
        yield {"kind": "items", "time": time.time(), "at": (turn - 1) * 4, "items": items, "tree": ""}
        yield {"kind": "outcome", "time": time.time(), "status": "done", "summary": "", "cost_usd": 0.0}


def measure_index(place: Path, files: int) -> Iterator[Figure]:
    root = place / "many"
    for number in range(files):
        path = root / f"pkg_{number // 500}" / f"module_{number}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"def value_{number}(scale):\n    return scale * {number}\n")
    git(root, "init", "-q")
    git(root, "add", "-A")
    git(root, "commit", "-qm", "many")
    with FakeOpenAI([text("hm " * 50).stall(1, 60)]) as server, program(root, place, **server.environ()) as screen:
        screen.wait_for(READY)
        start = len(screen.raw)
        screen.send("go\r")
        screen.wait_for("reading the repository", 60, start)
        figure = typing(f"the index of {files:,} files builds", keystrokes(screen, 40))
        builds = "waiting for" not in plain_text(bytes(screen.raw[start:]))
        yield figure if builds else Figure(figure.name, figure.goal, f"{figure.measured} (the index was ready before)")


MEASURES = {
    "start": measure_start,
    "streaming": measure_streaming,
    "turns": measure_turns,
    "review": measure_review,
    "resume": measure_resume,
    "index": measure_index,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="*", choices=[*MEASURES, []], default=[])
    parser.add_argument("--files", type=int, default=100_000, help="of the repository whose index builds")
    parser.add_argument("--write", action="store_true", help="keep the table in .github/PERFORMANCE.md")
    chosen = parser.parse_args()
    figures: list[Figure] = []
    for name in chosen.what or MEASURES:
        with tempfile.TemporaryDirectory() as directory:
            for figure in MEASURES[name](Path(directory), chosen.files):
                figures.append(figure)
                print(f"{figure.name:<55} {figure.measured:<45} goal {figure.goal}", flush=True)
    text = f"{calibration()}\n\n{table(figures)}"
    print(f"\n{text}")
    if chosen.write:
        keep("screen", text)


if __name__ == "__main__":
    main()
