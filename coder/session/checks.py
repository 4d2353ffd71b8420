"""The tests of a turn: which commands may run, one sandbox for the session, evidence by tree, triage of what fails."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from coder.agents.subagents import Helpers
from coder.agents.wrap import clip
from coder.config import Settings
from coder.events import ApproveCommand, Ask, Emit, EvidenceReady, Notice
from coder.repo.repository import Repository
from coder.repo.trust import TrustStore
from coder.sandbox import Sandbox, choose
from coder.session.triage import triage_failures
from coder.store import Places
from coder.text import redact
from coder.values import Evidence, TriageCard
from coder.verify.cluster import cluster
from coder.verify.commands import TestCommand, detect, parse_command
from coder.verify.runner import Verifier

SandboxMode = Literal["auto", "require", "off"]


@dataclass(frozen=True, slots=True)
class CheckOptions:
    """What the user said about tests: `commands` from flags approve themselves, `trusted` approves the rest."""

    commands: tuple[str, ...] = ()
    none: bool = False
    trusted: bool = False
    sandbox: SandboxMode = "auto"


class Checks:
    """Runs the approved test commands on drafts. A tree that was tested is not tested again."""

    def __init__(
        self,
        repository: Repository,
        settings: Settings,
        places: Places,
        emit: Emit,
        ask: Ask,
        session: str,
        options: CheckOptions,
        helpers: Helpers,
    ) -> None:
        self._repository = repository
        self._settings = settings
        self._places = places
        self._emit = emit
        self._ask = ask
        self._session = session
        self._options = options
        self._helpers = helpers
        self._approved: tuple[TestCommand, ...] | None = None
        self._evidence: dict[tuple[str, str], tuple[Evidence, tuple[TriageCard, ...]]] = {}
        self._opening: asyncio.Task[Sandbox] | None = None
        self.sandbox: Sandbox | None = None

    def candidates(self, tree: str) -> tuple[TestCommand, ...]:
        """The commands in the order of the contract: flags, trusted configuration, detection."""
        if self._options.none:
            return ()
        if self._options.commands:
            return tuple(TestCommand(parse_command(text), "flag") for text in self._options.commands)
        if self._settings.test.commands:
            return tuple(TestCommand(parse_command(text), "configuration") for text in self._settings.test.commands)
        paths = [file.path for file in self._repository.files(tree)]
        return detect(paths, lambda path: self._repository.read(tree, path) or b"")

    async def approved(self, tree: str) -> tuple[TestCommand, ...]:
        """The commands that may run, asking once where nobody approved them yet."""
        if self._approved is None:
            self._approved = await self._approve(self.candidates(tree))
        return self._approved

    async def _approve(self, commands: tuple[TestCommand, ...]) -> tuple[TestCommand, ...]:
        if not commands:
            return ()
        store, root = TrustStore(self._places), self._repository.location.root
        remembered = store.approved_commands(root)
        known = all(command.argv in remembered for command in commands)
        named = not commands[0].origin.startswith("detected")  # by a flag or by trusted configuration
        if named or self._options.trusted or known:
            return commands
        question = ApproveCommand(tuple(command.argv for command in commands), commands[0].origin, "auto")
        if await self._ask(question):
            for command in commands:
                store.approve_command(root, command.argv)
            return commands
        return ()

    def prepare(self) -> None:
        """Begin the sandbox's self-test now, while the model thinks, where a command to run is already named."""
        named = self._options.commands or self._settings.test.commands
        if named and not self._options.none and self._opening is None:
            self._opening = asyncio.create_task(self._choose())
            self._opening.add_done_callback(lambda done: done.cancelled() or done.exception())  # told when awaited

    async def open_sandbox(self) -> Sandbox:
        """The sandbox of this session, chosen once by a self-test. Raises Refused where none holds."""
        if self._opening is None:
            self._opening = asyncio.create_task(self._choose())
        self.sandbox = await asyncio.shield(self._opening)
        return self.sandbox

    async def _choose(self) -> Sandbox:
        sandbox = await choose(self._options.sandbox, self._settings.sandbox, self._places)
        if sandbox.tier == "none":
            self._emit(Notice("tests run without a sandbox, as --sandbox off asks", "warning"))
        return sandbox

    async def close(self) -> None:
        """Stop a self-test that nobody waited for."""
        if self._opening is not None and not self._opening.done():
            self._opening.cancel()
            await asyncio.wait([self._opening])

    async def run(self, snapshot: str, tree: str) -> tuple[Evidence, tuple[TriageCard, ...]]:
        """What the tests say of `tree` against `snapshot`; status "not_run" where there is no approved command."""
        if (snapshot, tree) in self._evidence:
            return self._evidence[snapshot, tree]
        commands = await self.approved(snapshot)
        if not commands:
            return Evidence(tree=tree, note="no approved test command"), ()
        verifier = Verifier(
            self._repository, await self.open_sandbox(), self._settings, self._places, self._emit, self._session
        )
        evidence = await verifier.run(commands, snapshot, tree)
        cards = cluster(evidence)
        if cards and not all(report.ok for report in evidence.reports):
            cards = await triage_failures(self._helpers, self._repository, snapshot, evidence, cards)
        self._evidence[snapshot, tree] = evidence, cards
        self._emit(EvidenceReady(evidence, cards))
        return evidence, cards


MAX_REPORT = 12_000  # characters: about 3,000 tokens


def headline(evidence: Evidence) -> str:
    """The evidence in one sentence that cannot be misread: "passed" is said only where everything passed."""
    if evidence.status == "not_run":
        return f"Tests did not run: {evidence.note or 'no approved test command'}."
    if evidence.status == "failed":
        new = len(evidence.new_failures)
        return f"Tests FAIL on the draft: {new} new failures." if new else "Tests FAIL on the draft."
    if all(report.ok for report in evidence.reports):
        return "All tests pass on the draft."
    return f"No new failures on the draft; {len(evidence.preexisting)} tests fail as they did before the change."


def describe(evidence: Evidence, cards: Sequence[TriageCard]) -> str:
    """The evidence as the main model reads it: facts of the tool first, then the triage. Bounded by the clusters."""
    if evidence.status == "not_run":
        return headline(evidence)
    lines = [headline(evidence)]
    for report in evidence.reports:
        end = "timed out" if report.timed_out else f"exit code {report.exit_code}"
        lines.append(f"$ {' '.join(report.command)} -> {end}; {report.passed} passed, {report.failed} failed")
    for title, names in (
        ("new failures", evidence.new_failures),
        ("failed before the change too", evidence.preexisting),
        ("flaky", evidence.flaky),
        ("fixed by the change", evidence.fixed),
    ):
        if names:
            more = f" and {len(names) - 20} more" if len(names) > 20 else ""
            lines.append(f"{title}: {', '.join(names[:20])}{more}")
    for card in cards:
        lines += ["", f"## {card.title}"]
        lines += [f"likely cause: {card.cause} ({card.confidence:.0%})"] if card.source == "model" else []
        lines += [f"at {path}:{line}" for path, line in card.locations]
        lines += [f"> {quote}" for quote in card.evidence]
        lines += [card.next_step] if card.next_step else []
    return clip(redact("\n".join(lines)), MAX_REPORT)
