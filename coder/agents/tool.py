"""What a tool is, what it may reach, and how its arguments are read. The tools themselves live one floor up."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, ParamSpec, TypeVar

from msgspec import Struct, ValidationError, json

from coder import prompts
from coder.agents.wrap import clip
from coder.context.withheld import NO_RULES, Rules, withheld
from coder.errors import ToolError
from coder.events import Emit
from coder.model.messages import ToolCall, ToolSpec
from coder.model.strict import schema_of
from coder.repo.draft import Draft
from coder.values import ContextPlan

P = ParamSpec("P")
R = TypeVar("R")

MAX_ARGUMENTS = 100_000  # characters of JSON; an edit is free text and bounded by the output limit instead


class Arguments(Struct, frozen=True, forbid_unknown_fields=True):
    """What a tool takes. Optional fields are nullable: a strict schema has the model name every one of them."""


class MalformedCall(ToolError):
    """A call that is no call: bad JSON, unknown tool, arguments that do not fit. Several in a row end the turn."""


@dataclass(slots=True)
class Desk:
    """Everything a tool may reach: the draft, the plan, the approved tests, two helpers, and nothing else.

    `withheld` maps the paths that never reach a request to the reason; `rules` decides about files that came later.
    `run_tests` runs the commands the user
    approved and returns what the model is told of it; None where there are none. `summarize` maps paths to texts of
    files and returns a summary for each; `select` ranks paths for a question, best first.
    """

    draft: Draft
    emit: Emit
    plan: ContextPlan | None = None
    withheld: Mapping[str, str] = field(default_factory=dict)
    rules: Rules = NO_RULES
    run_tests: Callable[[], Awaitable[str]] | None = None
    summarize: Callable[[Mapping[str, str]], Awaitable[Mapping[str, str]]] | None = None
    select: Callable[[str, Sequence[tuple[str, str]]], Awaitable[Sequence[str]]] | None = None
    edits: list[str] = field(default_factory=list)  # the turn's patches in order: what compaction keeps verbatim
    said: list[str] = field(default_factory=list)  # by the user, while the turn runs; the loop passes it on
    _repository: asyncio.Lock = field(default_factory=asyncio.Lock)

    def hides(self, path: str, content: bytes) -> str:
        """ "" or why a file never reaches a request. What the model itself wrote is judged by its path alone."""
        by_path = self.withheld.get(path) or self.rules.why(path)
        by_content = "" if by_path else withheld(path, content, rules=self.rules)
        return by_path or (by_content if by_content and path not in self.draft.paths else "")

    async def blocking(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run what reads or edits the draft in a thread, one at a time: a repository serves one caller at once."""
        async with self._repository:
            return await asyncio.to_thread(function, *args, **kwargs)


class Tool(Struct, frozen=True):
    """One thing the model may call. `arguments` is None for a tool that takes free text.

    `act` gets the parsed arguments (the text itself for free text) and returns what the model is told; it raises
    ToolError for what the model can mend. `only_reads` allows it to run beside others of its kind. `describe` is the
    line that a person sees.
    """

    name: str
    arguments: type[Arguments] | None
    act: Callable[[Any, Desk], Awaitable[str]]
    describe: Callable[[Any], str]
    only_reads: bool = True

    @property
    def spec(self) -> ToolSpec:
        return _spec(self.name, self.arguments)

    def parse(self, call: ToolCall) -> Any:
        """The call's arguments. Raises MalformedCall, saying what is wrong in a few lines."""
        if self.arguments is None:
            return call.arguments
        return parse_arguments(self.arguments, call.arguments)

    async def run(self, call: ToolCall, desk: Desk) -> str:
        return await self.act(self.parse(call), desk)


@cache
def _spec(name: str, arguments: type[Arguments] | None) -> ToolSpec:
    schema = schema_of(arguments) if arguments else None
    return ToolSpec(name, prompts.load(f"tools/{name}"), schema)


def parse_arguments(arguments: type[Arguments], text: str) -> Arguments:
    """Never repaired, never guessed: what does not fit goes back. Only a number or a flag may stand in quotes."""
    if len(text) > MAX_ARGUMENTS:
        raise MalformedCall(f"the arguments are longer than {MAX_ARGUMENTS} characters")
    try:
        return json.decode(text, type=arguments, strict=False)
    except ValidationError as error:
        raise MalformedCall(clip(str(error), 1_000)) from None
    except (ValueError, RecursionError):
        raise MalformedCall("the arguments are not valid JSON") from None
