"""The screen over scripted sessions, as the process that is measured: `python -m tests.bench.screen_child WHAT LOG`."""

import sys
from pathlib import Path

from coder.events import ContextPlanned, ReplyFinished, ToolFinished, ToolStarted, TurnFinished, TurnStarted
from coder.tui import run_screen
from coder.tui.door import ScreenOptions
from coder.values import ContextEntry, ContextPlan
from tests.scripted import Script, Scripted, big_proposal, opener, reviewing, streaming

REPLY = "\n\n".join(f"Paragraph {number} of the reply, with `code` and **words**." * 3 for number in range(12))


def five_hundred_turns() -> Script:
    """The task "fill" tells 499 turns at once, "one" a turn like them; any other streams for that many seconds."""

    def one(session: Scripted) -> None:
        session.emit(ReplyFinished(REPLY))
        session.emit(ToolStarted("c", "read_files", "src/a.py"))
        session.emit(ToolFinished("c", "read_files", True, "1 file, 20 lines"))

    async def script(session: Scripted, task: str) -> None:
        if task == "one":
            one(session)
        elif task == "fill":
            for turn in range(499):
                session.emit(TurnStarted(turn, f"task {turn}"))
                one(session)
                session.emit(TurnFinished("done", ""))
            session.emit(ReplyFinished("All turns are there."))
        else:
            await streaming(session, task)

    return script


def planned_then_reviewed() -> Script:
    """The task "plan" plans the context, as every turn does before its proposal; any other reviews one."""
    proposal = big_proposal()
    plan = ContextPlan(1_000, 10, tuple(ContextEntry(file.path, "name", 1) for file in proposal.files))

    async def script(session: Scripted, task: str) -> None:
        if task == "plan":
            session.emit(ContextPlanned(plan))
        else:
            await reviewing(proposal)(session, task)

    return script


def main(what: str, log: str) -> int:
    scripts = {
        "stream": lambda: streaming,
        "turns": five_hundred_turns,
        "review": planned_then_reviewed,
    }
    options = ScreenOptions(root="/home/ada/shop", branch="main", model="gpt-5.4-mini", log=Path(log))
    return run_screen(opener(scripts[what]()), options=options)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
