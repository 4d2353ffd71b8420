"""Each exit code of the contract, reached by a real command; the table is golden: it changes on purpose only."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from coder.errors import Exit
from tests.fake_openai import FakeOpenAI, forever, free_text_call, server_error, text, unauthorized
from tests.schemas import check_result
from tests.warm import coder
from tests.work import FIX, UNITTEST, Ended, make_repository, state_of

GOLDEN = Path(__file__).parent / "golden" / "exit-codes.txt"
TESTED = ["--test", UNITTEST]
CI_EDIT = "*** Begin Patch\n*** Add File: .github/workflows/ci.yml\n+on: push\n*** End Patch\n"


@dataclass(frozen=True)
class Row:
    """A command that ends with `code`. `script` is what the model answers, `event` what else happens."""

    code: int
    command: list[str]
    script: Iterable[Any] = ()
    event: str = ""
    signal: int = 0
    env: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        shown = " ".join(self.command).replace(UNITTEST, "'python -m unittest'")
        return f"{self.code} {Exit(self.code).status}: coder {shown}{f'  ({self.event})' if self.event else ''}"


def fixes() -> list[Any]:
    return [free_text_call("apply_patch", FIX), text("add() now adds.")]


def wrong() -> list[Any]:
    return [free_text_call("apply_patch", FIX.replace("+ b", "* b")), *[text("done")] * 9]


def stalled() -> list[Any]:
    return [text("slow").stall(2, 30)]


TABLE = [
    Row(0, ["run", "mend add", *TESTED], fixes(), "the change is in place, its tests pass"),
    Row(0, ["ask", "where?"], [text("In calc.py.")]),
    Row(0, ["triage", "--", *UNITTEST.split()], (), "the report is given, whatever it says"),
    Row(1, ["run", "mend add", *TESTED], wrong(), "its tests fail"),
    Row(1, ["apply", "edit.patch"], (), "the edit does not fit"),
    Row(2, ["run", "mend add"], (), "no key", env={"OPENAI_API_KEY": "", "OPENAI_BASE_URL": ""}),
    Row(2, ["run", "mend add", "--max-cost", "lots"]),
    Row(2, ["triage"]),
    Row(3, ["run", "add ci", "--no-test"], [free_text_call("apply_patch", CI_EDIT), text("done")], "a protected path"),
    Row(4, ["run", "mend add", "--no-test"], forever(unauthorized()), "401"),
    Row(5, ["run", "mend add", "--no-test", "--max-cost", "0"]),
    Row(5, ["run", "mend add", "--no-test", "--max-steps", "1"], fixes()),
    Row(5, ["run", "mend add", "--no-test", "--timeout", "1.5"], stalled(), "a stalled stream"),
    Row(6, ["run", "mend add", "--no-test"], [text("It is right as it is.")]),
    Row(70, ["run", "mend add", "--no-test"], (), "a bug, planted in a library", env={"PYTHONPATH": "planted"}),
    Row(75, ["run", "mend add", "--no-test", "--retry-budget", "0"], forever(server_error()), "500 forever"),
    Row(129, ["run", "mend add", "--no-test"], stalled(), "SIGHUP while streaming", signal.SIGHUP),
    Row(130, ["run", "mend add", "--no-test"], stalled(), "SIGINT while streaming", signal.SIGINT),
    Row(131, ["run", "mend add", "--no-test"], stalled(), "SIGQUIT while streaming", signal.SIGQUIT),
    Row(141, ["run", "mend add", "--no-test"], fixes(), "the reader of stdout went away", signal.SIGPIPE),
    Row(143, ["run", "mend add", "--no-test"], stalled(), "SIGTERM while streaming", signal.SIGTERM),
]  # fmt: skip


def test_the_table_is_whole_and_as_published() -> None:
    assert {row.code for row in TABLE} == {int(code) for code in Exit}
    assert "\n".join(map(str, TABLE)) + "\n" == GOLDEN.read_text()


def carry_out(row: Row, root: Path, env: dict[str, str], requests: list[Any]) -> Ended:
    form = ["--output", "json"] if row.command[0] != "apply" else []
    arguments = [row.command[0], *form, *row.command[1:]]
    if not row.signal and "PYTHONPATH" not in row.env:
        return coder(root, *arguments, env=env)
    command = [sys.executable, "-m", "coder", *arguments]
    process = subprocess.Popen(
        command, cwd=root, env={**os.environ, **env}, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    if row.signal == signal.SIGPIPE:
        process.stdout.close()
        process.wait(60)
        return Ended(process.returncode, "", process.stderr.read().decode() if process.stderr else "")
    deadline = time.monotonic() + 60
    while row.signal and not requests and time.monotonic() < deadline:
        time.sleep(0.02)
    if row.signal:
        process.send_signal(row.signal)
    out, err = process.communicate(timeout=60)
    return Ended(process.returncode, out.decode(), err.decode())


@pytest.mark.parametrize("row", TABLE, ids=str)
def test_each_code_is_reached(row: Row, tmp_path: Path) -> None:
    root = make_repository(tmp_path / "repo")
    planted = tmp_path / "planted"
    planted.mkdir()
    (planted / "openai.py").write_text("raise ZeroDivisionError('planted')\n")
    env = {name: str(planted) if value == "planted" else value for name, value in row.env.items()}
    (root / "edit.patch").write_text(FIX.replace("a - b", "nothing like it"))
    before = state_of(root)
    with FakeOpenAI(row.script) as server:
        ended = carry_out(row, root, {**server.environ(), **env}, server.requests)
    assert ended.code == row.code, ended.err
    assert "Traceback" not in ended.err
    if row.code or row.command[0] != "run":
        assert state_of(root) == before
    if row.command[0] != "apply" and row.code != 141:
        check_result(ended.result)
        assert ended.result["status"] == Exit(row.code).status
        assert (ended.result["error"] is None) == (row.code in (0, 6))
