"""A desk on a real repository and a client on the fake server: what the tests of agents and tools stand on."""

import asyncio
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from coder.agents.agent import make_agent
from coder.agents.loop import Limits, TurnEnd, run_turn
from coder.agents.tool import Desk
from coder.config import LimitSettings, Settings
from coder.events import Event
from coder.model.client import Client
from coder.model.messages import user_message
from coder.repo.draft import Draft
from coder.repo.repository import Repository
from coder.store import Places
from coder.tools import ALL
from tests.fake_openai import FakeOpenAI

LIMITS, SETTINGS = Limits(), Settings()

FILES = {
    "calc.py": "def add(a, b):\n    return a - b\n\n\ndef sub(a, b):\n    return a - b\n",
    "src/util.py": 'def greet(name):\n    return f"hello {name}"\n',
    "README.md": "# calc\n\nAdds numbers.\n",
}

FIX = """*** Begin Patch
*** Update File: calc.py
@@ def add(a, b):
-    return a - b
+    return a + b
*** End Patch
"""


def make_repository(root: Path, files: Mapping[str, str | bytes] = FILES) -> Path:
    """A git repository with one commit that holds `files`."""
    root.mkdir(parents=True, exist_ok=True)
    for path, content in files.items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content.encode() if isinstance(content, str) else content)
    for arguments in (
        ["init", "-q"],
        ["add", "-A"],
        ["-c", "user.name=t", "-c", "user.email=t@example.com", "commit", "-qm", "one"],
    ):
        subprocess.run(["git", "-C", root, *arguments], check=True, timeout=30)
    return root


def places_in(root: Path) -> Places:
    return Places(root / "config", root / "state", root / "cache")


@dataclass
class Bench:
    """A desk and the events it emitted."""

    desk: Desk
    root: Path
    places: Places
    events: list[Event] = field(default_factory=list)

    def seen(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    def draft_text(self, path: str) -> str:
        return (self.desk.draft.read(path) or b"").decode()


@contextmanager
def bench(tmp_path: Path, files: Mapping[str, str | bytes] = FILES) -> Iterator[Bench]:
    root, places = make_repository(tmp_path / "repo", files), places_in(tmp_path)
    repository = Repository.open(root, places, "test")
    events: list[Event] = []
    try:
        yield Bench(Desk(Draft(repository, repository.snapshot()), events.append), root, places, events)
    finally:
        repository.close()


def settings(**limits: Any) -> Settings:
    return Settings(limits=LimitSettings(**limits))


def turn(
    bench: Bench,
    server: FakeOpenAI,
    history: list[dict[str, Any]] | None = None,
    limits: Limits = LIMITS,
    config: Settings = SETTINGS,
    prompt: str = "coder",
) -> TurnEnd:
    """One turn of the main agent against the fake server."""

    async def run() -> TurnEnd:
        client = Client(config, bench.places, "test", bench.desk.emit, environ=server.environ())
        try:
            conversation = [user_message("Fix add.")] if history is None else history
            return await run_turn(make_agent(prompt, config, ALL), client, conversation, bench.desk, limits, "test")
        finally:
            await client.aclose()

    return asyncio.run(run())


def outputs(server: FakeOpenAI) -> list[str]:
    """The answers to tool calls in the last request, in order."""
    return [item["output"] for item in server.requests[-1].body["input"] if item["type"].endswith("_output")]
