"""What the turns of a session share, and what the user said when it was opened."""

from dataclasses import dataclass, field
from typing import Literal

from msgspec import Struct

from coder.agents.subagents import Helpers
from coder.config import Settings
from coder.events import Ask, Emit
from coder.model.client import Client
from coder.repo.repository import Repository
from coder.session.briefing import Briefing
from coder.session.checks import CheckOptions, Checks
from coder.session.outcome import Destination
from coder.session.record import Items
from coder.session.recorder import Recorder
from coder.store import Places

Mode = Literal["edit", "ask", "plan"]


class SessionOptions(Struct, frozen=True):
    """What the user said when the session was opened. `trusted`: the repository's rules may be read to the model."""

    mode: Mode = "edit"
    checks: CheckOptions = CheckOptions()
    destination: Destination = Destination()
    trusted: bool = False


@dataclass(slots=True)
class Means:
    """What the turns of a session share. `emit` also keeps what must last; `edits` are the patches that landed, by
    checkpoint, as compaction keeps them, `applied` the trees before and after each that is in no commit yet."""

    repository: Repository
    settings: Settings
    places: Places
    options: SessionOptions
    emit: Emit
    ask: Ask
    client: Client
    helpers: Helpers
    checks: Checks
    briefing: Briefing
    recorder: Recorder
    cache_key: str
    history: Items
    edits: dict[str, str] = field(default_factory=dict)
    applied: dict[str, tuple[str, str]] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)  # by the user, to the turn that runs

    @property
    def key(self) -> str:
        """The cache key of the session; another one each time the conversation changed elsewhere than at its end."""
        renewals = self.recorder.record.renewals
        return f"{self.cache_key}:{renewals}" if renewals else self.cache_key
