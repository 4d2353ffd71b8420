"""What is left out of the output changes nothing: a small terminal shows the same with it and without."""

import re

from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import get_character_cell_size

from coder.tui.frame import Frame

WIDTH, HEIGHT = 24, 12
_TOKEN = re.compile(r"\x1b\[([\d;]*)([HmrST])|(\r?\n)|([^\x1b\r\n])")


class Grid:
    """A terminal that knows moves, colours, scroll regions and text."""

    def __init__(self) -> None:
        self.cells = [[(" ", frozenset[str]())] * WIDTH for _ in range(HEIGHT)]
        self.x = self.y = 0
        self.pen: frozenset[str] = frozenset()
        self.top, self.bottom = 0, HEIGHT - 1

    def write(self, data: str) -> None:
        position = 0
        for token in _TOKEN.finditer(data):
            assert token.start() == position, data[position : token.start()]
            position = token.end()
            codes, kind, newline, character = token.groups()
            numbers = [int(number) for number in (codes or "").split(";") if number]
            if newline:
                self.x, self.y = 0, self.y + 1
            elif character:
                self.put(character)
            elif kind == "H":
                self.y, self.x = numbers[0] - 1, numbers[1] - 1
            elif kind == "m":
                self.pen = pen(self.pen, codes)
            elif kind == "r":
                self.top, self.bottom = (numbers[0] - 1, numbers[1] - 1) if numbers else (0, HEIGHT - 1)
                self.x = self.y = 0
            else:
                self.scroll(numbers[0], up=kind == "S")

    def put(self, character: str) -> None:
        width = get_character_cell_size(character)
        row = self.cells[self.y]
        row[self.x : self.x + width] = [(character, self.pen)] + [("", self.pen)] * (width - 1)
        del row[WIDTH:]
        self.x += width

    def scroll(self, rows: int, up: bool) -> None:
        blank = [[(" ", frozenset[str]())] * WIDTH for _ in range(rows)]
        region = self.cells[self.top : self.bottom + 1]
        self.cells[self.top : self.bottom + 1] = region[rows:] + blank if up else blank + region[:-rows]


def pen(now: frozenset[str], codes: str) -> frozenset[str]:
    """The pen after an SGR sequence of the kinds that occur here."""
    for code in re.findall(r"38;2;\d+;\d+;\d+|48;2;\d+;\d+;\d+|\d+", codes) or ["0"]:
        kind = code[:2]
        if code == "0":
            now = frozenset()
        elif kind in ("38", "39"):
            now = frozenset(part for part in now if part[:2] != "38") | ({code} if kind == "38" else frozenset())
        elif kind in ("48", "49"):
            now = frozenset(part for part in now if part[:2] != "48") | ({code} if kind == "48" else frozenset())
        else:
            now = now | {code}
    return now


STYLES = ["", "1", "38;2;1;2;3;48;2;4;5;6", "1;38;2;1;2;3;48;2;4;5;6", "38;2;9;9;9;48;2;4;5;6", "7", "2;7"]
texts = st.text("ab  │漢", min_size=WIDTH, max_size=WIDTH)
lines = st.lists(st.tuples(texts, st.sampled_from(STYLES)), min_size=1, max_size=4)


def drawn(text: str, style: str) -> str:
    while (missing := WIDTH - sum(map(get_character_cell_size, text))) < 0:
        text = text[:-1]
    text += " " * missing
    return f"\x1b[{style}m{text}\x1b[0m" if style else text


@settings(max_examples=30, deadline=None)
@given(
    st.lists(lines, min_size=10, max_size=30),
    st.lists(st.tuples(st.integers(0, 25), st.integers(0, HEIGHT - 1), st.integers(1, HEIGHT)), min_size=1, max_size=6),
)
def test_the_screen_is_the_same_with_what_is_left_out(
    content: list[list[tuple[str, str]]], frames: list[tuple[int, int, int]]
) -> None:
    plain, spared, frame = Grid(), Grid(), Frame()
    whole = "\n".join(drawn("." * WIDTH, "") for _ in range(HEIGHT))
    for offset, top, count in [(0, 0, HEIGHT), *frames]:  # a window on `content`, scrolled to different places
        rows = [content[(offset + y) % len(content)][0] for y in range(top, min(HEIGHT, top + count))]
        data = f"\x1b[{top + 1};1H" + "\n".join(drawn(*row) for row in rows) + "\x1b[1;3H"
        first = f"\x1b[1;1H{whole}" if not frame._rows else ""
        plain.write(first + data)
        spared.write(frame.update(first + data))
        assert spared.cells == plain.cells
        assert (spared.x, spared.y, spared.pen) == (plain.x, plain.y, plain.pen)


def test_a_scrolled_view_costs_little_more_than_its_new_row() -> None:
    frame = Frame()
    style = "38;2;212;215;221;48;2;21;23;28"

    def view(start: int) -> str:
        rows = (f"\x1b[{style}mline {number:<100}\x1b[0m" for number in range(start, start + 30))
        return "\x1b[1;1H" + "\n".join(rows) + "\x1b[1;1H"

    assert len(frame.update(view(0))) > 3_000
    assert len(frame.update(view(1))) < 250
    assert len(frame.update(view(1))) < 10


def test_what_is_not_understood_passes_and_is_forgotten() -> None:
    frame = Frame()
    paint = "\x1b[1;1Hab\x1b[2;1H"
    frame.update(paint)
    for modes in ("\x1b[?2026h", "\x1b]52;c;aGk=\x07", "\x1b[>1u", "\x1b[?2048$p", "\x07"):
        assert frame.update(modes) == modes
    assert frame.update(paint) == "\x1b[2;1H"
    for other in ("text", "\x1b[2J\x1b[1;1Hx", "\x1b[1;1Ha\x1b[0Kb"):
        assert frame.update(other) == other
        assert "ab" in frame.update(paint)
