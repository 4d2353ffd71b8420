"""The selector's place in a turn: whether the small model rereads the ranking before the packing, and what it chose."""

import asyncio

from coder.agents.agent import make_agent
from coder.agents.subagents import Helpers, pick
from coder.repo.repository import Snapshot
from coder.session.briefing import Briefing


async def first_files(helpers: Helpers, briefing: Briefing, snapshot: Snapshot, task: str) -> tuple[str, ...]:
    """What goes before the ranking's own order; () where the ranking stands by itself, and where the call fails.

    With `context.selector = "auto"` it is asked only of a model whose price is known, and only where no file stands
    out. A repository that is shown whole is never asked about.
    """
    when = briefing.settings.context.selector
    known = helpers.client.catalog.get(make_agent("subagents/selector", briefing.settings).model).known
    if when == "off" or (when == "auto" and not known):
        return ()
    short = await asyncio.to_thread(briefing.shortlist, snapshot, task)
    if when == "auto" and short.sure:
        return ()
    return await pick(helpers, task, short.files)
