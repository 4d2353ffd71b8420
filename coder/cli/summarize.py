"""`coder summarize`: summaries by the small model, ahead of time. The price comes first; what is paid for is kept."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Literal

import click

from coder import amounts
from coder.cli import doors
from coder.cli.options import SharedOptions, gather
from coder.config import Settings
from coder.errors import Exit, Interrupted, LimitReached, UserError
from coder.events import Event, Notice, RetryWaiting
from coder.store import Places
from coder.text import visible_line

if TYPE_CHECKING:
    from coder.context.summaries import Maker, SummaryStore
    from coder.model.catalog import Model
    from coder.model.client import Client
    from coder.repo.repository import Repository, Snapshot
    from coder.session.summaries import Progress, Work

WIDTH = 30  # columns of the bar


@click.command("summarize", cls=SharedOptions)
@click.argument("paths", metavar="[PATH]...", nargs=-1)
@click.option("--yes", is_flag=True, help="Start without asking, whatever it may cost.")
@click.option(
    "--export", "export", metavar="FILE", help="Write the summaries of these files to FILE as JSON lines; - is stdout."
)
@click.option(
    "--import", "import_", metavar="FILE", help="First take in the summaries that --export wrote elsewhere; - is stdin."
)
@click.option("--trust", is_flag=True, help="Use the repository's .coder.toml for this call.")
@click.pass_context
def command(
    ctx: click.Context, /, paths: tuple[str, ...], yes: bool, export: str | None, import_: str | None, trust: bool
) -> int:
    """Summarise PATH (files and folders; default: the whole repository) with the small model, for later tasks.

    Summaries are kept by the content of files: what has one is not paid for again.
    """
    from coder.cli.setup import prepare
    from coder.context.summaries import SummaryStore
    from coder.model.catalog import Catalog
    from coder.repo.repository import Repository
    from coder.session.record import new_session_id
    from coder.session.summaries import maker_of, with_tier

    shared = gather(ctx)
    setup = prepare(shared, trust=trust)
    location, places, session = setup.repository(), setup.places, new_session_id()
    wanted = [_relative(Path(path), location.root) for path in paths]
    model = Catalog.load(places.config).get(maker_of(setup.settings).model)
    settings = with_tier(setup.settings, model)
    with SummaryStore.open(places) as store, Repository(location, places, session) as repository:
        if store.note:
            doors.say(store.note)
        if import_:
            _take_in(store, import_, maker_of(settings))
        if export:
            _refuse_unwritable(export)
        bar = _Bar(quiet=shared.quiet)
        job = _Job(settings, places, model, store, repository, repository.snapshot(), session, bar, export != "-")
        work = job.work(wanted)
        if work.calls and not store.lasts and not export:
            raise UserError(
                "summaries would be paid for and lost", "make the cache directory writable, or --export them"
            )
        try:
            return job.carry_out(work, yes=yes) if work.calls else job.nothing_to_do(work)
        finally:
            if export:
                _export(store, job.work(wanted), export)


def _relative(path: Path, root: Path) -> str:
    try:
        name = path.resolve().relative_to(root).as_posix()
    except ValueError:
        raise UserError(f"{path} is not in this repository", "name files or folders of it") from None
    if not path.exists():
        raise UserError(f"there is no {path}", "name files or folders of this repository")
    return name


@dataclass(slots=True)
class _Job:
    """One call of the command."""

    settings: Settings
    places: Places
    model: "Model"
    store: "SummaryStore"
    repository: "Repository"
    snapshot: "Snapshot"
    session: str
    bar: "_Bar"
    on_stdout: bool  # what came of it; else stdout is for the summaries themselves
    stopped_by: int = 0

    def work(self, paths: list[str]) -> "Work":
        from coder.session.summaries import plan_work

        return plan_work(self.repository, self.snapshot, self.settings, self.places, self.store, self.model, paths)

    def nothing_to_do(self, work: "Work") -> int:
        self.bar.say(f"nothing to summarise{_rest(work)}")
        return Exit.DONE

    def carry_out(self, work: "Work", *, yes: bool) -> int:
        """Say the price, ask if it is high, then do the work. The exit code."""
        from coder.context.tokens import count_tokens
        from coder.headless.telemetry import observed
        from coder.model.client import Client
        from coder.session.disclosure import tell_once

        self.bar.say(forecast(work))
        root, emit = str(self.repository.location.root), observed(self._tell, self.settings.otel)
        client = Client(self.settings, self.places, self.session, emit, repository=root, count=count_tokens)
        client.require_key()
        if told := tell_once(self.places, client.provider):
            doors.say(told)
        if not yes and not self._approved(work):
            self.bar.say("nothing was sent")
            return Exit.UNCHANGED
        bar = self.bar
        try:
            asyncio.run(self._fill(client, work))
        finally:  # what was paid for until then is kept
            bar.end()
            price = "unknown" if client.cost_usd is None else f"${client.cost_usd:.4f}"
            failed = f", {bar.failed} could not be" if bar.failed else ""
            click.echo(f"{bar.done} files summarised{failed}; cost: {price}", err=not self.on_stdout)
        if self.stopped_by:
            raise Interrupted(self.stopped_by)
        return Exit.FAILED if bar.failed else Exit.DONE

    def _approved(self, work: "Work") -> bool:
        threshold = self.settings.limits.ask_above
        if work.about is not None and work.about <= threshold:
            return True
        if not sys.stdin.isatty():
            raise UserError(f"this may cost more than ${threshold:.2f}, and there is no terminal to ask", "use --yes")
        return click.confirm("Go on?", default=False, err=True)

    async def _fill(self, client: "Client", work: "Work") -> None:
        """The work under signals: a stop cancels what is under way; what is there is kept."""
        from coder.agents.subagents import Helpers
        from coder.context.tree import rules_for
        from coder.session.summaries import Filling

        rules = rules_for(self.repository, self.snapshot, self.settings.context.exclude)
        helpers = Helpers(client, self.settings, self._tell, self.session)
        task = asyncio.ensure_future(Filling(helpers, self.repository, rules, self.store, work, self.bar.show).run())
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
            loop.add_signal_handler(number, self._stop, number, task)
        seconds = self.settings.limits.timeout
        try:
            async with asyncio.timeout(seconds):
                await task
        except asyncio.CancelledError:
            pass
        except TimeoutError:
            raise LimitReached(f"the time limit of {seconds:g} s was reached", "the same call goes on") from None
        finally:
            await client.aclose()

    def _stop(self, number: int, task: "asyncio.Task[Progress]") -> None:
        self.stopped_by = self.stopped_by or number
        task.cancel()

    def _tell(self, event: Event) -> None:
        match event:
            case Notice():
                self.bar.say(f"{'warning: ' if event.level == 'warning' else ''}{event.text}")
            case RetryWaiting():
                self.bar.say(f"waiting {event.seconds:.1f} s: {event.reason}")
            case _:
                pass


class _Bar:
    """How far it is, on stderr: one line that is drawn over on a terminal that can, else a line each tenth."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet or sys.stderr is None
        self._drawn = not self._quiet and sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb"
        self._tenth = -1
        self._line = ""
        self.done = self.failed = 0

    def show(self, progress: "Progress") -> None:
        self.done, self.failed = progress.done, progress.failed
        ended, total = progress.done + progress.failed, progress.total
        if self._quiet or not total:
            return
        words = f"{ended} of {total} files"
        if self._drawn:
            filled = WIDTH * ended // total
            self._draw(f"[{'#' * filled}{'.' * (WIDTH - filled)}] {words}")
        elif 10 * ended // total > self._tenth:
            self._tenth = 10 * ended // total
            print(words, file=sys.stderr, flush=True)

    def say(self, line: str) -> None:
        """A line of its own, above the bar where one is drawn."""
        if self._quiet:
            return
        if self._line:
            print("\r\x1b[K", end="", file=sys.stderr)
        doors.say(line)
        if self._line:
            self._draw(self._line)

    def end(self) -> None:
        if self._line:
            print(file=sys.stderr, flush=True)
        self._line = ""

    def _draw(self, line: str) -> None:
        self._line = line
        print(f"\r{line}", end="", file=sys.stderr, flush=True)


