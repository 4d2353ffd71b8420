"""`coder cost`: what was spent, from the ledger."""

from typing import cast

import click
from msgspec import to_builtins

from coder import amounts
from coder.cli import doors
from coder.cli.options import SharedOptions, gather
from coder.cli.setup import prepare
from coder.errors import Exit
from coder.headless.result import dump
from coder.model.catalog import Catalog
from coder.model.ledger import By, Ledger, Total
from coder.text import visible_line

GROUPS = ("session", "day", "repository", "role", "model")


@click.command("cost", cls=SharedOptions)
@click.option("--by", type=click.Choice(GROUPS), default="day", help="What the calls are added up by.")
@click.option("--output", type=click.Choice(["text", "json"]), default="text", help="Form of the result.")
@click.pass_context
def command(ctx: click.Context, by: str, output: str) -> int:
    """What was spent, and what the same calls would have cost on the main model alone."""
    setup = prepare(gather(ctx), need_repository=False)
    ledger = Ledger(setup.places.state / "ledger.sqlite")
    main = Catalog.load(setup.places.config).get(setup.settings.model)
    totals = ledger.totals(cast(By, by), main=main)
    for warning in dict.fromkeys((ledger.note, ledger.complaint or ledger.ignorance(0.0))):
        if warning:
            doors.say(f"coder: warning: {warning}")
    if output == "json":
        click.echo(dump(to_builtins(totals), indent=2))
        return Exit.DONE
    click.echo(_table(totals))
    if (logs := ledger.logs()).triages:
        click.echo(
            f"failed test logs: {logs.raw_tokens:,} tokens, ${logs.raw_usd:.4f} for the main model to read; "
            f"triaged: {logs.told_tokens:,} tokens, ${logs.usd:.4f}"
        )
    return Exit.DONE


def _table(totals: tuple[Total, ...]) -> str:
    if not totals:
        return "nothing was spent yet"
    rows = [("", *_HEADINGS), *map(_cells, totals)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    notes = ["", *map(_note, totals)]
    return "\n".join(
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) + note
        for row, note in zip(rows, notes, strict=True)
    )


_HEADINGS = ("requests", "input", "cached", "predicted", "output", "reasoning", "seconds", "usd", "all on main")


def _cells(total: Total) -> tuple[str, ...]:
    """The row of a table. The reasoning is part of the output."""
    counts = [total.requests, total.input_tokens, total.cached_tokens, total.predicted_tokens]
    counts += [total.output_tokens, total.reasoning_tokens]
    main = "unknown" if total.main_usd is None else f"{total.main_usd:.4f}"
    cells = (*(f"{count:,}" for count in counts), f"{total.latency_s:,.1f}", f"{total.usd:.4f}", main)
    return (visible_line(total.key, 60), *cells)


def _note(total: Total) -> str:
    note = f"  {amounts.count(total.unpriced, 'call')} without a known price" if total.unpriced else ""
    return note + (f"  {total.estimated} at their worst case" if total.estimated else "")
