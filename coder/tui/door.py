"""What the screen needs from outside: a session, and the facts of the first frame. No textual here."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from coder.events import Ask, Emit, Event
from coder.values import ContextPlan


class SessionLike(Protocol):
    """A conversation on one repository. Coroutines run in the screen's event loop and leave it free."""

    id: str
    plan_text: str

    async def run(self, task: str) -> object: ...

    def replay(self) -> Sequence[Event]:
        """The past of a resumed session, to be told anew; blocking."""
        ...

    async def undo(self, checkpoint_id: str = "") -> object: ...

    async def plan(self, task: str = "") -> ContextPlan: ...

    async def carry_out(self, plan: str) -> object: ...

    async def compact(self) -> object: ...

    def set_mode(self, mode: Literal["edit", "ask", "plan"]) -> None: ...

    def set_model(self, model: str) -> None: ...

    def set_effort(self, effort: str) -> None: ...

    def pin(self, path: str) -> None: ...

    def drop(self, path: str) -> None: ...

    async def close(self) -> None: ...


OpenSession = Callable[[Emit, Ask], Awaitable[SessionLike]]


@dataclass(frozen=True, slots=True)
class TrustQuestion:
    """Asked before a repository is opened the first time: what will be honoured, and where the yes is kept."""

    root: str
    honours: Sequence[str]
    remember: Callable[[], None]


@dataclass(frozen=True, slots=True)
class ScreenOptions:
    """The first frame and the user's taste. `context_cap` is the tokens of input that the model really takes.

    `keys` are key names by the ids of `coder.tui.keys`. `warm` are imports for the first turn that need not wait for
    it; they run in a thread once the session is open.
    """

    root: str = ""
    branch: str = ""
    model: str = ""
    context_cap: int = 272_000
    max_cost: float | None = None
    theme: str = ""
    dark: bool = True
    notify: str = "off"
    banner: str = ""
    log: Path | None = None
    history: Path | None = None
    trust: TrustQuestion | None = None
    keys: Mapping[str, str] = field(default_factory=dict)
    warm: Sequence[Callable[[], None]] = field(default_factory=tuple)
