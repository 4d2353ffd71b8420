"""Real sessions on a real repository against the fake server, one process of a user after another."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

from coder.config import Settings
from coder.errors import CoderError
from coder.events import Answer, Event, Notice, Question, Review
from coder.repo.repository import Repository
from coder.session.checks import CheckOptions
from coder.session.policy import accept_all
from coder.session.session import Session, SessionOptions
from coder.store import Places, find_places
from coder.values import ReviewDecision

Value = TypeVar("Value")
UNTESTED = SessionOptions(checks=CheckOptions(none=True))


class User:
    """Opens sessions in `root` and answers their questions: reviews by `review`, all else with yes."""

    def __init__(self, root: Path, settings: Settings | None = None, options: SessionOptions = UNTESTED) -> None:
        self.root, self.options = root, options
        self.settings = settings or Settings()
        self.places: Places = find_places()
        self.events: list[Event] = []
        self.review: Callable[[Review], ReviewDecision] = lambda question: accept_all(question.proposal.files)

    def session(self, id: str, work: Callable[[Session], Awaitable[Value]], *, resume: bool = False) -> Value:
        """Open the session, do `work` with it, close it: the life of one process."""

        async def live() -> Value:
            repository = Repository.open(self.root, self.places, id)
            try:
                session = Session(
                    repository,
                    self.settings,
                    self.places,
                    self.events.append,
                    self._ask,
                    id=id,
                    options=self.options,
                    resume=resume,
                )
            except BaseException:
                repository.close()
                raise
            try:
                return await work(session)
            finally:
                await session.close()

        return asyncio.run(live())

    def turns(self, id: str, *tasks: str, resume: bool = False) -> list[Any]:
        """One session with these tasks; the outcomes, or the error where a turn ended early."""

        async def work(session: Session) -> list[Any]:
            ended: list[Any] = []
            for task in tasks:
                try:
                    ended.append(await session.run(task))
                except CoderError as error:
                    ended.append(error)
            return ended

        return self.session(id, work, resume=resume)

    async def _ask(self, question: Question) -> Answer:
        return self.review(question) if isinstance(question, Review) else True

    def notices(self) -> list[str]:
        return [event.text for event in self.events if isinstance(event, Notice)]


def told(body: dict[str, Any]) -> list[str]:
    """The texts of the user messages of a request."""
    messages = [item for item in body["input"] if item.get("role") == "user"]
    return ["".join(part["text"] for part in item["content"]) for item in messages]
