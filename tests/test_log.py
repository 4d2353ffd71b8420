"""The log of runs: private, redacted, bounded, and never in the way."""

import os
from pathlib import Path

import pytest

from coder import events
from coder.headless import log
from coder.headless.log import EventLog
from coder.store import Places, find_places
from tests.fake_openai import FakeOpenAI, rate_limited, text
from tests.work import coder, make_repository

SECRET = "hunter2-hunter2"


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return Places(tmp_path / "config", tmp_path / "state", tmp_path / "cache")


def test_a_run_is_logged_without_the_key(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "repo")
    with FakeOpenAI([rate_limited("0"), text("In calc.py, says sk-" + "aB3x" * 6)]) as server:
        for flags in (["--quiet"], ["--verbose"]):
            coder(root, "ask", "where?", *flags, env=server.environ())
    path = find_places().state / "logs" / "runs.log"
    written = path.read_text()
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert "waiting" in written and "ended with 0" in written
    assert "sk-test" not in written and "aB3x" not in written


def test_lines_are_single_redacted_and_inert(places: Places) -> None:
    sink = EventLog(places, verbose=True, secrets=(SECRET,))
    sink(events.Notice(f"a\n\x1b[31m{SECRET}\u202e" + "x" * 9_000))
    sink(events.TextDelta("not logged"))
    sink.close()
    (line,) = (places.state / "logs" / "runs.log").read_text().splitlines()
    assert SECRET not in line and "\x1b" not in line and "\u202e" not in line
    assert len(line) < 2_200


def test_the_log_is_turned_over(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "MAX_BYTES", 100)
    for number in range(12):
        sink = EventLog(places, verbose=False, secrets=())
        sink.write(f"{number} " + "x" * 100)
        sink.close()
    names = sorted(path.name for path in (places.state / "logs").glob("runs.log*"))
    assert names == ["runs.log", "runs.log.1", "runs.log.2", "runs.log.3", "runs.log.lock"]
    assert " 11 " in (places.state / "logs" / "runs.log").read_text()


def test_a_log_that_cannot_be_written_is_no_reason_to_fail(places: Places) -> None:
    places.state.mkdir()
    (places.state / "logs").write_text("in the way")
    sink = EventLog(places, verbose=False, secrets=())
    sink.write("x")
    sink.close()
    assert (places.state / "logs").read_text() == "in the way"


def test_a_link_in_its_place_is_not_followed(places: Places, tmp_path: Path) -> None:
    (places.state / "logs").mkdir(parents=True)
    (tmp_path / "victim").write_text("mine")
    os.symlink(tmp_path / "victim", places.state / "logs" / "runs.log")
    sink = EventLog(places, verbose=False, secrets=())
    sink.write("x")
    sink.close()
    assert (tmp_path / "victim").read_text() == "mine"
