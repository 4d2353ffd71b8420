"""Opening a session for a face: recover an interrupted apply first, then the repository, then the session."""

import secrets
import threading
import time
from collections.abc import Callable

from coder.cli.setup import Setup
from coder.events import Ask, Emit, Notice
from coder.model.client import warm
from coder.repo.apply import recover
from coder.repo.repository import Repository
from coder.session.session import Session, SessionOptions

Opener = Callable[[Emit, Ask], Session]


def new_session_id() -> str:
    """Sortable by time, unique between processes: 20261125-161502-4f1c9a."""
    return f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{secrets.token_hex(3)}"


def session_opener(setup: Setup, options: SessionOptions) -> Opener:
    """What a face calls, in a thread, to get its session. Blocking: reads the repository."""

    def open_session(emit: Emit, ask: Ask) -> Session:
        threading.Thread(target=warm, daemon=True).start()  # git and the SDK's import take turns waiting
        session_id = new_session_id()
        location = setup.repository()
        for message in recover(location, setup.places):
            emit(Notice(message, "warning"))
        repository = Repository(location, setup.places, session_id)
        return Session(repository, setup.settings, setup.places, emit, ask, id=session_id, options=options)

    return open_session
