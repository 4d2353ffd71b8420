"""What the tests of the model room stand on: a client on the fake server, with tiny time limits and kept events."""

import asyncio
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from msgspec import convert

from coder.config import Settings
from coder.errors import CoderError
from coder.events import Event
from coder.model import Client, Reply, Request, Timeouts, ToolSpec, tool_output, user_message
from coder.store import Places
from tests.fake_openai import FakeOpenAI

SEARCH = ToolSpec(
    "search",
    "Look something up.",
    {
        "type": "object",
        "properties": {"query": {"type": "string"}, "limit": {"type": "integer"}},
        "required": ["query"],
    },
)
EDIT = ToolSpec("apply_patch", "Change files.")
PATIENT = Timeouts(connect=5, first=20, between=20, thinking=20, total=60)
QUICK = Timeouts(connect=5, first=1.0, between=0.6, thinking=0.6, total=10)


def request(*history: dict[str, Any], **changes: Any) -> Request:
    values: dict[str, Any] = {
        "role": "coder",
        "model": "gpt-5.4-mini",
        "instructions": "Be brief.",
        "input": history or (user_message("hello"),),
        "tools": (SEARCH, EDIT),
        "effort": "low",
        "cache_key": "coder:test",
    }
    return Request(**{**values, **changes})


def settings(retry_budget: float = 0.2, **values: Any) -> Settings:
    limits = {"retry_budget": retry_budget, **values.pop("limits", {})}
    return convert({"limits": limits, **values}, Settings)


def answer_calls(reply: Reply, text: str = "ok") -> tuple[dict[str, Any], ...]:
    """The reply and the answers to its calls, as a loop appends them to the history."""
    return (*reply.items, *(tool_output(call, text) for call in reply.calls))


@dataclass
class Heard:
    """What came of one conversation with the server."""

    server: FakeOpenAI
    events: list[Event] = field(default_factory=list)
    shown: list[str] = field(default_factory=list)
    seconds: float = 0.0
    error: CoderError | None = None
    client: Client | None = None

    def kinds(self, kind: type) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


def talk(
    script: Any,
    conversation: Callable[[Client, Callable[[str], None]], Any] | None = None,
    *,
    chosen: Settings | None = None,
    timeouts: Timeouts = PATIENT,
    on_event: Callable[[Event], None] = lambda _: None,
    places: Places | None = None,
    session: str = "test",
    strict: bool = True,
    environ: dict[str, str] | None = None,
    **client: Any,
) -> tuple[Any, Heard]:
    """Run `conversation` (one plain request if none) against a server that plays `script`. An error of coder's is
    kept in `heard.error`, with None as the result."""
    with tempfile.TemporaryDirectory(prefix="coder-model-") as base, FakeOpenAI(script, strict=strict) as server:
        places = places or Places(*(Path(base, name) for name in ("config", "state", "cache")))
        heard = Heard(server)

        async def run() -> Any:
            variables = {**server.environ(), **(environ or {})}

            def emit(event: Event) -> None:
                heard.events.append(event)
                on_event(event)

            made = Client(chosen or settings(), places, session, emit, variables, timeouts=timeouts, **client)
            heard.client = made
            begun = time.monotonic()
            try:
                if conversation is None:
                    return await made.reply(request(), heard.shown.append)
                return await conversation(made, heard.shown.append)
            except CoderError as error:
                heard.error = error
                return None
            finally:
                heard.seconds = time.monotonic() - begun
                await made.aclose()

        return asyncio.run(run()), heard
