"""The colours: two calm themes of our own and the named styles that every line of text is drawn with.

A style name is one or more words ("added keyword"), combined left to right. No data ever becomes a style.
"""

from functools import cache

from rich.style import Style
from textual.color import Color
from textual.theme import BUILTIN_THEMES, Theme

DARK = Theme(
    name="coder-dark",
    primary="#7fa7e8",
    secondary="#5d7fb5",
    accent="#7fa7e8",
    warning="#dcb26c",
    error="#e2777f",
    success="#83bd8c",
    foreground="#d4d7dd",
    background="#15171c",
    surface="#1b1e25",
    panel="#22262f",
    dark=True,
    variables={
        "faint": "#6f7683",
        "muted": "#8f95a1",
        "added": "#182a20",
        "added-word": "#2a4d38",
        "removed": "#2e1c20",
        "removed-word": "#5a2f37",
        "keyword": "#b59ae0",
        "string": "#9cc48a",
        "number": "#d9a074",
        "name": "#7fb4d8",
        "input-selection-background": "#3a4a68",
        "block-cursor-background": "#d4d7dd",
        "block-cursor-foreground": "#15171c",
        "scrollbar": "#2c313c",
        "scrollbar-hover": "#3a404d",
        "scrollbar-active": "#4a5161",
        "scrollbar-background": "#15171c",
        "scrollbar-background-hover": "#15171c",
        "scrollbar-background-active": "#15171c",
        "screen-selection-background": "#33415c",
        "screen-selection-foreground": "#ffffff",
    },
)
LIGHT = Theme(
    name="coder-light",
    primary="#2f5fb3",
    secondary="#5d7fb5",
    accent="#2f5fb3",
    warning="#8a5c00",
    error="#b0303f",
    success="#2a7a45",
    foreground="#26282d",
    background="#fbfbf9",
    surface="#f3f3ef",
    panel="#e9e9e3",
    dark=False,
    variables={
        "faint": "#80848c",
        "muted": "#666a73",
        "added": "#e3f4e6",
        "added-word": "#b5e0bf",
        "removed": "#fbe5e7",
        "removed-word": "#f2bcc3",
        "keyword": "#7a3ea8",
        "string": "#3d7a2e",
        "number": "#a5561a",
        "name": "#1f6a94",
        "input-selection-background": "#c5d5f0",
        "block-cursor-background": "#26282d",
        "block-cursor-foreground": "#fbfbf9",
        "scrollbar": "#d9d9d2",
        "scrollbar-hover": "#c8c8c0",
        "scrollbar-active": "#b5b5ac",
        "scrollbar-background": "#fbfbf9",
        "scrollbar-background-hover": "#fbfbf9",
        "scrollbar-background-active": "#fbfbf9",
        "screen-selection-background": "#bcd0f2",
        "screen-selection-foreground": "#000000",
    },
)
# NO_COLOR: Textual's own filter would turn colours into greys; a theme of the terminal's defaults leaves none at all.
PLAIN = Theme(
    name="coder-plain",
    primary="ansi_default",
    foreground="ansi_default",
    background="ansi_default",
    surface="ansi_default",
    panel="ansi_default",
    ansi=True,
    variables={
        name: value if name.endswith("style") else "ansi_default"
        for name, value in BUILTIN_THEMES["ansi-dark"].variables.items()
    },
)

# What a theme of Textual's has no word for, as a mixture of what it has: (foreground or background, amount of colour).
_MIXTURES = {
    "faint": ("foreground", 0.40),
    "muted": ("foreground", 0.65),
    "added": ("success", 0.14),
    "added-word": ("success", 0.36),
    "removed": ("error", 0.14),
    "removed-word": ("error", 0.36),
    "keyword": ("secondary", 1.0),
    "string": ("success", 1.0),
    "number": ("warning", 1.0),
    "name": ("primary", 1.0),
}


# On terminals of 256 colours the nearest to a theme's grounds may be black, white or one for both: there they are
# colours of the palette itself. By whether the theme is dark.
_FEW_COLORS = {
    True: {"added": "#005f00", "added-word": "#008700", "removed": "#5f0000", "removed-word": "#870000"},
    False: {"added": "#d7ffd7", "added-word": "#afffaf", "removed": "#ffd7d7", "removed-word": "#ffafaf"},
}


