"""A screen as a small SVG: one rectangle for each stretch of background, one text for each run of characters."""

import io
from collections.abc import Iterable
from html import escape
from itertools import groupby

from rich.cells import cell_len
from rich.color import Color
from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from textual.app import App

COLUMN, ROW = 10, 20  # units of a cell
FONT = "DejaVu Sans Mono, Menlo, Consolas, monospace"
GROUNDS = {True: ("#d4d7dd", "#15171c"), False: ("#26282d", "#fbfbf9")}  # where a style leaves it to the terminal


def svg_of(app: App[int], *, dark: bool = True) -> str:
    """What the app shows, whatever screens lie above each other."""
    width, height = app.size
    console = Console(
        width=width, height=height, file=io.StringIO(), force_terminal=True, color_system="truecolor", record=True
    )
    update = app.screen._compositor.render_update(full=True, screen_stack=app._background_screens, simplify=False)
    console.print(update)
    with console._record_buffer_lock:
        shown = [segment for segment in console._record_buffer if not segment.control]
    lines = list(Segment.split_lines(shown))[:height]
    ink, paper = GROUNDS[dark]
    drawn = [mark for y, line in enumerate(lines) for mark in _row(y, _runs(line, ink, paper), paper)]
    size = f"{width * COLUMN} {height * ROW}"
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size}" font-family="{FONT}" font-size="16">',
            f'<rect width="100%" height="100%" fill="{paper}"/>',
            *drawn,
            "</svg>\n",
        ]
    )


Run = tuple[int, str, str, str, str]  # column, text, ink, paper, weight and the like


def _runs(line: Iterable[Segment], ink: str, paper: str) -> list[Run]:
    """Neighbours of one look joined."""
    looks = ((segment.text, _look(segment.style or Style.null(), ink, paper)) for segment in line)
    runs: list[Run] = []
    column = 0
    for look, pieces in groupby(looks, lambda piece: piece[1]):
        text = "".join(piece[0] for piece in pieces)
        runs.append((column, text, *look))
        column += cell_len(text)
    return runs


def _look(style: Style, ink: str, paper: str) -> tuple[str, str, str]:
    front, back = _hex(style.color, ink), _hex(style.bgcolor, paper)
    if style.reverse:
        front, back = back, front
    kinds = [
        ("font-weight", "bold", style.bold),
        ("font-style", "italic", style.italic),
        ("text-decoration", "underline", style.underline),
        ("opacity", "0.6", style.dim),
    ]
    return front, back, "".join(f' {name}="{value}"' for name, value, on in kinds if on)


def _hex(color: Color | None, otherwise: str) -> str:
    return otherwise if color is None or color.is_default else color.get_truecolor().hex


def _row(y: int, runs: list[Run], ground: str) -> Iterable[str]:
    for x, text, _, paper, _ in runs:
        if paper != ground:
            place = f'x="{x * COLUMN}" y="{y * ROW}" width="{cell_len(text) * COLUMN}" height="{ROW}"'
            yield f'<rect {place} fill="{paper}"/>'
    for x, text, ink, _, kind in runs:
        bare = text.strip()
        if bare or "underline" in kind:
            start = x + (len(text) - len(text.lstrip()) if bare else 0)
            shown = bare or text
            place = f'x="{start * COLUMN}" y="{y * ROW + 15}" textLength="{cell_len(shown) * COLUMN}"'
            yield f'<text {place} fill="{ink}"{kind} xml:space="preserve">{escape(shown, quote=False)}</text>'
