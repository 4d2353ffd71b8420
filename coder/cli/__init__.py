"""The command line: flags → configuration → a face. Only light imports here, so that `--help` stays fast."""

import contextlib
import errno
import gc
import os
import sys
from typing import NoReturn

from coder import __version__
from coder.errors import CoderError, Exit, Interrupted

OWE_A_RESULT = frozenset({"run", "ask", "triage"})  # commands that print one however they end


def main(argv: list[str] | None = None) -> NoReturn:
    """The program. Ends the process with an exit code of the contract, whatever happens inside."""
    gc.disable()  # what imports make is no garbage; a command, and the screen's first frame, turn it on again
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "1")  # other packages' code; also slow to look for
    code = exit_code(sys.argv[1:] if argv is None else argv)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()
    if telemetry := sys.modules.get("coder.headless.telemetry"):
        _tell(telemetry.close())
    # All is written and closed by now. Python would take half a second more to tear down the SDK's classes.
    os._exit(code)


def exit_code(argv: list[str]) -> int:
    """`main` without leaving the process: the door where every error becomes a line and an exit code."""
    if argv == ["--version"]:  # click alone takes longer than all the rest of this
        return _print_version()
    from coder.cli import doors

    doors.guard_streams()
    try:
        if not OWE_A_RESULT.isdisjoint(argv):
            doors.catch_signals()
        import click

        from coder.cli.commands import coder
    except (Interrupted, KeyboardInterrupt) as stop:
        return doors.interrupted(argv, getattr(stop, "exit", Exit.INTERRUPT))
    try:
        ended = coder.main(args=argv, prog_name="coder", standalone_mode=False)
        code = ended if isinstance(ended, int) else Exit.DONE
        doors.flush_stdout(code)
        return int(code)
    except click.exceptions.Exit as done:
        return done.exit_code
    except click.ClickException as error:
        return doors.usage_error(argv, error)
    except CoderError as error:
        return doors.coder_error(argv, error)
    except (BrokenPipeError, SystemExit):  # click makes the one of the other
        return doors.broken_pipe()
    except Interrupted as stop:
        return doors.interrupted(argv, stop.exit)
    except (KeyboardInterrupt, click.Abort):
        return doors.interrupted(argv)
    except OSError as error:
        return doors.system_error(argv, error)
    except MemoryError:
        return doors.system_error(argv, OSError(errno.ENOMEM, os.strerror(errno.ENOMEM)))
    except Exception:
        return doors.internal_error(argv)


def _tell(complaints: list[str]) -> None:
    from coder.cli.doors import say

    for complaint in complaints:
        say(f"coder: warning: {complaint}")


def _print_version() -> int:
    try:
        print(f"coder {__version__}", flush=True)
        return Exit.DONE
    except BrokenPipeError:
        return Exit.PIPE
    except OSError:
        return Exit.FAILED
