"""`coder eval`: a suite of tasks over configurations of models; success, cost per success, tokens, time."""

import asyncio
import json
import signal
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any

import click
from msgspec import to_builtins

from coder.cli import doors
from coder.cli.options import Shared, SharedOptions, gather
from coder.errors import Exit, UserError
from coder.headless.result import dump
from coder.text import visible_line

SCHEMA = "coder.eval/1"
MOST = 64 * 1024 * 1024


@click.command("eval", cls=SharedOptions)
@click.argument("suite", required=False)
@click.option("--shard", metavar="I/N", default="1/1", help="Carry out only this part of the suite's trials.")
@click.option("--jobs", metavar="N", type=click.IntRange(1, 64), default=2, help="Trials at the same time.")
@click.option("--merge", metavar="FILE", multiple=True, help="Add up files of shards instead of carrying out a suite.")
@click.option("--output", type=click.Choice(["text", "json"]), default="text", help="Form of the report.")
@click.option("--output-file", metavar="FILE", help="Write the report as JSON to FILE too.")
@click.pass_context
def command(ctx: click.Context, /, suite: str | None, shard: str, jobs: int, merge: tuple[str, ...], output: str,
            output_file: str | None) -> int:  # fmt: skip
    """Carry out the tasks of SUITE (a TOML file) in each of its configurations; --max-cost is for all of it.

    Each trial has a fresh copy of its repository; its check runs in the sandbox.
    """
    from coder.cli.run import writable

    if bool(suite) == bool(merge):
        raise click.UsageError("give a suite, or --merge FILE for each shard", ctx)
    shared = gather(ctx)
    file = writable(output_file)
    code, report = (Exit.DONE, merged(merge)) if suite is None else _carry_out(shared, suite, _shard(shard), jobs)
    if file:
        file.write_text(dump(report, indent=2) + "\n", encoding="utf-8")
    click.echo(dump(report, indent=2) if output == "json" else table(report))
    return code


def _carry_out(shared: Shared, suite: str, shard: tuple[int, int], jobs: int) -> tuple[Exit, dict[str, Any]]:
    from coder.cli.setup import prepare
    from coder.headless.evaluate import Evaluation, Purse, Verdict, verdict_objects
    from coder.headless.suite import load_suite

    setup = prepare(shared, need_repository=False)
    loaded = load_suite(Path(suite).absolute())
    trials = loaded.trials(shard)
    evaluation = Evaluation(loaded, Purse(setup.settings.limits.max_cost, loaded.suite.max_cost))

    def said(verdict: Verdict) -> None:
        if not shared.quiet:
            end = "success" if verdict.success else verdict.error or f"no success ({verdict.status})"
            doors.say(f"{verdict.configuration} {verdict.task} #{verdict.number + 1}: {visible_line(end, 120)}")

    code = asyncio.run(_until_signal(evaluation.run(trials, jobs, said)))
    if code is Exit.DONE and evaluation.purse.refused:
        doors.say(
            f"coder: {evaluation.purse.refused} trials did not begin: they could cost more than --max-cost leaves"
        )
        code = Exit.LIMIT
    rows = verdict_objects(evaluation.verdicts)
    return code, report_of(loaded.suite.name, loaded.digest, rows, complete=len(rows) == len(trials))


async def _until_signal(work: Coroutine[Any, Any, None]) -> Exit:
    """`work` to its end, or until a signal; its processes are gone then."""
    loop, task = asyncio.get_running_loop(), asyncio.ensure_future(work)
    came: list[int] = []

    def stop(number: int) -> None:
        came.append(number)
        task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        loop.add_signal_handler(number, stop, number)
    try:
        await task
    except asyncio.CancelledError:
        return Exit.of_signal(came[0] if came else signal.SIGINT)
    return Exit.DONE


def report_of(suite: str, digest: str, trials: list[dict[str, Any]], *, complete: bool) -> dict[str, Any]:
    from coder.headless.evaluate import Verdict, sums

    rows = sums([Verdict(**trial) for trial in trials])
    return {"schema": SCHEMA, "suite": suite, "digest": digest, "complete": complete, "configurations": rows,
            "trials": trials}  # fmt: skip


def merged(files: Sequence[str]) -> dict[str, Any]:
    """The report over all shards. Raises UserError for files of different suites, or that share a trial."""
    reports = [_read(file) for file in files]
    if len({report["digest"] for report in reports}) > 1:
        raise UserError("the files are of different suites", "merge the shards of one suite")
    trials = [trial for report in reports for trial in report["trials"]]
    names = [(trial["configuration"], trial["task"], trial["number"]) for trial in trials]
    if len(set(names)) < len(names):
        raise UserError("the files share a trial", "give the file of each shard once")
    ordered = [trial for _, trial in sorted(zip(names, trials, strict=True), key=lambda pair: pair[0])]
    complete = all(report["complete"] for report in reports)
    return report_of(reports[0]["suite"], reports[0]["digest"], ordered, complete=complete)


def _read(file: str) -> dict[str, Any]:
    from coder.headless.evaluate import Verdict, sums

    try:
        with Path(file).open("rb") as stream:
            report: dict[str, Any] = json.loads(stream.read(MOST))
        if report["schema"] != SCHEMA or not isinstance(report["digest"], str):
            raise ValueError
        report["trials"] = to_builtins([Verdict(**trial) for trial in report["trials"]])
        sums([Verdict(**trial) for trial in report["trials"]])  # finds values of another type
        report["suite"], report["complete"] = str(report["suite"]), bool(report["complete"])
    except OSError as error:
        raise UserError(f"cannot read {file}: {error.strerror}", "name the file that --output-file wrote") from None
    except (ValueError, TypeError, KeyError, RecursionError):
        raise UserError(f"{file} is no report of coder eval", "name the file that --output-file wrote") from None
    return report


def _shard(text: str) -> tuple[int, int]:
    part, slash, parts = text.partition("/")
    if slash and part.isdecimal() and parts.isdecimal() and 1 <= int(part) <= int(parts) <= 10_000:
        return int(part), int(parts)
    raise UserError(f"{text!r} is no shard", "as in --shard 1/4")


def table(report: dict[str, Any]) -> str:
    """One line a configuration; the interval is of 95 % confidence."""
    lines = [f"{report['suite']}: {len(report['trials'])} trials" + ("" if report["complete"] else ", not complete")]
    width = max((len(row["configuration"]) for row in report["configurations"]), default=0)
    for row in report["configurations"]:
        usd = "unknown" if row["usd"] is None else f"${row['usd']:.4f}"
        each = "" if row["usd_per_success"] is None else f" (${row['usd_per_success']:.4f} a success)"
        lines.append(
            f"  {row['configuration']:<{width}}  {row['successes']}/{row['trials']} = {row['success_rate']:.0%} "
            f"[{row['low']:.0%}, {row['high']:.0%}]  {usd}{each}  {row['input_tokens']:,} in, "
            f"{row['output_tokens']:,} out  {row['seconds_median']:.1f} s (p90 {row['seconds_p90']:.1f} s)"
            + (f"  {row['errors']} without a verdict" if row["errors"] else "")
        )
    return "\n".join(lines)
