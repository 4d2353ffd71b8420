"""`coder cost`: what was spent, from the ledger."""

from dataclasses import asdict
from typing import cast

import click

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
    if ledger.complaint:
        doors.say(f"coder: warning: {ledger.complaint}")
    if output == "json":
        click.echo(dump([asdict(total) for total in totals], indent=2))
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
    width = max(len(visible_line(total.key, 60)) for total in totals)
    lines = [
        f"{'':<{width}} {'requests':>9} {'input':>12} {'cached':>12} {'predicted':>12} {'output':>10} {'usd':>10}"
        f" {'all on main':>12}"
    ]
    for total in totals:
        main = "unknown" if total.main_usd is None else f"{total.main_usd:.4f}"
        note = f"  {total.unpriced} calls without a known price" if total.unpriced else ""
        note += f"  {total.estimated} at their worst case" if total.estimated else ""
        lines.append(
            f"{visible_line(total.key, 60):<{width}} {total.requests:>9,} {total.input_tokens:>12,} "
            f"{total.cached_tokens:>12,} {total.predicted_tokens:>12,} {total.output_tokens:>10,} "
            f"{total.usd:>10.4f} {main:>12}{note}"
        )
    return "\n".join(lines)
