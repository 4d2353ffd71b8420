"""Exceptions named by who must act, and the exit codes of the contract. Imports nothing of coder."""

from enum import IntEnum
from typing import ClassVar


class Exit(IntEnum):
    """What a process ends with; `status` and `sentence` say the same in words (README, "Exit codes")."""

    status: str
    sentence: str

    def __new__(cls, code: int, status: str, sentence: str) -> "Exit":
        member = int.__new__(cls, code)
        member._value_ = code
        member.status = status
        member.sentence = sentence
        return member

    @classmethod
    def of_signal(cls, number: int) -> "Exit":
        """The code of a process that this signal ended; INTERRUPT for one that has no code of its own."""
        return {int(code): code for code in cls}.get(128 + number, cls.INTERRUPT)

    DONE = 0, "done", "the answer was given, or the change is in place and its tests hold"
    FAILED = 1, "failed", "the task was not accomplished"
    USAGE = 2, "usage", "a bad flag or configuration, no repository, or no key"
    REFUSED = 3, "refused", "policy, trust, a protected path or a missing sandbox forbids it"
    API = 4, "api", "the model API said no, and waiting will not help"
    LIMIT = 5, "limit", "a limit was reached: cost, steps, time or context"
    UNCHANGED = 6, "unchanged", "the task ended without any edit"
    INTERNAL = 70, "internal", "a bug of coder; the log has the details"
    TEMPORARY = 75, "temporary", "the API stayed unavailable for the whole retry budget"
    HANGUP = 129, "interrupted", "stopped by SIGHUP"
    INTERRUPT = 130, "interrupted", "stopped by SIGINT"
    QUIT = 131, "interrupted", "stopped by SIGQUIT"
    PIPE = 141, "interrupted", "the reader of the output went away"
    TERMINATE = 143, "interrupted", "stopped by SIGTERM"


class CoderError(Exception):
    """Ends the command. `message` is one line for the user, `hint` says what to do about it."""

    exit: ClassVar[Exit] = Exit.INTERNAL

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UserError(CoderError):
    """The user can mend it: a flag, the configuration, the place coder was started in."""

    exit = Exit.USAGE


class Failed(CoderError):
    """The work could not be accomplished, and nothing was written."""

    exit = Exit.FAILED


class Refused(CoderError):
    """Policy, trust, a protected path or a missing sandbox forbids it."""

    exit = Exit.REFUSED


class ApiError(CoderError):
    """The model API said no and waiting will not help. `code` is the provider's own, where it gave one."""

    exit = Exit.API

    def __init__(self, message: str, hint: str = "", code: str = "") -> None:
        super().__init__(message, hint)
        self.code = code


class TemporaryApiError(ApiError):
    """The retry budget was spent on failures that may pass: 429, 5xx, stalls, cut streams."""

    exit = Exit.TEMPORARY


class ContextExceeded(ApiError):
    """The server finds the request longer than the model's window, and nothing more could be left out of it."""

    exit = Exit.LIMIT


class LimitReached(CoderError):
    """A limit of the user's was reached: cost, steps, time or context."""

    exit = Exit.LIMIT


class ToolError(Exception):
    """A mistake the model can mend; the text goes back to it as the tool's result."""


class Interrupted(BaseException):
    """A signal asked the process to end. Not an Exception: nothing but the outermost door may catch it."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(signal_number)
        self.exit = Exit.of_signal(signal_number)
