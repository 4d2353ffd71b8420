"""A run without a person: the session's turn under a time limit and signals, answers by policy, exactly one result."""

import asyncio
import contextlib
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal, Protocol

from msgspec import Struct

from coder import events
from coder.errors import ApiError, CoderError, Exit, Failed, Interrupted, LimitReached, Refused
from coder.events import Ask, Emit
from coder.headless import result as results
from coder.headless.log import EventLog
from coder.headless.progress import Progress
from coder.headless.signals import SIGNALS, be_deaf, reader_is_gone
from coder.headless.stream import event_object
from coder.headless.text import summary_text
from coder.session import policy
from coder.session.outcome import Outcome
from coder.store import Places
from coder.values import Evidence, FileDiff, ReviewDecision, TriageCard, Usage


class Output(Struct, frozen=True):
    """What is printed: the format on stdout, the result object into `file`, the test report into `junit`.

    `log` keeps the trace of a bug and says where, or "". Facts are logged below `places`, where these are given.
    """

    format: Literal["text", "json", "jsonl", "patch", "markdown"] = "text"
    file: Path | None = None
    junit: Path | None = None
    quiet: bool = False
    verbose: bool = False
    secrets: tuple[str, ...] = ()
    log: Callable[[str], str] = lambda _: ""
    places: Places | None = None


class Work(Protocol):
    """What is carried out: a session's turn, or anything that ends in an outcome and has these things to report."""

    @property
    def id(self) -> str: ...
    @property
    def evidence(self) -> Evidence: ...
    @property
    def triage(self) -> tuple[TriageCard, ...]: ...
    @property
    def usages(self) -> tuple[Usage, ...]: ...
    @property
    def cost_usd(self) -> float | None: ...
    @property
    def sandbox_text(self) -> str: ...
    def draft_patch(self) -> tuple[tuple[FileDiff, ...], bytes]: ...
    async def run(self, task: str) -> Outcome: ...
    async def take_back(self) -> None: ...
    async def close(self) -> None: ...


class Job(Struct, frozen=True):
    """One run: how to open its session, the task, the limits and the policy that answers in place of a person."""

    open_session: Callable[[Emit, Ask], Work]
    task: str
    output: Output
    allow: tuple[str, ...] = ()
    timeout: float | None = None


@dataclass(slots=True)
class _Run:
    """What is known of a run while it goes on; turned into the result at its end."""

    job: Job
    progress: Emit
    log: EventLog | None
    result: dict[str, Any] = field(default_factory=results.empty_result)
    started: float = field(default_factory=time.monotonic)
    seq: int = 0
    session: Work | None = None
    signal: int = 0
    late: bool = False  # the time limit was reached
    unprinted: OSError | None = None  # why stdout takes no more lines
    task: asyncio.Task[Outcome] | None = None
    loop: asyncio.AbstractEventLoop | None = None
    printing: threading.Lock = field(default_factory=threading.Lock)  # facts come from threads, too


def run(job: Job) -> int:
    """Carry out the job and print its result; returns the exit code. Raises nothing that has a code of its own."""
    output = job.output
    progress = Progress(quiet=output.quiet, verbose=output.verbose, secrets=output.secrets)
    log = EventLog(output.places, verbose=output.verbose, secrets=output.secrets) if output.places else None
    code = asyncio.run(_main(_Run(job, progress, log)))
    if log:
        log.write(f"ended with {code}")
        log.close()
    return code


async def _main(run: _Run) -> int:
    loop = run.loop = asyncio.get_running_loop()
    for number in SIGNALS:
        loop.add_signal_handler(number, _stop, run, number)
    try:
        code = await _finish(run)
        return await _deliver(run, code)
    finally:
        if run.session:
            await run.session.close()
        be_deaf(loop)


