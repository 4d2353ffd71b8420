"""coder: a terminal coding assistant whose every change is drafted, tested, reviewed and undoable."""

__version__ = "0.1.0"
