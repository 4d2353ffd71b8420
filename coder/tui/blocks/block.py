"""The block every other is: rows of styled text at a width, foldable, with an estimate for when it is out of sight."""

from coder.tui.lines import Line


class Block:
    """A piece of the conversation. `gap` is the number of empty rows before it."""

    gap = 0
    foldable = False

    def __init__(self) -> None:
        self.folded = True

    def rows(self, width: int) -> list[Line]:
        """The rows at `width` cells; may be called often and must not change the block."""
        raise NotImplementedError

    def estimate(self, width: int) -> int:
        """About how many rows there are, without laying out; replaced by the count once the block is seen."""
        return len(self.rows(width))