async def _finish(run: _Run) -> Exit:
    """Run the turn to whatever end it has; fill the result."""
    result = run.result
    try:
        run.task = asyncio.ensure_future(_turn(run))
        if run.loop and run.job.timeout:
            run.loop.call_later(run.job.timeout, _expire, run)
        outcome = await run.task
        _fill_outcome(run, outcome)
        results.with_end(result, outcome.exit)
        if outcome.exit not in (Exit.DONE, Exit.UNCHANGED):
            results.with_end(result, outcome.exit, outcome.summary)
        return outcome.exit
    except asyncio.CancelledError:
        if run.late:
            return _failed(run, LimitReached(f"the time limit of {run.job.timeout:g} s was reached", "raise --timeout"))
        if run.unprinted and not isinstance(run.unprinted, BrokenPipeError):
            return _failed(run, Failed(f"cannot write the result: {run.unprinted.strerror}"))
        code = Exit.PIPE if run.unprinted else Exit.of_signal(run.signal or signal.SIGINT)
        results.with_end(result, code, code.sentence)
        return code
    except Interrupted as stop:
        results.with_end(result, stop.exit, stop.exit.sentence)
        return stop.exit
    except CoderError as error:
        return _failed(run, error)
    except TimeoutError as error:
        return _bug(run, error)
    except OSError as error:
        places = run.job.output.places
        own = f" (coder writes to {places.state} and {places.cache})" if places else ""
        where = f"{os.fsdecode(error.filename)}: " if error.filename else ""
        return _failed(run, Failed(f"{where}{error.strerror or error}{'' if where else own}", "nothing was changed"))
    except Exception as error:
        return _bug(run, error)


async def _turn(run: _Run) -> Outcome:
    emit, ask = partial(_emit, run), partial(_answer, run)
    run.session = await asyncio.to_thread(run.job.open_session, emit, ask)
    return await run.session.run(run.job.task)


def _failed(run: _Run, error: CoderError) -> Exit:
    code = error.code if isinstance(error, ApiError) else ""
    results.with_end(run.result, error.exit, error.message, error.hint, code)
    return error.exit


def _bug(run: _Run, error: Exception) -> Exit:
    """The end that should not be: what there is of the run is told all the same."""
    log = run.job.output.log("".join(traceback.format_exception(error)))
    hint = f"please report it with {log}" if log else ""
    results.with_end(run.result, Exit.INTERNAL, f"a bug in coder: {type(error).__name__}", hint)
    return Exit.INTERNAL


def _stop(run: _Run, number: int) -> None:
    run.signal = run.signal or number
    if run.task and run.loop:
        run.loop.call_soon_threadsafe(run.task.cancel)


def _expire(run: _Run) -> None:
    """Time is up. A turn that has just ended stays as it ended."""
    if run.task and not run.task.done():
        run.late = not run.signal
        run.task.cancel()


async def _answer(run: _Run, question: events.Question) -> events.Answer:
    """Policy in place of a person."""
    match question:
        case events.Review(again=True):  # nobody has looked at what is there now
            return ReviewDecision()
        case events.Review(proposal):
            if reader_is_gone():  # found out now, there is nothing to take back yet
                raise Interrupted(signal.SIGPIPE)
            return policy.decide(proposal, run.job.allow)
        case events.ApproveCommand():
            command = " ".join(question.commands[0]) if question.commands else ""
            if question.sandbox == "none":
                hint = "install bubblewrap, allow user namespaces, or use --no-test or --sandbox off (unconfined)"
                raise Refused(question.why, hint)
            if question.why:
                hint = "`coder trust add` approves what is there now; --test and --trust do so for one run"
                raise Refused(f"the tests may not run {command!r} ({question.origin}): {question.why}", hint)
            text = f"the tests did not run: nobody approved {command!r} ({question.origin}); use --test or --trust"
            _emit(run, events.Notice(text, "warning"))
            return False
        case events.ApproveSpending():
            _emit(run, events.Notice(f"this turn may cost up to ${question.forecast_usd:.2f}"))
            return True


def _emit(run: _Run, event: events.Event) -> None:
    """Every fact goes to the watcher on stderr, to the lines on stdout if asked for, and into the result."""
    if isinstance(event, events.Notice) and event.level == "warning":
        run.result["warnings"].append(event.text)
    run.progress(event)
    if run.log:
        run.log(event)
    line = event_object(event) if run.job.output.format == "jsonl" else None
    if line is None or run.unprinted:
        return
    with run.printing:
        try:
            print(results.dump({"seq": run.seq, **results.told(line, run.job.output.secrets)}), flush=True)
            run.seq += 1
        except OSError as error:
            run.unprinted = error
            _stop(run, signal.SIGPIPE)


