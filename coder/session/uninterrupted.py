"""Work that must not be left half-way: writing files outlives a cancellation, which is answered afterwards."""

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


async def uninterrupted(work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> tuple[R, bool]:
    """Run blocking `work` in a thread to its end whatever happens; and whether a cancellation came meanwhile."""
    running = asyncio.ensure_future(asyncio.to_thread(work, *args, **kwargs))
    cancelled = False
    while not running.done():
        try:
            await asyncio.wait([running])
        except asyncio.CancelledError:
            cancelled = True
    return running.result(), cancelled
