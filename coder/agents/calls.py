"""The tool calls of a step: each gets exactly one bounded answer, in order. Knows no tool by name."""

from collections.abc import Sequence
from itertools import groupby
from typing import Literal

from coder import text
from coder.agents.together import together
from coder.agents.tool import Desk, MalformedCall, Tool
from coder.agents.wrap import clip, gist
from coder.errors import ToolError
from coder.events import ToolFinished, ToolStarted
from coder.model.messages import ToolCall

INTERRUPTED = "interrupted: the user stopped the turn before this call was carried out"

MAX_CALLS = 16  # of one reply; the rest is answered, not carried out
MAX_RESULT = 100_000  # characters: a backstop, the tools bound their own results with more sense
MAX_ERROR = 6_000

Fault = Literal["malformed", "repeated"]


class Calls:
    """What was called in this turn. `strikes` counts steps in a row that brought nothing, `fault` says of what kind."""

    def __init__(self, tools: Sequence[Tool], desk: Desk) -> None:
        self.strikes = 0
        self.fault: Fault = "malformed"
        self._tools = {tool.name: tool for tool in tools}
        self._desk = desk
        self._seen: set[tuple[str, str, str]] = set()
        self._faults: list[Fault | None] = []

    def forget(self) -> None:
        """Calls may be made again: their results left the history."""
        self._seen.clear()

    async def run(self, calls: Sequence[ToolCall], outputs: dict[str, str]) -> None:
        """Carry out the calls of one reply and put each answer into `outputs` by call id as it is known.

        In order; neighbours that only read run beside one another. What a call raises but ToolError flies, after
        the calls beside it have been stopped.
        """
        self._faults = []
        for call in calls[MAX_CALLS:]:
            outputs[call.call_id] = f"error: not carried out, a reply may hold at most {MAX_CALLS} calls"
        for only_reads, group in groupby(calls[:MAX_CALLS], self._only_reads):
            if only_reads:
                await together([self._answer(call, outputs) for call in group])
            else:
                for call in group:
                    await self._answer(call, outputs)
        if self._faults and all(self._faults):
            self.strikes += 1
            self.fault = self._faults[-1] or "malformed"
        elif calls:
            self.strikes = 0

    def _only_reads(self, call: ToolCall) -> bool:
        tool = self._tools.get(call.name)
        return tool is not None and tool.only_reads

    async def _answer(self, call: ToolCall, outputs: dict[str, str]) -> None:
        emit = self._desk.emit
        try:
            tool, arguments = self._understand(call)
        except MalformedCall as error:
            self._faults.append("malformed")
            emit(ToolStarted(call.call_id, call.name, "malformed call"))
            outputs[call.call_id] = self._finish(call, False, str(error))
            return
        emit(ToolStarted(call.call_id, call.name, tool.describe(arguments)))
        key = (call.name, call.arguments, self._desk.draft.tree)
        if key in self._seen:
            self._faults.append("repeated")
            outputs[call.call_id] = self._finish(call, False, REPEATED)
            return
        self._seen.add(key)
        self._faults.append(None)
        try:
            outputs[call.call_id] = self._finish(call, True, await tool.act(arguments, self._desk))
        except ToolError as error:
            outputs[call.call_id] = self._finish(call, False, str(error))

    def _understand(self, call: ToolCall) -> tuple[Tool, object]:
        tool = self._tools.get(call.name)
        if tool is None:
            raise MalformedCall(f"there is no tool {call.name[:60]!r} to use now; there are {', '.join(self._tools)}")
        return tool, tool.parse(call)

    def _finish(self, call: ToolCall, ok: bool, result: str) -> str:
        """The answer as the model gets it: redacted, bounded, errors marked; and the fact for the faces."""
        answer = clip(text.redact(result), MAX_RESULT) if ok else f"error: {clip(text.redact(result), MAX_ERROR)}"
        self._desk.emit(ToolFinished(call.call_id, call.name, ok, gist(answer)))
        return answer


REPEATED = (
    "you made exactly this call before and nothing has changed since: its answer is above. "
    "Take another step, or finish with your answer."
)