def _fill_outcome(run: _Run, outcome: Outcome) -> None:
    result = run.result
    result["summary"] = outcome.summary
    result["files"] = results.files_list(outcome.files)
    result["patch"] = outcome.patch.decode("utf-8", "surrogateescape")
    result["checkpoint"] = (outcome.checkpoint.id or None) if outcome.checkpoint else None
    result["commit"] = outcome.commit or None


def _fill_session(run: _Run) -> None:
    """What is true of the session however the turn ended: money, evidence, and the patch there was."""
    result, session = run.result, run.session
    result["duration_s"] = round(time.monotonic() - run.started, 3)
    if session is None:
        return
    result["session"] = session.id
    result["sandbox"] = session.sandbox_text
    result["usage"] = results.usage_list(session.usages)
    result["cost_usd"] = session.cost_usd
    result["tests"] = results.tests_object(session.evidence)
    result["triage"] = results.triage_list(session.triage)
    if not result["patch"]:
        with contextlib.suppress(CoderError, OSError):  # a repository that is gone has no patch, but it has a price
            files, patch = session.draft_patch()
            result["files"], result["patch"] = results.files_list(files), patch.decode("utf-8", "surrogateescape")


async def _deliver(run: _Run, code: Exit) -> int:
    """Print the result once. If nobody can take it, the change is taken back: only exit 0 leaves one behind."""
    if code is not Exit.DONE:
        await _take_back(run)
    _fill_session(run)
    try:
        _write_files(run)
    except OSError as error:
        code = _failed(run, Failed(f"cannot write the result: {error.strerror}"))
        await _take_back(run)
    try:
        _print_result(run, code)
        return code
    except BrokenPipeError:
        code = Exit.PIPE
        results.with_end(run.result, code, code.sentence)
    except OSError as error:
        code = _failed(run, Failed(f"cannot write the result: {error.strerror}"))
        _say_error(run.result["error"])
    await _take_back(run)
    with contextlib.suppress(OSError):
        _write_files(run)
    return code


async def _take_back(run: _Run) -> None:
    """Undo what landed, if anything did, and its commit."""
    if run.session is None:
        return
    try:
        await run.session.take_back()
        run.result["checkpoint"] = run.result["commit"] = None
    except (CoderError, OSError) as error:
        text = f"the change could not be taken back and is still in place: {error}"
        run.result["warnings"].append(text)
        _say_error({"message": text, "hint": ""})


def _print_result(run: _Run, code: Exit) -> None:
    output = run.job.output
    result = results.told(run.result, output.secrets)
    match output.format:
        case "json":
            print(results.dump(result, indent=2), flush=True)
        case "jsonl":
            print(results.dump({"type": "result", "seq": run.seq, **result}), flush=True)
        case "markdown":
            from coder.headless.markdown import result_markdown

            print(result_markdown(result), end="", flush=True)
        case "patch" if code is Exit.DONE:
            sys.stdout.flush()
            sys.stdout.buffer.write(result["patch"].encode("utf-8", "surrogateescape"))
            sys.stdout.buffer.flush()
        case _:
            print(summary_text(result), flush=True)
    if code is not Exit.DONE and result["error"]:
        _say_error(result["error"])


def _say_error(error: dict[str, str]) -> None:
    with contextlib.suppress(OSError):
        print(f"coder: {error['message']}" + (f"\n  {error['hint']}" if error["hint"] else ""), file=sys.stderr)


def _write_files(run: _Run) -> None:
    output = run.job.output
    if output.file:
        output.file.write_text(
            results.dump(results.told(run.result, output.secrets), indent=2) + "\n", encoding="utf-8"
        )
    if output.junit and run.session:
        from coder.headless.junit import write_junit

        output.junit.write_bytes(write_junit(run.session.evidence))
