"""The helper minds of the small model: one question, one strict JSON reply, checked before anyone believes it.

Their replies are data. What they quote is looked up in the log, the lines they suspect in the tree; what is not there
is dropped. When a call fails or brings nothing usable, the rules' answer stands.
"""

import asyncio
import itertools
from collections.abc import Callable, Sequence
from typing import Annotated, Literal, TypeVar

from msgspec import Meta, Struct, ValidationError
from msgspec.json import decode
from msgspec.structs import replace

from coder.agents.agent import make_agent
from coder.agents.wrap import clip, wrap
from coder.config import Settings
from coder.errors import CoderError
from coder.events import Emit, Notice, SubagentFinished, SubagentStarted
from coder.model.client import Client
from coder.model.messages import Reply, Request, user_message
from coder.model.strict import schema_of
from coder.text import redact, visible_line
from coder.values import TriageCard, TriageCause

MAX_OUTLINE = 400  # characters of a candidate's outline
SELECTION_S = 30.0  # that a second look at a ranking may take, tries and waits included
MAX_LOG = 16_000  # characters of one cluster's log
MAX_DIFF = 12_000

_ids = itertools.count(1)
Shape = TypeVar("Shape", bound="Answer")


class Answer(Struct, frozen=True, forbid_unknown_fields=True):
    """A structured reply: unknown fields refused, so that a model's improvisation is seen."""


class Selection(Answer, frozen=True):
    best: list[int]


class Place(Answer, frozen=True):
    path: str
    line: int


class Triage(Answer, frozen=True):
    cause: Literal["change", "wrong_test", "environment", "flaky", "timeout", "unrelated", "unknown"]
    confidence: Annotated[float, Meta(ge=0, le=1)]
    quotes: list[str]
    places: list[Place]
    next_step: str


class Helpers(Struct, frozen=True):
    """What every helper call needs. How many are in flight at once is the client's to bound."""

    client: Client
    settings: Settings
    emit: Emit
    session: str

    async def ask(self, prompt: str, text: str, shape: type[Shape], summary: str) -> Shape | None:
        """One strict-schema call of the subagent `prompt`. None, and a Notice, if it brought nothing usable."""
        try:
            return await self.call(prompt, text, shape, summary)
        except (CoderError, Unusable) as error:
            self.emit(Notice(f"{prompt}: {error}; going on without it", "warning"))
            return None

    async def call(self, prompt: str, text: str, shape: type[Shape], summary: str) -> Shape:
        """The same, for work that is nothing without its answer. Raises Unusable, and what the client raises."""
        agent = make_agent(f"subagents/{prompt}", self.settings)
        request = Request(
            role=agent.role,
            model=agent.model,
            instructions=agent.instructions,
            input=(user_message(text),),
            schema=schema_of(shape),
            schema_name=prompt,
            effort=agent.effort,
            max_output=agent.max_output,
            cache_key=f"{self.session}:{prompt}",
        )
        call = f"{prompt}-{next(_ids)}"
        answer: Shape | None = None
        reply: Reply | None = None
        self.emit(SubagentStarted(call, agent.role, agent.model, summary))
        try:
            reply = await self.client.reply(request)
            answer = _parse(reply, shape)
            return answer
        finally:
            self.emit(SubagentFinished(call, agent.role, answer is not None, reply.usage if reply else None))


def spelled(path: str) -> str:
    """A path as a model can repeat it: in one line, nothing in it hidden."""
    return " ".join(visible_line(path).split())


class Unusable(Exception):
    """A reply that is no answer: cut off, refused, or not of the schema."""


def _parse(reply: Reply, shape: type[Shape]) -> Shape:
    if reply.finish != "completed":
        raise Unusable(f"the reply ended with {reply.finish}")
    try:
        return decode(reply.text, type=shape, strict=False)
    except ValidationError as error:
        raise Unusable(f"the reply is not of its schema ({clip(str(error), 200)})") from None
    except (ValueError, RecursionError):
        raise Unusable("the reply is not JSON") from None


# ── selector ─────────────────────────────────────────────────────────────────────────────────────