def forecast(work: "Work") -> str:
    """What the work is and what it costs, in a line."""
    if work.about is None or work.most is None:
        price = f"the price of {work.maker.model} is unknown"
    else:
        price = f"about ${work.about:.4f} and at most ${work.most:.4f} with {work.maker.model}"
    files, calls = amounts.count(work.files, "file"), amounts.count(len(work.calls), "call")
    return f"{files} in {calls}, {work.tokens:,} tokens: {price}{_rest(work)}"


def _rest(work: "Work") -> str:
    known = f"; {len(work.known)} have a summary already" if work.known else ""
    return known + (f"; {work.withheld} are withheld" if work.withheld else "")


def _take_in(store: "SummaryStore", name: str, maker: "Maker") -> None:
    with _opened(name, "rb") as file:
        taken = store.take_in(file, maker)
    others = f", {taken.others} by another model or prompt, which are not used now" if taken.others else ""
    refused = f", {taken.refused} lines were none" if taken.refused else ""
    rest = "" if taken.whole else "; the file is too large, and its rest was left out"
    doors.say(f"{taken.own} summaries taken in{others}{refused}{rest}")


def _export(store: "SummaryStore", work: "Work", name: str) -> None:
    with _opened(name, "wb") as file:
        count = store.export(work.known, work.maker, file)
    doors.say(f"{count} summaries written to {'standard output' if name == '-' else visible_line(name)}")


def _refuse_unwritable(name: str) -> None:
    """Before anything is paid for. Raises UserError."""
    if name != "-":
        existed = Path(name).exists()
        with _opened(name, "ab"):
            pass
        if not existed:
            Path(name).unlink(missing_ok=True)


@contextlib.contextmanager
def _opened(name: str, mode: Literal["rb", "wb", "ab"]) -> Iterator[IO[bytes]]:
    """The file; for "-" standard input or output. Raises UserError where a file cannot be opened, read or written."""
    if name == "-":
        standard = sys.stdin if mode == "rb" else sys.stdout
        if standard is None:
            raise UserError("there is no standard input or output", "name a file")
        yield standard.buffer
        standard.flush()
        return
    try:
        with Path(name).open(mode) as file:
            yield file
    except OSError as error:
        verb = "read" if mode == "rb" else "write"
        raise UserError(f"cannot {verb} {visible_line(name)}: {error.strerror}", "give another file") from None
