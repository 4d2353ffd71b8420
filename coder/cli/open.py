"""Opening a session for a face: recover an interrupted apply first, then the repository, then the session."""

import threading
from collections.abc import Callable

from coder.cli.setup import Setup
from coder.events import Ask, Emit, Notice
from coder.headless.telemetry import observed
from coder.model.client import warm
from coder.repo.apply import recover
from coder.repo.repository import Repository
from coder.session.housekeeping import prune_daily
from coder.session.record import new_session_id
from coder.session.session import Session, SessionOptions

Opener = Callable[[Emit, Ask], Session]


def session_opener(setup: Setup, options: SessionOptions, resume: str = "") -> Opener:
    """What a face calls, in a thread, to get its session: a new one, or the recorded one with the id `resume`.

    Blocking: reads the repository.
    """

    def open_session(emit: Emit, ask: Ask) -> Session:
        warming = threading.Thread(target=warm, daemon=True)
        if not resume:
            warming.start()  # git and the SDK's import take turns waiting; a recorded past has nothing to wait for
        emit = observed(emit, setup.settings.otel)
        session_id = resume or new_session_id()
        location = setup.repository()
        for message in recover(location, setup.places):
            emit(Notice(message, "warning"))
        repository = Repository(location, setup.places, session_id)
        try:
            session = Session(
                repository, setup.settings, setup.places, emit, ask, id=session_id, options=options, resume=bool(resume)
            )
        except BaseException:
            repository.close()
            raise
        if resume:
            warming.start()
        retention = setup.settings.state.retention_days
        threading.Thread(target=prune_daily, args=(setup.places, retention), daemon=True).start()
        return session

    return open_session
