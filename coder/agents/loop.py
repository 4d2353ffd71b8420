"""The turn on one page: ask the model, append whole steps, run what it called for, repeat. Growth goes elsewhere."""

import time
from typing import Any, Literal

from msgspec import Struct, field

from coder import prompts
from coder.agents.agent import Agent
from coder.agents.calls import INTERRUPTED, Calls
from coder.agents.compaction import Scale, Window
from coder.agents.text_edit import take_text_edit
from coder.agents.tool import Desk
from coder.amounts import count
from coder.errors import ApiError, LimitReached
from coder.events import Notice, ReplyFinished, StepAbandoned, StepStarted, TextDelta
from coder.model.catalog import Model
from coder.model.client import Client
from coder.model.messages import TOO_LONG, Reply, Request, tool_output, user_message

Ending = Literal["finished", "malformed", "repeated", "max_output", "content_filter", "refusal"]

STRIKES = 3  # steps in a row that held nothing but malformed or repeated calls

CUT = (
    "[coder: your last reply was cut off at the output limit and nothing of it was carried out. "
    "Answer again, shorter: one small edit per call.]"
)

SAID = {
    "max_output": "the model's reply was cut off at the output limit twice; nothing of it was carried out",
    "content_filter": "the provider's content filter stopped the reply; nothing of it was carried out",
    "refusal": "the model refused the task",
}


class Limits(Struct, frozen=True):
    """Checked before each call. `deadline` is on time.monotonic(), `max_input` in tokens; money is the client's.

    `scale` learns how the provider counts, and may outlive the turn.
    """

    max_steps: int = 50
    deadline: float | None = None
    max_input: int = 258_000
    scale: Scale = field(default_factory=Scale)

    def check(self, step: int) -> None:
        """Raises LimitReached if step `step` (from 1) may not be taken."""
        if step > self.max_steps:
            raise LimitReached(f"the turn took {count(self.max_steps, 'step')}", "allow more with --max-steps")
        if self.deadline is not None and time.monotonic() >= self.deadline:
            raise LimitReached("the time limit was reached", "allow more with --timeout")


def usable_input(model: Model) -> int:
    """Input tokens to fill at most: a margin of 5 % for local counting. An unknown model's own word has to do."""
    return int(model.max_input * 0.95) if model.known else 1_000_000


class TurnEnd(Struct, frozen=True):
    """Why the turn ended, the last reply's text, and the steps it took."""

    status: Ending
    text: str
    steps: int


async def run_turn(
    agent: Agent, client: Client, history: list[dict[str, Any]], desk: Desk, limits: Limits, cache_key: str
) -> TurnEnd:
    """One turn on `history` (input items, the user's message last), which grows in place by whole steps.

    Raises LimitReached before a call that a limit forbids, and what the client raises. Whatever flies, and also when
    the turn is cancelled, `history` stays one that the provider accepts.
    """
    calls, window = Calls(agent.usable, desk), Window(limits.max_input, agent.fixed_text, limits.scale)
    step, cut, refused_text, begun_with = 0, False, "", desk.draft.tree
    while True:
        step += 1
        limits.check(step)
        compactions = window.compactions
        window.make_room(history, desk.edits)
        desk.emit(StepStarted(step, window.tokens(history)))
        reply = await _ask(agent, client, history, desk, window, cache_key)
        if window.compactions > compactions:
            calls.forget()
        if reply.finish == "max_output" and not cut:
            cut = True
            desk.emit(StepAbandoned("the reply was cut off at the output limit"))
            history += [user_message(CUT)]
            continue
        if reply.finish != "completed":  # nothing of it enters the history or is executed
            desk.emit(Notice(SAID[reply.finish], "warning"))
            return TurnEnd(reply.finish, reply.text, step)
        cut = False
        desk.emit(ReplyFinished(reply.text))
        window.learn(reply, history)
        outputs: dict[str, str] = {}
        try:
            await calls.run(reply.calls, outputs)
        finally:  # together: a call without its result is refused by every provider
            history += [*reply.items, *(tool_output(c, outputs.get(c.call_id, INTERRUPTED)) for c in reply.calls)]
        if calls.strikes >= STRIKES:
            return TurnEnd(calls.fault, reply.text, step)
        said, desk.said[:] = tuple(desk.said), ()
        history += [user_message(prompts.fill("meanwhile", words=words)) for words in said]
        if reply.calls or said:
            continue
        by_text = agent.edits and desk.draft.tree == begun_with  # after edits by tool, a diff only reports them
        refusal = await take_text_edit(reply.text, desk) if by_text else ""
        if not refusal:
            return TurnEnd("finished", reply.text, step)
        if reply.text == refused_text:
            return TurnEnd("repeated", reply.text, step)
        refused_text = reply.text
        history += [user_message(refusal)]


async def _ask(
    agent: Agent, client: Client, history: list[dict[str, Any]], desk: Desk, window: Window, cache_key: str
) -> Reply:
    """The reply to the conversation. If the server finds it too long, the older steps go, once and said aloud."""
    try:
        return await client.reply(_request(agent, history, window, cache_key), lambda text: desk.emit(TextDelta(text)))
    except ApiError as error:
        if error.code not in TOO_LONG or not window.shrink(history, desk.edits):
            raise
        desk.emit(Notice("the conversation was too long for the server: its older steps were left out", "warning"))
    return await client.reply(_request(agent, history, window, cache_key), lambda text: desk.emit(TextDelta(text)))


def _request(agent: Agent, history: list[dict[str, Any]], window: Window, cache_key: str) -> Request:
    """A compacted conversation is another prefix, so it gets a cache key of its own."""
    return agent.request(history, f"{cache_key}:{window.compactions}" if window.compactions else cache_key)
