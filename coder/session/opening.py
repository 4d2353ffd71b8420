"""A session's opening: what it works with, put together (client, checks, briefing, record …), and what is said then."""

from collections.abc import Callable

from coder.agents.subagents import Helpers
from coder.config import Settings
from coder.context.tokens import count_tokens
from coder.events import Ask, Emit, Notice, SessionStarted
from coder.model.client import Client
from coder.repo.repository import Repository
from coder.session.briefing import Briefing
from coder.session.checks import Checks
from coder.session.disclosure import tell_once
from coder.session.means import Means, SessionOptions
from coder.session.record import Record
from coder.session.recorded import Recorded
from coder.session.recorder import Recorder
from coder.session.undecided import UNDECIDED
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


def announce(means: Means, id: str, model_before: str, *, is_undecided: bool) -> None:
    """What there is to say of a session that is open now. `model_before`: that of its turns so far, "" without any."""
    location, model = means.repository.location, means.settings.model
    means.emit(SessionStarted(id, str(location.root), location.branch, model, means.options.checks.sandbox))
    if model_before not in ("", model):
        means.emit(Notice(f"this session was with {model_before}; it goes on with {model}"))
    if location.state:
        means.emit(Notice(f"a {location.state} is in progress in this repository", "warning"))
    if is_undecided:
        means.emit(Notice(UNDECIDED))
    if told := tell_once(means.places, means.client.provider):
        means.emit(Notice(told))
