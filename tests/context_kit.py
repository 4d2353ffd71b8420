"""Small repositories and plans for the tests of coder.context."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from coder.config import ContextSettings
from coder.context.plan import make_plan
from coder.repo.repository import Repository
from coder.values import ContextPlan
from tests.desk import make_repository, places_in

FILLER = "".join(f"def unrelated_{number}(value):\n    return value * {number}\n\n\n" for number in range(60))

PROJECT: dict[str, str | bytes] = {
    "src/watcher.py": '"""Watches files."""\n\n\nclass FileWatcher:\n    def start(self):\n        return 1\n' + FILLER,
    "src/render.py": "def draw(screen):\n    return screen\n" + FILLER,
    "src/cli/main.py": "from src.watcher import FileWatcher\n\n\ndef main():\n    FileWatcher().start()\n" + FILLER,
    "tests/test_watcher.py": "from src.watcher import FileWatcher\n\n\ndef test_start():\n    pass\n" + FILLER,
    "docs/guide.md": "# Guide\n\n## Watching files\n\n" + "words " * 2_000,
}


def plan_of(root: Path, task: str, budget: int = 4_000, **options: Any) -> ContextPlan:
    """The plan for the repository at `root`, its cache and state beside it."""
    settings = ContextSettings(budget=budget)
    with Repository.open(root, places_in(root.parent), "test") as repository:
        return make_plan(repository, repository.snapshot(), task, settings, places_in(root.parent), **options)


def project(tmp_path: Path, files: Mapping[str, str | bytes] = PROJECT) -> Path:
    return make_repository(tmp_path / "project", files)


def modes(plan: ContextPlan) -> dict[str, str]:
    return {entry.path: entry.mode for entry in plan.entries}


def shown(plan: ContextPlan) -> str:
    """Every text of a plan."""
    return "".join(entry.text for entry in plan.entries)


def lines_of(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]
