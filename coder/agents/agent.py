"""An agent is data: prompt, model, effort, tools, limits. Nothing in it differs from one request to the next."""

from collections.abc import Sequence
from typing import Any, Literal, cast, get_args

from msgspec import Struct

from coder import prompts
from coder.agents.tool import Tool
from coder.config import Effort, RoleSettings, Settings
from coder.model.messages import Request, ToolSpec

Role = Literal["coder", "summarizer", "selector", "triager"]


class Agent(Struct, frozen=True):
    """`role` is what the ledger books it under; `max_output` counts tokens, reasoning included.

    `allowed` names the tools it may use now, where not all: the list itself stays, so that the cached prefix holds.
    """

    name: str
    role: Role
    instructions: str
    model: str
    effort: Effort
    max_output: int
    tools: tuple[Tool, ...] = ()
    allowed: tuple[str, ...] | None = None

    @property
    def usable(self) -> tuple[Tool, ...]:
        """The tools whose calls are carried out."""
        return tuple(tool for tool in self.tools if self.allowed is None or tool.name in self.allowed)

    @property
    def edits(self) -> bool:
        """Whether what it writes may land in the draft."""
        return any(tool.name == "apply_patch" for tool in self.usable)

    @property
    def fixed_text(self) -> str:
        """What every request repeats before the conversation: instructions and tools."""
        return self.instructions + "".join(f"{spec.description}{spec.parameters or ''}" for spec in self.specs)

    @property
    def specs(self) -> tuple[ToolSpec, ...]:
        return tuple(tool.spec for tool in self.tools)

    def request(self, history: Sequence[dict[str, Any]], cache_key: str) -> Request:
        return Request(
            role=self.role,
            model=self.model,
            instructions=self.instructions,
            input=tuple(history),
            tools=self.specs,
            effort=self.effort,
            max_output=self.max_output,
            cache_key=cache_key,
            tool_choice=self.allowed,
        )


def make_agent(
    prompt: str, settings: Settings, tools: Sequence[Tool] = (), allowed: Sequence[Tool] | None = None
) -> Agent:
    """The agent of `prompt` ("coder", "ask", "subagents/triager"): its front matter, and the settings of its role."""
    matter, instructions = read_prompt(prompt)
    role = cast(Role, matter["role"])
    own = settings.roles.get(role, RoleSettings())
    return Agent(
        name=prompt.rpartition("/")[2],
        role=role,
        instructions=instructions,
        model=own.model or (settings.model if role == "coder" else settings.subagent_model),
        effort=own.effort or cast(Effort, matter.get("effort", settings.effort)),
        max_output=int(matter["max_output"]),
        tools=tuple(tools),
        allowed=None if allowed is None else tuple(tool.name for tool in allowed),
    )


def read_prompt(name: str) -> tuple[dict[str, str], str]:
    """A prompt's front matter (`key: value` lines between two `---` lines) and its text. ValueError if it lacks one."""
    opening, _, rest = prompts.load(name).partition("\n")
    head, closing, text = rest.partition("\n---\n")
    if opening != "---" or not closing:
        raise ValueError(f"prompt {name!r} has no front matter")
    pairs = (line.partition(":") for line in head.splitlines())
    matter = {key.strip(): value.strip() for key, _, value in pairs}
    if matter.get("role") not in get_args(Role) or matter.get("effort", "none") not in get_args(Effort):
        raise ValueError(f"prompt {name!r} names an unknown role or effort")
    return matter, text.strip("\n")
