"""Where a task comes from: the argument, a file, or standard input; and data that is piped beside it."""

import os
import select
import stat
from pathlib import Path

from coder.errors import UserError

MAX_BYTES = 1_000_000
FIRST_DATA_S = 0.5  # CONTRACT: a piped stdin beside a task is taken if data comes within this time
SILENCE_S = 10.0  # once data came, a pause longer than this ends it, and that is said


def read_task(argument: str) -> tuple[str, str]:
    """The task for `TASK`, `-` or `@FILE` with what was piped beside it; and a remark for stderr, or ""."""
    if argument == "-":
        return checked(_read_all(0), "standard input"), ""
    task = checked(_read_file(Path(argument[1:])), argument[1:]) if argument.startswith("@") else _argument(argument)
    data, remark = piped_data()
    if not data.strip():
        return task, remark
    return f"{task}\n\nData given on standard input:\n{fence(checked(data, 'standard input'))}", remark


def checked(raw: bytes, source: str) -> str:
    """`raw` as the text of a task. Raises UserError naming the source: too long, not UTF-8, NUL, or blank."""
    if len(raw) > MAX_BYTES:
        raise UserError(f"{source} holds more than {MAX_BYTES:,} bytes", "put it into a file and name it in the task")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UserError(f"{source} is not UTF-8 (byte {error.start})", "convert it first") from None
    if "\0" in text:
        raise UserError(f"{source} holds a NUL character", "a task is text")
    if not text.strip():
        raise UserError(f"{source} holds no task", "say what you want done")
    return text


def fence(text: str) -> str:
    """`text` between fences that it cannot close itself."""
    ticks = "```"
    while ticks in text:
        ticks += "`"
    return f"{ticks}\n{text.rstrip()}\n{ticks}"


def piped_data() -> tuple[bytes, str]:
    """What is piped into this process beside its task, without ever waiting on a silent pipe; and a remark."""
    try:
        mode = os.fstat(0).st_mode
    except OSError:
        return b"", ""
    if stat.S_ISREG(mode):
        return _read_all(0), ""
    if not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)):
        return b"", ""
    chunks: list[bytes] = []
    wait = FIRST_DATA_S
    while sum(map(len, chunks)) <= MAX_BYTES:
        if not select.select([0], [], [], wait)[0]:
            if not chunks:
                return b"", "standard input is open but silent and was not read; use - to wait for it"
            return b"".join(chunks), f"standard input paused for {SILENCE_S:g} s; what came until then is used"
        chunk = os.read(0, 65536)
        if not chunk:
            break
        chunks.append(chunk)
        wait = SILENCE_S
    return b"".join(chunks), ""


def _argument(argument: str) -> str:
    return checked(os.fsencode(argument), "the task")


def _read_file(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}", "a task after @ is a file's name") from None


def _read_all(descriptor: int) -> bytes:
    with os.fdopen(os.dup(descriptor), "rb") as file:
        return file.read(MAX_BYTES + 1)
