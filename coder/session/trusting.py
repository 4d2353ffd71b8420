"""Trust in a repository as it is shown and changed in the middle of a session: what holds now, what a yes would do."""

from pathlib import Path

from msgspec import Struct

from coder.repo.trust import TrustStore
from coder.store import Places
from coder.text import visible

_MEANS = "its .coder.toml is read, its AGENTS.md is shown to the model, its hooks run when you commit"


class TrustState(Struct, frozen=True):
    """Whether a repository is trusted, and the question whether to change that."""

    root: Path
    trusted: bool

    @property
    def words(self) -> str:
        return f"It is trusted: {_MEANS}." if self.trusted else f"It is not trusted. With a yes, {_MEANS}."

    @property
    def question(self) -> str:
        return "Trust this repository no longer?" if self.trusted else "Trust this repository?"


def trust_state(places: Places, root: str) -> TrustState:
    """Blocking."""
    return TrustState(Path(root), TrustStore(places).is_trusted(Path(root)))


def change(places: Places, now: TrustState) -> str:
    """Trust it, or no longer; what holds then, in words. Blocking."""
    store = TrustStore(places)
    (store.remove if now.trusted else store.add)(now.root)
    words = "is not trusted any more" if now.trusted else "is trusted"
    return visible(f"{now.root} {words}; this holds from the next session on")
