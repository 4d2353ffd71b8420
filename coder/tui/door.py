"""What the screen needs from outside: a session, and the facts of the first frame. No textual here."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from msgspec import Struct

from coder.events import Ask, Emit, Event
from coder.session.commands import SettingRow
from coder.store import Places
from coder.values import ContextPlan

if TYPE_CHECKING:
    from coder.config import Settings
    from coder.repo.checkpoint import UndoItem
    from coder.session.aside import CommandEnd
    from coder.session.names import FoundSymbol
    from coder.session.recorded import RecordedTurn


class NamesLike(Protocol):
    """Names of the repository. For threads: all block."""

    def tracked(self) -> Sequence[str]:
        """What can be offered before `paths` has read the files; () where it has."""
        ...

    def paths(self) -> Sequence[str]: ...

    def symbols(self, typed: str, limit: int) -> "Sequence[FoundSymbol]": ...


class CommitsLike(Protocol):
    """What was applied and is in no commit yet."""

    def paths(self) -> Sequence[str]:
        """Blocking."""
        ...

    def message(self) -> str: ...

    async def make(self, message: str) -> str: ...


class SessionLike(Protocol):
    """A conversation on one repository. Coroutines run in the screen's event loop and leave it free."""

    id: str
    plan_text: str

    @property
    def settings(self) -> "Settings": ...

    @property
    def mode(self) -> str: ...

    @property
    def max_input(self) -> int:
        """Tokens of input that the model really takes."""
        ...

    @property
    def turns(self) -> "Sequence[RecordedTurn]": ...

    async def run(self, task: str) -> object: ...

    def replay(self) -> Sequence[Event]:
        """The past of a resumed session, to be told anew; blocking."""
        ...

    async def preview_undo(self, checkpoint_id: str = "") -> "Sequence[UndoItem]": ...

    async def undo(self, checkpoint_id: str = "") -> object: ...

    async def plan(self, task: str = "") -> ContextPlan: ...

    async def carry_out(self, plan: str) -> object: ...

    async def review(self) -> object: ...

    async def compact(self) -> object: ...

    def set_mode(self, mode: Literal["edit", "ask", "plan"]) -> None: ...

    def set_model(self, model: str) -> None: ...

    def set_effort(self, effort: str) -> None: ...

    def pin(self, path: str) -> None: ...

    def drop(self, path: str) -> None: ...

    async def run_tests(self, *, failed: bool = False) -> object: ...

    async def ask_aside(self, question: str, on_text: Callable[[str], None]) -> str: ...

    async def command(self, line: str, on_output: Callable[[str], None]) -> "CommandEnd": ...

    def steer(self, words: str) -> None: ...

    def unheard(self) -> Sequence[str]: ...

    def keep_plan(self, plan: str) -> None: ...

    def rename(self, title: str) -> None: ...

    async def preview_rewind(self, turn: int) -> "Sequence[UndoItem]": ...

    async def rewind(self, turn: int) -> object: ...

    @property
    def commits(self) -> CommitsLike: ...

    @property
    def names(self) -> "NamesLike":
        """What `@` completes."""
        ...

    async def close(self) -> None: ...


OpenSession = Callable[[Emit, Ask], Awaitable[SessionLike]]


class TrustQuestion(Struct, frozen=True):
    """Asked before a repository is opened the first time: what will be honoured, and where the yes is kept."""

    root: str
    honours: Sequence[str]
    remember: Callable[[], None]


class ScreenOptions(Struct, frozen=True):
    """The first frame and the user's taste. `context_cap` is what the status line holds for the cap of the input until
    the session says it. `past` is what the session that goes on has been, told before it is open; blocking.

    `keys` are key names by the ids of `coder.tui.keys`. `warm` are imports for the first turn that need not wait for
    it; they run in a thread once the session is open. `reopen` gives what opens the recorded session of an id,
    `settings` the effective settings. `still`: nothing moves by itself, not even the seconds.
    `inline`: under the prompt, not on a screen of its own.
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
    keys: Mapping[str, str] = {}
    warm: Sequence[Callable[[], None]] = ()
    places: Places | None = None
    past: Callable[[], Sequence[Event]] | None = None
    reopen: Callable[[str], OpenSession] | None = None
    settings: Callable[[], Sequence[SettingRow]] | None = None
    still: bool = False
    inline: bool = False