def themes() -> dict[str, Theme]:
    """Our own themes and Textual's, by name."""
    return {theme.name: theme for theme in (DARK, LIGHT, PLAIN)} | BUILTIN_THEMES


def first_theme(wished: str, *, dark: bool, color: bool) -> str:
    """The theme to start with: none of colour, the user's wish if it exists, else ours for the terminal's ground."""
    if not color:
        return PLAIN.name
    return wished if wished in themes() else DARK.name if dark else LIGHT.name


def theme_variables(theme: Theme) -> dict[str, str]:
    """The variables that our own .tcss and styles use, for a theme that may be Textual's."""
    if theme.ansi:
        return dict.fromkeys(_MIXTURES, "ansi_default")
    colors = theme.to_color_system().generate()
    background = Color.parse(colors["background"])
    mixed = {
        name: background.blend(Color.parse(colors[base]), amount, alpha=1.0).hex
        for name, (base, amount) in _MIXTURES.items()
    }
    return mixed | {name: theme.variables[name] for name in _MIXTURES if name in theme.variables}


class Palette:
    """The named styles under one theme. `style("added keyword")` combines names; unknown names are an error."""

    def __init__(self, theme: Theme, few_colors: bool) -> None:
        self._named = _plain_styles() if theme.ansi else _styles(theme, few_colors)
        self._combined: dict[str, Style] = {"": Style.null()}

    def style(self, names: str) -> Style:
        found = self._combined.get(names)
        if found is None:
            found = Style.combine([self._named[name] for name in names.split()])
            self._combined[names] = found
        return found


@cache
def palette(theme_name: str, color_system: str | None = "truecolor") -> Palette:
    """The styles for a terminal of this `color_system` (Rich's word: "256" and others)."""
    return Palette(themes()[theme_name], color_system == "256")


def _styles(theme: Theme, few_colors: bool) -> dict[str, Style]:
    colors = theme.to_color_system().generate() | theme_variables(theme)
    if few_colors:
        colors |= _FEW_COLORS[theme.dark]

    def ink(name: str, *, bold: bool = False, italic: bool = False) -> Style:
        return Style(color=Color.parse(colors[name]).rich_color, bold=bold or None, italic=italic or None)

    def paper(name: str) -> Style:
        return Style(bgcolor=Color.parse(colors[name]).rich_color)

    return {
        "text": ink("foreground"),
        "muted": ink("muted"),
        "faint": ink("faint"),
        "accent": ink("primary"),
        "good": ink("success"),
        "bad": ink("error"),
        "warn": ink("warning"),
        "bold": Style(bold=True),
        "italic": Style(italic=True),
        "underline": Style(underline=True),
        "strike": Style(strike=True),
        "code": ink("name"),
        "alarm": ink("background", bold=True) + paper("warning"),
        "found": ink("background") + paper("primary"),
        "surface": paper("surface"),
        "panel": paper("panel"),
        "cursor": paper("panel"),
        "added": paper("added"),
        "removed": paper("removed"),
        "added-word": paper("added-word"),
        "removed-word": paper("removed-word"),
        "keyword": ink("keyword"),
        "string": ink("string"),
        "number": ink("number"),
        "name": ink("name"),
        "comment": ink("muted", italic=True),
    }


def _plain_styles() -> dict[str, Style]:
    """Weight and underlines only; added and removed lines are told apart by their sign."""
    plain = Style.null()
    bold, dim, reverse = Style(bold=True), Style(dim=True), Style(reverse=True)
    return {
        **dict.fromkeys(("text", "muted", "accent", "good", "code", "surface", "panel", "added", "removed"), plain),
        **dict.fromkeys(("keyword", "string", "number", "name", "comment"), plain),
        **dict.fromkeys(("bad", "warn", "bold"), bold),
        **dict.fromkeys(("cursor", "alarm", "found"), reverse),
        **dict.fromkeys(("added-word", "removed-word", "underline"), Style(underline=True)),
        "faint": dim,
        "italic": Style(italic=True),
        "strike": Style(strike=True),
    }
