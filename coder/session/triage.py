"""What the triager is shown, and what its answer is checked against: the redacted log, the diff, the draft's lines."""

import asyncio
import time
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

from coder.agents.subagents import Ground, Helpers, triage
from coder.context.tokens import count_tokens, estimate_tokens
from coder.model.logs import LogPrice
from coder.repo.repository import Repository
from coder.text import redact
from coder.values import Evidence, TestReport, TriageCard, Usage
from coder.verify.secrets import secret_values

MAX_LOG_BYTES = 4_000_000
EXACTLY_COUNTED = 400_000  # characters; counting takes about a second for each million
MAX_CARDS = 5  # clusters that a model call is spent on; the rest keep what the rules say
MAX_TRACES = 3  # failures of one cluster whose traces are shown


async def triage_failures(
    helpers: Helpers, repository: Repository, snapshot: str, evidence: Evidence, cards: Sequence[TriageCard]
) -> tuple[TriageCard, ...]:
    """The first cards with the small model's reading of them, the others as they are."""
    diff = repository.patch(snapshot, evidence.tree).decode("utf-8", "replace")
    secrets = secret_values(repository, evidence.tree)
    ground = find_ground(evidence, diff, lambda path: repository.read(evidence.tree, path), secrets)
    return await judge(helpers, ground, cards)


async def judge(helpers: Helpers, ground: Ground, cards: Sequence[TriageCard]) -> tuple[TriageCard, ...]:
    """One call for each of the first cards."""
    return (*await triage(helpers, cards[:MAX_CARDS], ground), *cards[MAX_CARDS:])


def find_ground(
    evidence: Evidence, diff: str, read: Callable[[str], bytes | None], secrets: tuple[str, ...] = ()
) -> Ground:
    """The facts about a failed run: its logs, the `diff` under test, and the files of the tree that `read` knows.

    Logs are redacted here, of `secrets` and of what looks like one: what a model quotes is quoted from this text.
    """
    failed = [report for report in evidence.reports if not report.ok]

    @cache
    def line_count(path: str) -> int:
        content = read(path)
        return 0 if content is None else content.count(b"\n") + (not content.endswith(b"\n"))

    def excerpt(card: TriageCard) -> str:
        named = [failure for report in failed for failure in report.failures if failure.name in card.tests]
        traces = [failure.trace or failure.message for failure in named[:MAX_TRACES]]
        return redact("\n\n".join(filter(None, traces)), secrets) or log

    log = "\n".join(_read_log(report, secrets) for report in failed)
    traces = redact("\n".join(failure.trace for report in failed for failure in report.failures), secrets)
    return Ground(f"{log}\n{traces}", diff, line_count, excerpt)


def _read_log(report: TestReport, secrets: tuple[str, ...]) -> str:
    try:
        with Path(report.log).open("rb") as file:
            return redact(file.read(MAX_LOG_BYTES).decode("utf-8", "replace"), secrets)
    except OSError:
        return ""


def triager_usd(helpers: Helpers) -> float | None:
    """What the triager has cost so far, None when that is unknown."""
    spent = [usage.usd for usage in helpers.client.usages if usage.role == "triager"]
    return None if None in spent else sum(usd or 0.0 for usd in spent)


async def keep_price(helpers: Helpers, evidence: Evidence, told: str, triage_usd: float | None) -> None:
    """Book what the failed logs came to read in this way, beside what the main model would have taken to read them
    raw. `told` is what it is given instead, `triage_usd` what the triager took for it."""
    client = helpers.client
    logs = [report.log for report in evidence.reports if not report.ok and report.log]
    raw, tokens = await asyncio.to_thread(lambda: (sum(map(_log_tokens, logs)), count_tokens(told)))
    main = client.catalog.get(helpers.settings.model)
    raw_usd, told_usd = (main.price(Usage("coder", main.id, input_tokens=number)) for number in (raw, tokens))
    usd = None if told_usd is None or triage_usd is None else told_usd + triage_usd
    client.ledger.keep_log(LogPrice(time.time(), helpers.session, raw, tokens, raw_usd, usd))


def _log_tokens(path: str) -> int:
    """Tokens of a log; of a long one about so many."""
    try:
        with Path(path).open("rb") as file:
            text = file.read(MAX_LOG_BYTES).decode("utf-8", "replace")
    except OSError:
        return 0
    return count_tokens(text) if len(text) < EXACTLY_COUNTED else estimate_tokens(text)
