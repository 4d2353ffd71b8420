"""The half second in which keys typed before a question appeared do not answer it."""

import time
from collections.abc import Callable

GRACE_S = 0.5
_MOVES = ("scroll(", "step(", "step_file(", "edge(")  # actions that only look around, as they are written in keys.py


def moves(action: str) -> bool:
    """Whether a key's action decides nothing, so that it need not wait."""
    return action.startswith(_MOVES)


class Grace:
    """Blocks input until it has been quiet for GRACE_S since the question was painted."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._until: float | None = None  # None: not painted yet

    def start(self) -> None:
        self._until = self._clock() + GRACE_S

    def blocks(self, when: float) -> bool:
        """Whether an input made at `when` comes too early; it then starts the wait anew: somebody is typing."""
        if self._until is None:
            return True
        if when >= self._until:
            return False
        self._until = max(self._until, when + GRACE_S)
        return True
