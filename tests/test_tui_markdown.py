"""Replies as they are laid out: tables in columns, also while they are written."""

import pytest

from coder.tui.lines import plain
from coder.tui.markdown import Markdown

TABLE = """Prices:

| Name | Price | What it is |
|:-----|------:|:----------:|
| `a\\|b` | 1 | **first** |
| gamma | 22,000 | a cell with more words than there is room for in one row of it |

After it.
"""


def shown(text: str, width: int) -> list[str]:
    return [plain(row).rstrip() for row in Markdown(text).rows(width)]


def test_a_table_stands_in_columns_to_the_side_that_it_asks_for() -> None:
    assert shown(TABLE, 54) == [
        "Prices:",
        "",
        "Name  │  Price │              What it is",
        "──────┼────────┼──────────────────────────────────────",
        "a|b   │      1 │                 first",
        "gamma │ 22,000 │ a cell with more words than there is",
        "      │        │       room for in one row of it",
        "",
        "After it.",
    ]


def test_a_table_without_room_for_its_columns_stays_as_it_was_written() -> None:
    assert "| Name | Price |" in " ".join(shown(TABLE, 18))


@pytest.mark.parametrize("text", ["| a | b |\n| no | table |", "```\n| a | b |\n|---|---|\n```", "| a | b |\n|---|---"])
def test_what_only_looks_like_a_table_stays_as_it_was_written(text: str) -> None:
    assert any("| a | b |" in row for row in shown(text, 80))


@pytest.mark.parametrize("width", [100, 54, 30])
def test_a_table_that_is_being_written_never_becomes_lower(width: int) -> None:
    growing, heights = Markdown(), [0]
    for character in TABLE:
        growing.feed(character)
        heights.append(len(growing.rows(width)))
    assert heights == sorted(heights)
    assert growing.rows(width) == Markdown(TABLE).rows(width)
