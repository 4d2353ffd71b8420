"""What a session works with, put together at its opening: client, helpers, checks, briefing, the record."""

from collections.abc import Callable

from coder.agents.subagents import Helpers
from coder.config import Settings
from coder.context.tokens import count_tokens
from coder.events import Ask, Emit
from coder.model.client import Client
from coder.repo.repository import Repository
from coder.session.briefing import Briefing
from coder.session.checks import Checks
from coder.session.means import Means, SessionOptions
from coder.session.record import Record
from coder.session.recorded import Recorded
from coder.session.recorder import Recorder
from coder.store import Places


def gather(
    repository: Repository,
    settings: Settings,
    places: Places,
    emit: Emit,
    ask: Ask,
    id: str,
    options: SessionOptions,
    state: Recorded,
    tree: Callable[[], str],
    *,
    new: bool,
) -> Means:
    """The means of the session `id`, which stands where `state` says. `tree` gives the draft that the model knows.

    Raises UserError where another process has the session open.
    """
    record = Record(places, id, state.history, state.renewals)
    root, history = str(repository.location.root), list(state.history)
    head = {"root": root, "model": settings.model, "effort": settings.effort} if new else None
    recorder = Recorder(record, history, emit, tree, head)
    client = Client(settings, places, id, emit, repository=root, count=count_tokens)
    helpers = Helpers(client, settings, recorder, id)
    return Means(
        repository,
        settings,
        places,
        options,
        recorder,
        ask,
        client,
        helpers,
        Checks(repository, settings, places, recorder, ask, id, options.checks, helpers),
        Briefing(repository, settings, places, trusted=options.trusted),
        recorder,
        state.cache_key or f"coder:{id}",
        history,
    )
