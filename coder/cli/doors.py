"""Where errors leave the program: one line with what to do, the exit code, and a result for machines that asked.

Imports stay light: most of this runs only when something went wrong.
"""

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from coder.errors import ApiError, CoderError, Exit

if TYPE_CHECKING:
    import click


def guard_process() -> None:
    """Keep this process's memory and environment (the key is there) from others of the same user; no core dumps."""
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        import ctypes

        PR_SET_DUMPABLE = 4
        ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)


def guard_streams() -> None:
    """A closed standard stream becomes the null device, else a file opened later would take its number.

    An ASCII locale or an undecodable file name must not end in UnicodeEncodeError.
    """
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        if getattr(sys, name) is None:
            descriptor = os.open(os.devnull, os.O_RDWR)
            if descriptor != number:
                os.dup2(descriptor, number)
                os.close(descriptor)
            os.set_inheritable(number, True)
            setattr(sys, name, os.fdopen(number, mode, encoding="utf-8"))
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure:
            reconfigure(encoding="utf-8", errors="backslashreplace")


def catch_signals() -> None:
    """Until the run has handlers of its own, a signal ends the process through the door, with a result."""
    import signal

    from coder.errors import Interrupted

    def stop(number: int, _frame: object) -> None:
        raise Interrupted(number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, stop)


def flush_stdout(code: int) -> None:
    """Find out now, not at interpreter shutdown, whether the reader of the output is still there.

    A command that has failed has said why: a disk that is full is not told of again.
    """
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError:
        if not code:
            raise
        _drop_stdout()


def say(line: str) -> None:
    """One line to the person, on stderr; a closed stderr is no reason to fail."""
    from coder.text import inert, redact, visible

    try:
        print(inert(visible(redact(line, known_secrets()))), file=sys.stderr, flush=True)
    except (OSError, ValueError, AttributeError):
        pass


def known_secrets() -> tuple[str, ...]:
    """Values of this environment that must never be shown, by the names that such variables have."""
    names = ("KEY", "TOKEN", "SECRET", "PASSWORD", "PASSWD", "CREDENTIAL")
    return tuple(value for name, value in os.environ.items() if any(part in name.upper() for part in names))


def usage_error(argv: Sequence[str], error: "click.ClickException") -> int:
    ctx = getattr(error, "ctx", None)
    path = ctx.command_path if ctx else "coder"
    return _end(argv, Exit.USAGE, error.format_message(), f"see `{path} --help`")


def coder_error(argv: Sequence[str], error: CoderError) -> int:
    return _end(argv, error.exit, error.message, error.hint, error.code if isinstance(error, ApiError) else "")


def system_error(argv: Sequence[str], error: OSError) -> int:
    where = f"{os.fsdecode(error.filename)}: " if error.filename else ""
    return _end(argv, Exit.FAILED, f"{where}{error.strerror or error}", "nothing was changed")


def interrupted(argv: Sequence[str], code: Exit = Exit.INTERRUPT) -> int:
    return _end(argv, code, code.sentence, "")


def broken_pipe() -> int:
    """The reader went away: nothing more can be said to it, and Python must not try at shutdown."""
    _drop_stdout()
    return Exit.PIPE


def _drop_stdout() -> None:
    """What could not be written must not be tried again at the end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def internal_error(argv: Sequence[str]) -> int:
    import traceback

    log = write_log(traceback.format_exc())
    return _end(argv, Exit.INTERNAL, "a bug in coder", f"please report it with {log}" if log else "")


def write_log(text: str) -> str:
    """Append to the log in the state directory (0600, redacted); its path, or "" where nothing can be written."""
    from coder.store import append_line, find_places, private_dir
    from coder.text import redact

    try:
        path = private_dir(find_places().state / "logs") / "coder.log"
        append_line(path, redact(text, known_secrets()).encode("utf-8", "backslashreplace"))
        return str(path)
    except (OSError, CoderError):
        return ""


def _end(argv: Sequence[str], code: Exit, message: str, hint: str, api_code: str = "") -> int:
    say(f"coder: {message}" + (f"\n  {hint}" if hint else ""))
    form, file = asked_for_json(argv), _option(argv, "--output-file")
    if not form and not file:
        return code
    from coder.headless.result import dump, error_result

    result = error_result(code, message, hint, api_code)
    try:
        if file:
            with open(file, "w", encoding="utf-8") as stream:
                stream.write(dump(result, indent=2) + "\n")
    except OSError:
        pass  # that it cannot be written may be the very error
    try:
        if form:
            line = dump({"type": "result", "seq": 0, **result}) if form == "jsonl" else dump(result, indent=2)
            print(line, flush=True)
    except BrokenPipeError:
        return broken_pipe()
    except OSError as error:
        say(f"coder: cannot write the result: {error.strerror}")
        return Exit.FAILED
    return code


def asked_for_json(argv: Sequence[str]) -> str:
    """ "json" or "jsonl" if the arguments ask for it, even when they are wrong otherwise; else ""."""
    value = _option(argv, "--output")
    return value if value in ("json", "jsonl") else ""


def _option(argv: Sequence[str], name: str) -> str:
    """The last value given to an option, as far as that can be told of arguments that may be wrong."""
    options = argv[: argv.index("--")] if "--" in argv else argv
    following = [*options[1:], ""]
    given = [
        following[place] if argument == name else argument.removeprefix(f"{name}=")
        for place, argument in enumerate(options)
        if argument == name or argument.startswith(f"{name}=")
    ]
    return given[-1] if given else ""
