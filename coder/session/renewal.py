"""Whether the repository section is made anew at the start of a turn: only when the ledger says that it is cheaper."""

import asyncio
import time
from collections.abc import Sequence

from coder.agents.compaction import size
from coder.model.prefix import KEPT_S
from coder.repo.repository import Snapshot
from coder.session.beside import Lengths, renewal_is_cheaper
from coder.session.means import Means

STEPS = 6.0  # requests of a turn, about


async def renewal_pays(means: Means, snapshot: Snapshot, task: str, chosen: Sequence[str]) -> bool:
    """Whether a section made for `task` costs less than the old one with what the task needs beside it."""
    model = means.client.catalog.get(means.settings.model)
    prices = model.prices.get("default")
    if prices is None:
        return False
    lengths = await asyncio.to_thread(_lengths, means, snapshot, task, chosen)
    if not lengths.beside:
        return False
    cached = await asyncio.to_thread(_still_cached, means)
    return renewal_is_cheaper(lengths, prices, cached=cached, steps=STEPS)


def _lengths(means: Means, snapshot: Snapshot, task: str, chosen: Sequence[str]) -> Lengths:
    return means.briefing.lengths(snapshot, task, chosen, size(means.history))


def _still_cached(means: Means) -> float:
    """The share of the conversation that the provider's cache should hold now, by the last call and how it went."""
    last = means.client.ledger.last(means.helpers.session, "coder")
    if last is None or time.time() - last.time > KEPT_S:
        return 0.0
    return min(1.0, last.cached_tokens / last.predicted_tokens) if last.predicted_tokens else 1.0
