"""How many calls may be under way at once: fewer after a refusal, more after answers, within the rate limit."""

import asyncio
import contextlib
from collections.abc import Mapping

REMAINING = "x-ratelimit-remaining-requests"


class Lanes:
    """An `async with` that waits for a free lane. Additive increase, multiplicative decrease (as in TCP, RFC 5681)."""

    def __init__(self, most: int) -> None:
        self.limit = float(most)
        self._most = most
        self._under_way = 0
        self._freed = asyncio.Condition()

    async def __aenter__(self) -> None:
        async with self._freed:
            await self._freed.wait_for(lambda: self._under_way < int(self.limit))
            self._under_way += 1

    async def __aexit__(self, *_: object) -> None:
        self._under_way -= 1
        async with self._freed:
            self._freed.notify_all()

    def answered(self, headers: Mapping[str, str]) -> None:
        """One more lane after a round of answers, but no more than requests are left by the headers (lower case)."""
        self.limit = min(self._most, self.limit + 1 / self.limit)
        with contextlib.suppress(KeyError, ValueError):
            self.limit = max(1.0, min(self.limit, float(int(headers[REMAINING]))))

    def refused(self) -> None:
        """The server said 429."""
        self.limit = max(1.0, self.limit / 2)
