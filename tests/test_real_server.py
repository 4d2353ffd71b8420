"""Against a server that others wrote: llama.cpp's, with random weights. Garbage comes; a clear result must come of it.

Skipped where its packages are missing: pip install xllamacpp gguf
"""

import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.work import UNITTEST, Ended, coder, make_repository, state_of

MISSING = [name for name in ("xllamacpp", "gguf") if importlib.util.find_spec(name) is None]
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"{' and '.join(MISSING)} not installed")
SIZES = "[models.random]\ncontext = 200_000\nmax_input = 150_000\nmax_output = 400\nprices.default = [0, 0, 0]\n"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    model = tmp_path_factory.mktemp("model") / "random.gguf"
    command = [sys.executable, str(Path(__file__).with_name("llamacpp.py")), str(model)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        assert server.stdout is not None
        yield server.stdout.readline().strip() + "/v1"
        server.kill()


def use(root: Path, address: str, api: str, *arguments: str) -> Ended:
    """One run; whatever the model said, its end is one of the contract. The sizes claim more than the server takes."""
    config = Path(os.environ["HOME"]) / ".config" / "coder"
    config.mkdir(parents=True, exist_ok=True)
    (config / "models.toml").write_text(SIZES)
    models = ["--model", "random", "--subagent-model", "random", "--retry-budget", "2", "--output", "json"]
    command, *rest = arguments
    before = state_of(root)
    ended = coder(root, command, "--set", f"api={api}", *models, *rest, env={"OPENAI_BASE_URL": address})
    assert "Traceback" not in ended.err
    assert ended.result["exit_code"] == 0 or state_of(root) == before
    return ended


@pytest.mark.parametrize("api", ["chat", "responses"])
def test_garbage_ends_in_a_clear_result(tmp_path: Path, address: str, api: str) -> None:
    root = make_repository(tmp_path / "repo")
    asked = use(root, address, api, "ask", "where?")
    assert asked.code in (0, 1, 75), asked.err
    ran = use(root, address, api, "run", "mend", "--test", UNITTEST)
    assert ran.code in (0, 1, 6, 75), ran.err
    for ended in (asked, ran):
        (usage,) = ended.result["usage"]
        assert (usage["model"], usage["usd"]) == ("random", 0)
        assert usage["input_tokens"] > 500
        assert bool(ended.result["error"]) == (ended.code not in (0, 6))


def test_a_structured_reply_of_garbage_leaves_the_rules_to_judge(tmp_path: Path, address: str) -> None:
    root = make_repository(tmp_path / "repo")
    ended = use(root, address, "chat", "triage", "--", *UNITTEST.split())
    (card,) = ended.result["triage"]
    assert (ended.code, card["tests"], card["source"]) == (0, ["test_calc.T.test_add"], "rules"), ended.err
    assert any("triager" in warning for warning in ended.result["warnings"])


def test_what_is_too_long_for_the_server_is_shortened_and_said(tmp_path: Path, address: str) -> None:
    root = make_repository(tmp_path / "repo", {"long.txt": "all work and no play, once more\n" * 3_000})
    ended = use(root, address, "chat", "ask", "who works?")
    assert ended.code in (0, 1, 75), ended.err
    assert any("too long for the server" in warning for warning in ended.result["warnings"])
