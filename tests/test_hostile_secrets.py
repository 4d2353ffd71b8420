"""Secrets of the machine and of the repository: in no request, whoever tries to carry them there."""

import json
from pathlib import Path
from typing import Any

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
    found = [canary for canary in ("correct-horse-battery", "tracked-canary", KEY) if canary in sent + ended.out]
    assert found == []
