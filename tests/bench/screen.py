"""How fast the screen is, on a pseudo-terminal of 120×40. Prints figures, asserts nothing.

CPU seconds are the child's own (user and system). "first frame" runs from the start of the interpreter until the
composer is painted; "keystroke" from writing a key to the terminal until its character comes back.
"""

import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from terminal import Terminal, plain_text  # noqa: E402

READY = "Describe a change"


def child(what: str) -> None:
    """The process that is measured."""
    from coder.tui import run_screen
    from coder.tui.door import ScreenOptions

    if what == "frame":
        from scripted import opener, telling

        script = telling()
    elif what == "review":
        from scripted import opener

        script = planned_then_reviewed()
    elif what == "turns":
        from scripted import opener

        script = five_hundred_turns()
    else:
        from scripted import opener, streaming

        script = streaming
    options = ScreenOptions(root="/home/ada/shop", branch="main", model="gpt-5.4-mini", log=Path(os.environ["LOG"]))
    sys.exit(run_screen(opener(script), options=options))  # type: ignore[arg-type]


def five_hundred_turns():  # type: ignore[no-untyped-def]
    """The first task tells 499 turns at once; any other streams for as many seconds as it says."""
    from scripted import streaming

    from coder.events import ReplyFinished, ToolFinished, ToolStarted, TurnFinished, TurnStarted

    reply = "\n\n".join(f"Paragraph {number} of the reply, with `code` and **words**." * 3 for number in range(12))

    async def script(session, task):  # type: ignore[no-untyped-def]
        if task != "fill":
            await streaming(session, task)
            return
        for turn in range(499):
            session.emit(TurnStarted(turn, f"task {turn}"))
            session.emit(ReplyFinished(reply))
            session.emit(ToolStarted("c", "read_files", "src/a.py"))
            session.emit(ToolFinished("c", "read_files", True, "1 file, 20 lines"))
            session.emit(TurnFinished("done", ""))
        session.emit(ReplyFinished("All turns are there."))

    return script


def planned_then_reviewed():  # type: ignore[no-untyped-def]
    """The task "plan" plans the context, as every turn does before its proposal; any other reviews one."""
    from scripted import big_proposal, reviewing

    from coder.events import ContextPlanned
    from coder.values import ContextEntry, ContextPlan

    proposal = big_proposal()
    plan = ContextPlan(1_000, 10, tuple(ContextEntry(file.path, "name", 1) for file in proposal.files))

    async def script(session, task):  # type: ignore[no-untyped-def]
        if task == "plan":
            session.emit(ContextPlanned(plan))
        else:
            await reviewing(proposal)(session, task)

    return script


def start(what: str, log: str, size: tuple[int, int] = (120, 40)) -> Terminal:
    env = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor", "LOG": log}
    return Terminal([sys.executable, __file__, "--child", what], size=size, env=env)


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


def figures(times: list[float]) -> str:
    times = sorted(times)
    p50, p95 = statistics.median(times), times[int(len(times) * 0.95)]
    return f"p50 {p50:5.1f} ms   p95 {p95:5.1f} ms   max {times[-1]:5.1f} ms"


def measure_start(log: str) -> None:
    for _ in range(3):
        with start("frame", log) as screen:
            wall = screen.wait_for(READY)
            cpu = screen.cpu_seconds()
            screen.read(2.0)
            idle, rss = screen.cpu_seconds(), screen.rss_mib()
            screen.read(5.0)
            idle = (screen.cpu_seconds() - idle) / 5
            began = time.monotonic()
            screen.send("\x11")
            screen.wait()
            print(
                f"first frame {cpu:.2f} CPU s, {wall:.2f} s; idle {idle:.2%} CPU, {rss:.0f} MiB; "
                f"exit {time.monotonic() - began:.2f} s"
            )


def measure_streaming(log: str) -> None:
    with start("stream", log) as screen:
        screen.wait_for(READY)
        print("keystroke, idle          ", figures(keystrokes(screen)))
        screen.send("\x15\x7f" + "12\r")
        screen.read(1.5)
        written, cpu = len(screen.raw), screen.cpu_seconds()
        screen.read(5.0)
        print(
            f"streaming 200 tokens/s    {(len(screen.raw) - written) / 5_000:.1f} kB/s to the terminal, "
            f"{(screen.cpu_seconds() - cpu) / 5:.0%} CPU"
        )
        print("keystroke, streaming     ", figures(keystrokes(screen)))


def measure_turns(log: str) -> None:
    with start("turns", log) as screen:
        screen.wait_for(READY)
        cpu = screen.cpu_seconds()
        screen.send("fill\r")
        wall = screen.wait_for("All turns are there.", 60)
        print(f"499 turns told in {wall:.2f} s, {screen.cpu_seconds() - cpu:.2f} CPU s; {screen.rss_mib():.0f} MiB")
        screen.send("12\r")
        screen.read(1.5)
        print("keystroke, 500th turn    ", figures(keystrokes(screen)))
        print(f"afterwards {screen.rss_mib():.0f} MiB")


def measure_review(log: str) -> None:
    with start("review", log) as screen:
        screen.wait_for(READY)
        screen.send("plan\r")
        screen.read(3.0)
        cpu = screen.cpu_seconds()
        screen.send("go\r")
        wall = screen.wait_for("module_0.py")
        print(f"review of 200 files, 20,000 lines opens in {wall:.2f} s, {screen.cpu_seconds() - cpu:.2f} CPU s")
        screen.read(1.5)
        for name, key in (("page", " "), ("line", "j")):
            times = []
            for _ in range(40):
                began, start_at = time.perf_counter(), len(screen.raw)
                screen.send(key)
                while len(screen.raw) == start_at and time.perf_counter() - began < 2:
                    screen.read(0.001)
                screen.read(0.004)
                times.append((time.perf_counter() - began) * 1_000)
            print(f"scroll by a {name}           ", figures(times))
        print(f"afterwards {screen.rss_mib():.0f} MiB")


def main() -> None:
    if len(sys.argv) > 2 and sys.argv[1] == "--child":
        child(sys.argv[2])
    wanted = sys.argv[1:] or ["start", "streaming", "turns", "review"]
    with tempfile.TemporaryDirectory() as place:
        for name in wanted:
            globals()[f"measure_{name}"](f"{place}/screen.log")
            log = Path(place, "screen.log").read_text()
            if log:
                print(f"the log says: {log[-2000:]}")


if __name__ == "__main__":
    main()
