"""Money before the call: nothing is sent whose worst case does not fit the limits; parallel calls reserve first.

What a session and a day have cost comes from the ledger, so that resumed sessions and other processes count too.
"""

import asyncio
import time
from collections.abc import Callable

from msgspec.structs import replace

from coder.amounts import money
from coder.errors import LimitReached, UserError
from coder.model.ledger import Call, Ledger, start_of_day
from coder.values import Usage

LEAST_OUTPUT = 8_000  # a reply cut to less than this is worth little: better to stop and say so
_ROUNDING = 1e-9  # USD by which sums of floating point may differ

Worst = Callable[[int], float]


class Reservation:
    """One call under way. It stays booked at its worst case until `settle` says what it came to."""

    def __init__(self, budget: "Budget", ledger: Ledger, call: Call, max_output: int) -> None:
        self.call = call
        self.max_output = max_output
        self._budget = budget
        self._ledger = ledger
        self._number = ledger.begin(call)
        self._started = time.monotonic()
        self._open = True

    @property
    def seconds(self) -> float:
        """Since the call was sent."""
        return time.monotonic() - self._started

    def settle(self, status: str, usage: Usage | None = None, tier: str = "") -> Usage:
        """Book the call: with its usage, at its worst case (`usage` None), or at nothing (a usage of zero tokens)."""
        call = replace(self.call, status=status, latency_s=self.seconds, tier=tier or self.call.tier)
        if usage is not None:
            call = replace(
                call,
                input_tokens=usage.input_tokens,
                cached_tokens=usage.cached_tokens,
                reasoning_tokens=usage.reasoning_tokens,
                output_tokens=usage.output_tokens,
                usd=usage.usd,
                estimated=usage.estimated,
            )
        if self._open:
            self._open = False
            self._ledger.finish(self._number, call)
            self._budget.released()
        return usage or self.call_usage()

    def call_usage(self) -> Usage:
        """The worst case as a usage."""
        call = self.call
        return Usage(call.role, call.model, 1, call.input_tokens, 0, 0, call.output_tokens, call.usd, estimated=True)


class Budget:
    """The limits of one session. `max_cost` and `max_cost_per_day` in USD, None for none.

    `trusting`: what the ledger cannot tell of today's past counts as nothing."""

    def __init__(
        self,
        ledger: Ledger,
        session: str,
        max_cost: float | None,
        max_cost_per_day: float | None,
        clock: Callable[[], float] = time.time,
        *,
        trusting: bool = False,
    ) -> None:
        self._ledger = ledger
        self._session = session
        self._max_cost = max_cost
        self._max_day = max_cost_per_day
        self._clock = clock
        self._trusting = trusting
        self._under_way = 0
        self._changed = asyncio.Event()

    @property
    def limited(self) -> bool:
        return self._max_cost is not None or self._max_day is not None

    def left(self) -> tuple[float, str, str] | None:
        """USD that may still be committed, the limit that says so and how it is raised; None without a limit.

        Calls under way, of other processes too, count at their worst case. Raises UserError where the ledger cannot
        tell what was spent today.
        """
        lefts = []
        if self._max_cost is not None:
            spent = self._ledger.spent(session=self._session)[0]
            lefts.append((self._max_cost - spent, f"the session's limit of {money(self._max_cost)}", "--max-cost"))
        if self._max_day is not None:
            day = start_of_day(self._clock())
            if not self._trusting and (why := self._ledger.ignorance(day)):
                raise UserError(
                    f"what was spent today can't be known ({why}), so the day's limit can't be kept",
                    "see `coder cost`; --set limits.unknown_past=allow goes on with what is known of today",
                )
            spent = self._ledger.spent(since=day)[0]
            name = f"the day's limit of {money(self._max_day)}"
            lefts.append((self._max_day - spent, name, "limits.max_cost_per_day"))
        return min(lefts) if lefts else None

    async def reserve(self, call: Call, max_output: int, worst: Worst | None) -> Reservation:
        """Book `call` at its worst case. `worst` gives the USD for a number of output tokens; None: price unknown.

        Waits while only other calls under way stand in the way. Lowers the output when less than `max_output`, but
        still a useful reply, fits. Raises LimitReached when that does not fit either.
        """
        while True:
            with self._ledger.exclusive() if self._max_day is not None else self._ledger.shared():
                output = self._affordable(max_output, worst)
                if output is not None:
                    self._under_way += 1
                    usd = worst(output) if worst else None
                    booked = replace(call, output_tokens=output, usd=usd, estimated=True, status="open")
                    return Reservation(self, self._ledger, booked, output)
            self._changed.clear()
            await self._changed.wait()

    def released(self) -> None:
        self._under_way -= 1
        self._changed.set()

    def _affordable(self, max_output: int, worst: Worst | None) -> int | None:
        """Output tokens that fit now; None: wait for a call under way."""
        limit = self.left()
        if limit is None or worst is None:
            return max_output
        left, name, raised_by = limit[0] + _ROUNDING, *limit[1:]
        if worst(max_output) <= left:
            return max_output
        if self._under_way:
            return None
        least = min(max_output, LEAST_OUTPUT)
        if worst(least) > left:
            raise LimitReached(
                f"the next call could cost {money(worst(least))}, and {money(max(0.0, limit[0]))} is left of {name}",
                f"raise the limit ({raised_by}), or make the context smaller (--context-budget)",
            )
        per_token = (worst(max_output) - worst(0)) / max_output
        return max(least, min(max_output, int((left - worst(0)) / per_token)))
