"""Lines to and from a person: what is the result goes to stdout, all else to stderr; questions default to no.

Everything shown passes `text.visible`. On a terminal that can, lines of input have readline's history and keys.
"""

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from coder.store import append_line, private_dir
from coder.text import redact, visible, visible_line

MAX_HISTORY = 500
_COLOURS = {"added": "\x1b[32m", "removed": "\x1b[31m", "strong": "\x1b[1m", "loud": "\x1b[1;31m"}


class Console:
    """`scripted`: the input is no terminal, so that answers come from a file or a pipe and are echoed.

    `reading` is True while it waits for a line: then an interrupt is the person's word to that question.
    """

    def __init__(self, *, history: Path | None = None, secrets: Sequence[str] = (), quiet: bool = False) -> None:
        self.scripted = sys.stdin is None or not sys.stdin.isatty()
        self.reading = False
        self._quiet = quiet
        self._history = history
        self._secrets = tuple(secrets)
        dumb = os.environ.get("TERM", "dumb") in ("dumb", "")
        on_terminal = not self.scripted and sys.stdout is not None and sys.stdout.isatty()
        self._colour = on_terminal and not dumb and not os.environ.get("NO_COLOR")
        self._readline = on_terminal and not dumb and self._open_readline()
        self._held, self._line_is_open = "", False  # of a reply that is being shown piece by piece

    # ── output ──

    def show(self, text: str, style: str = "") -> None:
        """A part of the result, as a line or several."""
        self._end_stream()
        self._print(visible(redact(text, self._secrets)), sys.stdout, style)

    def say(self, text: str, style: str = "") -> None:
        """A word beside the result."""
        if not self._quiet:
            self._end_stream()
            self._print(visible(redact(text, self._secrets)), sys.stderr, style)

    def stream(self, piece: str) -> None:
        """The next piece of a reply as it comes."""
        text = self._held + piece
        self._held = "\r" if text.endswith("\r") else ""  # its newline may be in the next piece
        text = visible(text.removesuffix("\r"))
        if text:
            self._line_is_open = not text.endswith("\n")
            print(text, end="", file=sys.stdout, flush=True)

    def _end_stream(self) -> None:
        if self._line_is_open:
            print(file=sys.stdout, flush=True)
        self._held, self._line_is_open = "", False

    def _print(self, text: str, file: IO[str] | None, style: str) -> None:
        if file is None:
            return
        if style and self._colour:
            text = "\n".join(f"{_COLOURS[style]}{line}\x1b[0m" for line in text.split("\n"))
        print(text, file=file, flush=True)

    # ── input ──

    def read_task(self, prompt: str) -> str:
        """A task or a command; a backslash at the end of a line goes on in the next. Raises EOFError at the end."""
        lines = [self._read(prompt)]
        while lines[-1].endswith("\\"):
            lines[-1] = lines[-1][:-1]
            lines.append(self._read("... "))
        text = "\n".join(lines).strip()
        if text and not self.scripted:
            self._remember(text)
        return text

    def ask(self, question: str) -> str:
        """An answer in one line. What was typed before the question appeared is no answer to it: it is thrown away."""
        self._end_stream()
        self._drop_typed_ahead()
        return self._read(question).strip()

    def confirm(self, question: str) -> bool:
        """Yes or no; no at the end of the input and for everything that isn't yes."""
        try:
            return self.ask(f"{question} [y/N] ").lower() in ("y", "yes")
        except EOFError:
            return False

    def _read(self, prompt: str) -> str:
        self._end_stream()
        shown = visible_line(prompt)
        self.reading = True
        try:
            if self._readline:
                return input(shown)
            print(shown, end="", file=sys.stderr, flush=True)
            line = sys.stdin.readline() if sys.stdin is not None else ""
        finally:
            self.reading = False
        if self.scripted:  # as if it had been typed
            print(visible(line.rstrip("\n")), file=sys.stderr, flush=True)
        if not line:
            raise EOFError
        return line.rstrip("\n")

    def _drop_typed_ahead(self) -> None:
        if self.scripted:
            return
        import termios

        termios.tcflush(sys.stdin.fileno(), termios.TCIFLUSH)

    # ── history ──

    def _open_readline(self) -> bool:
        try:
            import readline
        except ImportError:
            return False
        readline.set_auto_history(False)
        for text in _read_history(self._history):
            readline.add_history(text.replace("\n", " "))
        return True

    def _remember(self, text: str) -> None:
        if self._readline:
            import readline

            readline.add_history(text.replace("\n", " "))
        if self._history is not None:
            try:
                private_dir(self._history.parent)
                append_line(self._history, json.dumps(text).encode())
            except OSError:
                return  # a full disk must not keep anyone from asking


def _read_history(path: Path | None) -> list[str]:
    """The tasks asked before, oldest first, from the file of JSON lines that the screen keeps too."""
    try:
        lines = path.read_bytes().splitlines()[-MAX_HISTORY:] if path else []
    except OSError:
        return []
    tasks = []
    for line in lines:
        try:
            task = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(task, str) and task:
            tasks.append(task)
    return tasks
