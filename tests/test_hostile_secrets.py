"""Secrets of the machine and of the repository: in no request, whoever tries to carry them there."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests import warm
from tests.fake_openai import Answer, FakeOpenAI, free_text_call, text, tool_call
from tests.work import CALC, FIX, UNITTEST, coder, make_repository

KEY = "sk-canary-key-0123456789"
TELLING = """import unittest
from calc import add

class T(unittest.TestCase):
    def test_x(self):
        self.assertEqual(add(2, 3), 5)
        self.fail(open('.env').read())
"""


def test_a_failing_test_does_not_carry_a_tracked_secret_file_into_a_request(tmp_path: Path) -> None:
    secrets = {".env": 'DB_PASSWORD="correct-horse-battery"\nPLAIN: tracked-canary\n'}
    root = make_repository(tmp_path / "repo", {"calc.py": CALC, "test_calc.py": TELLING, **secrets})
    steps = [free_text_call("apply_patch", FIX), tool_call("run_tests", {}), text("done"), text("done")]

    def answer(body: dict[str, Any]) -> Answer:
        if body["model"] != "gpt-5.4-mini":
            return text("{}")
        return steps[min(3, sum("output" in item.get("type", "") for item in body["input"]))]

    with FakeOpenAI(answer) as server:
        ended = coder(root, "run", "x", "--test", UNITTEST, "--output", "json", env=server.environ(KEY))
        sent = json.dumps(server.bodies())
    assert ended.result["tests"]["status"] == "failed", ended.err
    assert "FAIL" in sent
    kept = "".join(path.read_text() for path in Path(ended.result["tests"]["log"]).parent.glob("*.log"))
    assert "FAIL" in kept
    seen = sent + ended.out + kept
    assert [canary for canary in ("correct-horse-battery", "tracked-canary", KEY) if canary in seen] == []


def test_a_key_that_a_model_repeats_is_not_passed_on(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "repo")
    with FakeOpenAI([text(f"your key is {KEY}")]) as server:
        flags = ["--output", "jsonl", "--output-file", str(tmp_path / "result.json")]
        ended = warm.coder(root, "ask", "what is my key?", *flags, env=server.environ(KEY))
    exported = warm.coder(root, "sessions", "export", ended.lines[-1]["session"], "--output", "json")
    shown = [ended.out, (tmp_path / "result.json").read_text(), exported.out]
    assert all("your key is [redacted" in each and KEY not in each for each in shown)


@pytest.mark.skipif(not shutil.which("strace"), reason="strace is not installed")
def test_only_the_api_is_ever_connected_to(tmp_path: Path) -> None:
    root, trace = make_repository(tmp_path / "repo"), tmp_path / "trace"
    follow = ["strace", "-f", "-qq", "-o", str(trace), "-e", "trace=connect,sendto,sendmsg"]
    with FakeOpenAI([free_text_call("apply_patch", FIX), text("done")]) as server:
        line = [*follow, sys.executable, "-m", "coder", "run", "x", "--no-test"]
        env = {**os.environ, **server.environ()}
        done = subprocess.run(line, cwd=root, env=env, stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
        port = server.base_url.rpartition(":")[2].partition("/")[0]
    assert done.returncode == 0, done.stderr
    assert set(re.findall(r"sin6?_port=htons\((\d+)\)", trace.read_text())) == {port}


@pytest.mark.skipif(os.getuid() != 0 or not shutil.which("setpriv"), reason="needs root, to become another user")
def test_another_process_of_the_same_user_cannot_read_the_key(tmp_path: Path) -> None:
    become = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
    with FakeOpenAI([text("slow").stall(1, 20)]) as server:
        # the temporary directory of the tests is root's alone, so the repository is made where the other user may go
        base = Path(
            subprocess.check_output([*become, "mktemp", "-d"], text=True, env={"PATH": os.environ["PATH"]}).strip()
        )
        try:
            root = make_repository(base / "repo")
            subprocess.run(["chown", "-R", "65534", str(base)], check=True)
            kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
            env = {**kept, "HOME": str(base), **server.environ(KEY)}
            line = [*become, sys.executable, "-m", "coder", "run", "x", "--no-test"]
            process = subprocess.Popen(line, cwd=root, env=env, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            while not server.requests and process.poll() is None:
                time.sleep(0.05)
            running = process.poll() is None
            seen = subprocess.run([*become, "cat", f"/proc/{process.pid}/environ"], capture_output=True)
            process.kill()
            process.wait(20)
        finally:
            shutil.rmtree(base)
    if not running:
        pytest.skip("the interpreter cannot be reached by another user")
    assert (seen.returncode, KEY.encode() in seen.stdout) == (1, False)
