"""`coder report`: a saved result as Markdown for a job summary or a comment, or as text."""

import json
import sys
from pathlib import Path
from typing import Any

import click

from coder.cli import doors
from coder.cli.options import SharedOptions
from coder.errors import Exit, UserError
from coder.headless.markdown import MAX_BYTES, result_markdown
from coder.headless.result import SCHEMA, empty_result
from coder.headless.text import summary_text
from coder.text import redact

MOST = 64 * 1024 * 1024


@click.command("report", cls=SharedOptions)
@click.argument("file")
@click.option("--output", type=click.Choice(["markdown", "text"]), default="markdown", help="Form of the report.")
@click.option("--max-bytes", type=click.IntRange(1_000, 1_000_000), default=MAX_BYTES, help="Most that is printed.")
def command(file: str, output: str, max_bytes: int) -> int:
    """Print the result in FILE (as --output-file wrote it; - is standard input) for a job summary or a comment.

    What it quotes can't become an image, a link, a mention or a workflow command.
    """
    result = read_result(file)
    try:
        shown = result_markdown(result, limit=max_bytes) if output == "markdown" else summary_text(result)[:max_bytes]
    except (KeyError, TypeError, ValueError, AttributeError):
        raise UserError(f"{file} is no whole result of coder", "see `coder schema result`") from None
    click.echo(redact(shown.rstrip("\n"), doors.known_secrets()))
    return Exit.DONE


def read_result(file: str) -> dict[str, Any]:
    """The result object in a file. Raises UserError for anything else."""
    name = "standard input" if file == "-" else file
    try:
        if file == "-":
            raw = sys.stdin.buffer.read(MOST)
        else:
            with Path(file).open("rb") as stream:
                raw = stream.read(MOST)
        value = json.loads(raw)
    except OSError as error:
        raise UserError(f"cannot read {file}: {error.strerror}", "name the file that --output-file wrote") from None
    except (ValueError, RecursionError):
        raise UserError(f"{name} is not JSON", "name the file that --output-file wrote") from None
    if not isinstance(value, dict) or value.get("schema") != SCHEMA or not value.keys() >= empty_result().keys():
        raise UserError(f"{name} is no result of coder", "see `coder schema result`")
    return value