async def select(helpers: Helpers, task: str, candidates: Sequence[tuple[str, str]]) -> list[str]:
    """The candidates' paths (each with its outline or ""), best first; in their own order if the call fails."""
    picked = await pick(helpers, task, candidates)
    return list(dict.fromkeys([*picked, *(path for path, _ in candidates)]))


async def pick(helpers: Helpers, task: str, candidates: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    """Those of the candidates that matter for the task, best first; none if the call fails or takes too long.

    The reply holds numbers only: what it picks can't be anything but a candidate.
    """
    if len(candidates) < 2:
        return ()
    listing = "\n".join(
        f"{number}. {spelled(path)}\n{clip(outline, MAX_OUTLINE)}".rstrip()
        for number, (path, outline) in enumerate(candidates)
    )
    text = f"{wrap('task', clip(task, 8_000))}\n{wrap('candidates', listing)}"
    answer: Selection | None = None
    seconds = min(helpers.settings.limits.timeout or SELECTION_S, SELECTION_S)
    try:
        async with asyncio.timeout(seconds):
            answer = await helpers.ask("selector", text, Selection, f"select among {len(candidates)} files")
    except TimeoutError:
        helpers.emit(Notice(f"selector: no answer within {seconds:g} s; going on without it", "warning"))
    numbers = dict.fromkeys(answer.best if answer else ())
    return tuple(candidates[number][0] for number in numbers if 0 <= number < len(candidates))


# ── triager ──────────────────────────────────────────────────────────────────────────────────────


class Ground(Struct, frozen=True):
    """What a triage is checked against. `line_count` is the number of lines of a file of the draft, 0 if it has none
    such; `excerpt` gives the part of the log that belongs to a card."""

    log: str
    diff: str
    line_count: Callable[[str], int]
    excerpt: Callable[[TriageCard], str]


async def triage(helpers: Helpers, cards: Sequence[TriageCard], ground: Ground) -> tuple[TriageCard, ...]:
    """The cards of the rules, each with the small model's opinion where it holds; one call for each card."""
    return tuple(await asyncio.gather(*(_triage(helpers, card, ground) for card in cards)))


async def _triage(helpers: Helpers, card: TriageCard, ground: Ground) -> TriageCard:
    parts = [
        wrap("failed tests", "\n".join([card.title, *card.tests[:20]])),
        wrap("log", clip(ground.excerpt(card), MAX_LOG)),
        wrap("diff under test", clip(redact(ground.diff), MAX_DIFF) or "(no change)"),
    ]
    answer = await helpers.ask("triager", "\n".join(parts), Triage, f"triage {card.title}")
    return check_triage(card, answer, ground) if answer else card


def check_triage(card: TriageCard, answer: Triage, ground: Ground) -> TriageCard:
    """`card` with what of `answer` is true: quotes that stand in the log, lines that exist. The rest is named."""
    log = " ".join(ground.log.split())
    quotes = [one_line(quote, 300) for quote in answer.quotes[:5] if quote.strip()]
    held = tuple(quote for quote in quotes if quote.removesuffix("…") in log)
    places = [(place.path.removeprefix("./"), place.line) for place in answer.places[:10]]
    real = tuple(place for place in places if 1 <= place[1] <= ground.line_count(place[0]))
    dropped = [f"quote not in the log: {one_line(quote, 80)}" for quote in quotes if quote not in held]
    dropped += [f"no such line: {one_line(path, 80)}:{line}" for path, line in places if (path, line) not in real]
    cause: TriageCause = answer.cause
    confidence = answer.confidence
    if quotes and not held:  # an opinion whose every proof was invented is none
        cause, confidence = card.cause, card.confidence
        dropped.append(f"cause {answer.cause!r}: none of its quotes stands in the log")
    return replace(
        card,
        cause=cause,
        confidence=confidence,
        locations=tuple(dict.fromkeys([*real, *card.locations]))[:10],
        evidence=tuple(dict.fromkeys([*held, *card.evidence]))[:8],
        next_step=one_line(answer.next_step, 400) or card.next_step,
        source="model",
        dropped=(*card.dropped, *dropped),
    )


def one_line(text: str, limit: int) -> str:
    """At most `limit` characters, without line ends."""
    line = " ".join(text.split())
    return line if len(line) <= limit else f"{line[: limit - 1]}…"
