"""Prompts are files: one idea each, holes written `{{name}}` and filled strictly."""

import re
from functools import cache
from pathlib import Path

_HOLE = re.compile(r"\{\{([a-z_]+)\}\}")


@cache
def prompts_dir() -> Path:
    """`coder/_prompts` in an installed package, `prompts/` beside it in a checkout."""
    packaged = Path(__file__).parent / "_prompts"
    return packaged if packaged.is_dir() else Path(__file__).parent.parent / "prompts"


@cache
def load(name: str) -> str:
    """The text of the prompt `name` ("coder", "tools/search"), holes unfilled, ending in no newline."""
    return (prompts_dir() / f"{name}.md").read_text(encoding="utf-8").rstrip("\n")


def holes(name: str) -> frozenset[str]:
    """The names of the holes of a prompt."""
    return frozenset(_HOLE.findall(load(name)))


def fill(name: str, **values: str) -> str:
    """The prompt with every hole filled. A hole left open, or a value without a hole, is an error.

    Values are inserted as they are: a `{{name}}` inside a value is data and stays.
    """
    if holes(name) != values.keys():
        raise ValueError(f"prompt {name!r} has the holes {sorted(holes(name))}, given {sorted(values)}")
    return _HOLE.sub(lambda hole: values[hole.group(1)], load(name))
