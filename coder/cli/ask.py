"""`coder ask`: an answer about the repository; no edit tool is offered."""

from typing import Any

import click

from coder.cli.options import SharedOptions, gather
from coder.cli.run import run_task
from coder.session.outcome import Destination


@click.command("ask", cls=SharedOptions)
@click.argument("question")
@click.option("--output", type=click.Choice(["text", "json", "jsonl"]), default="text", help="Form of the result.")
@click.option("--output-file", metavar="FILE", help="Write the result object to FILE too.")
@click.option("--trust", is_flag=True, help="Trust the repository's configuration for this run.")
@click.pass_context
def command(ctx: click.Context, /, question: str, **options: Any) -> int:
    """Answer a question about the repository. QUESTION may be `-` for standard input or `@FILE`."""
    return run_task(gather(ctx), question, Destination("nothing"), {**options, "no_test": True}, mode="ask")
