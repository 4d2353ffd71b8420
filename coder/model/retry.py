"""When to try again, and how long to wait: full jitter, the server's wish honoured, one budget for all waits of a run.

Source of the jitter: "Exponential backoff and jitter" (AWS Architecture Blog, 2015). Pure but for the clock passed in.
"""

import contextlib
import email.utils
import math
import random
import re
import time
from collections.abc import Callable, Mapping

from msgspec import Struct

FIRST_CEILING_S = 0.5
LAST_CEILING_S = 20.0
MAX_TRIES = 12  # bounds the tries of one call when the waits come out near zero
UNREACHABLE_TRIES = 2  # a refused connection or an unknown host is told soon: more waiting rarely helps
UNREACHABLE_WAIT_S = 0.3
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3_600.0}


class Timeouts(Struct, frozen=True):
    """Seconds. `first`: from sending to the first event. `between`: from event to event; `thinking` instead, while
    the model may be reasoning in silence. `total`: one try."""

    connect: float = 10.0
    first: float = 120.0
    between: float = 60.0
    thinking: float = 300.0
    total: float = 1_800.0


def parse_retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds that `retry-after-ms` or `retry-after` (seconds or a date) ask for; None for none or nonsense."""
    lowered = {name.lower(): value.strip() for name, value in headers.items()}
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        text = lowered.get(name, "")
        try:
            seconds = float(text) * unit
        except ValueError:
            continue
        return max(0.0, seconds) if math.isfinite(seconds) else None
    try:
        date = email.utils.parsedate_to_datetime(lowered.get("retry-after", ""))
        return max(0.0, date.timestamp() - now)
    except (TypeError, ValueError, OverflowError):
        return None


def room_in(headers: Mapping[str, str]) -> float:
    """Seconds until there is room for another request, by the rate-limit headers of an answer; 0 while there is.

    Source: "Rate limits in headers" of the API's guide; durations look like "1s", "6m0s", "120ms".
    """
    waits = [0.0]
    for kind in ("requests", "tokens"):
        if headers.get(f"x-ratelimit-remaining-{kind}", "").strip() == "0":
            parts = re.findall(r"([\d.]+)(ms|s|m|h)", headers.get(f"x-ratelimit-reset-{kind}", ""))
            with contextlib.suppress(ValueError):
                waits.append(sum(float(amount) * _UNITS[unit] for amount, unit in parts))
    return max(waits)


def jitter(attempt: int, draw: Callable[[float, float], float] = random.uniform) -> float:
    """Seconds before try `attempt + 1`, anywhere between none and a ceiling that doubles."""
    return draw(0.0, min(LAST_CEILING_S, FIRST_CEILING_S * 2 ** min(attempt - 1, 20)))


class RetryBudget:
    """The seconds that may be spent waiting between tries. Waits of calls that wait at the same time count once."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._total = seconds
        self._spent = 0.0
        self._covered = -math.inf
        self._clock = clock

    def renew(self) -> None:
        """A new run begins: all seconds are there again."""
        self._spent = 0.0

    @property
    def left(self) -> float:
        return max(0.0, self._total - self._spent)

    def take(self, seconds: float, at_least: float = 0.0) -> float | None:
        """Reserve a wait of `seconds`, cut to what is left; None when nothing is left or `at_least` does not fit."""
        now = self._clock()
        counted = max(0.0, now + seconds - max(now, self._covered))
        if self.left <= 0 or at_least - max(0.0, self._covered - now) > self.left:
            return None
        if counted > self.left:
            seconds -= counted - self.left
            counted = self.left
        self._spent += counted
        self._covered = max(self._covered, now + seconds)
        return seconds
