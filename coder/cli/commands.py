"""The command tree. Each command's module is imported only when it is called; help texts live here for speed."""

import gc
import importlib

import click

from coder import __version__
from coder.cli.options import SharedOptions

# name → (module below coder.cli, one sentence). A command appears here when it works.
COMMANDS: dict[str, tuple[str, str]] = {
    "run": ("run", "Do one task without questions, for CI and scripts."),
    "ask": ("ask", "Answer a question about the repository; nothing is edited."),
    "triage": ("triage", "Say which test failures have one cause, and what it probably is."),
    "report": ("report", "Print a saved result for a job summary or a comment."),
    "context": ("context", "Show what the model would see for a task, and what it costs."),
    "summarize": ("summarize", "Summarise files ahead of time with the small model; the price comes first."),
    "apply": ("apply", "Apply one edit in any accepted format; no model involved."),
    "undo": ("undo", "Preview, then take back what coder last applied."),
    "sessions": ("sessions", "List, show, export, rename, fork or delete sessions."),
    "cost": ("cost", "What was spent, by session, day, repository, role or model."),
    "trust": ("trust", "List, add or remove trusted repositories."),
    "eval": ("eval", "Carry out a suite of tasks over configurations of models: success, cost, time."),
    "config": ("config", "Show the effective settings and where each comes from."),
    "doctor": ("doctor", "Check the environment and say what to do about it."),
    "schema": ("schema", "Print a JSON Schema: of the events, of the result, or of the configuration."),
    "demo": ("demo", "The whole job on a sample repository, without a key: the model is a recording."),
}


class LazyGroup(SharedOptions, click.Group):
    """A group whose commands are imported when they are looked up, not when help is printed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"coder.cli.{COMMANDS[name][0]}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, sentence) for name, (_, sentence) in COMMANDS.items()])


@click.group(
    cls=LazyGroup,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Without a command, coder opens the screen for the repository that holds the current directory.",
)
@click.version_option(__version__, message="coder %(version)s")
@click.option("--task", metavar="TEXT", help="Submit this task at once.")
@click.option("--continue", "continue_", is_flag=True, help="Go on with the session used last in this repository.")
@click.option("--resume", metavar="ID", help="Go on with this session; the beginning of its id is enough.")
@click.option("--plain", is_flag=True, help="Work line by line, without a full screen.")
@click.pass_context
def coder(ctx: click.Context, /, task: str | None, continue_: bool, resume: str | None, plain: bool) -> int | None:
    """A terminal coding assistant: every change is drafted, tested in a sandbox, reviewed by hunk, and undoable."""
    given = {"--task": task is not None, "--continue": continue_, "--resume": resume is not None, "--plain": plain}
    if ctx.invoked_subcommand is not None:
        gc.enable()
        for flag in (flag for flag, is_given in given.items() if is_given):
            raise click.UsageError(f"{flag} goes with `coder` alone, not with a command", ctx)
        return None
    if continue_ and resume is not None:
        raise click.UsageError("--continue and --resume exclude each other", ctx)
    if resume is not None and not resume.strip():
        raise click.UsageError("--resume needs the id of a session; see `coder sessions`", ctx)
    if plain:
        gc.enable()
        from coder.cli.plain import open_plain

        return open_plain(ctx, task or "", continue_, resume or "")
    from coder.cli.screen import open_screen

    return open_screen(ctx, task or "", continue_, resume or "")
