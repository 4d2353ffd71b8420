"""The program inside the test's own process: what takes no terminal, no signal and no kill is quicker so."""

import ctypes
import io
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from coder.cli import exit_code
from coder.headless.signals import SIGNALS
from tests.work import Ended

PR_SET_DUMPABLE = 4


def inside(root: Path, *args: str, env: Mapping[str, str] | None = None, stdin: str = "") -> Ended:
    """As `work.coder`: `coder ARGS` in `root`, with the same answer."""
    heard = {number: signal.getsignal(number) for number in SIGNALS}
    streams = {name: io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for name in ("stdout", "stderr")}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        for name, value in (env or {}).items():
            patch.setenv(name, value)
        patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode()), encoding="utf-8"))
        for name, stream in streams.items():
            patch.setattr(sys, name, stream)
        try:
            code = exit_code(list(args))
        finally:
            for number, handler in heard.items():
                signal.signal(number, handler)
            if sys.platform == "linux":  # what the program keeps from others, the tests' process must give again
                ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)
    shown = []
    for stream in streams.values():
        stream.flush()
        assert isinstance(stream.buffer, io.BytesIO)
        shown.append(stream.buffer.getvalue().decode())
    return Ended(code, *shown)
