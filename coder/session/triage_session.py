"""Triage by itself: failures from saved reports, from a log or from a command, grouped by rules and, with a key,
judged by the small model. Nothing is edited.
"""

import asyncio
from collections.abc import Sequence

from msgspec import Struct

from coder import amounts
from coder.agents.subagents import Helpers
from coder.config import Settings
from coder.context.tokens import count_tokens
from coder.context.tree import rules_for
from coder.context.withheld import content_why
from coder.errors import Exit, Failed, UserError
from coder.events import Emit, EvidenceReady, Notice, SessionStarted, TurnStarted
from coder.model.client import Client
from coder.repo.diff import render
from coder.repo.repository import Repository, Snapshot
from coder.sandbox import Sandbox, choose
from coder.session.checks import SandboxMode
from coder.session.disclosure import tell_once
from coder.session.findings import describe
from coder.session.outcome import Outcome
from coder.session.triage import find_ground, judge, keep_price, triager_usd
from coder.store import Places, private_dir
from coder.values import Evidence, FileDiff, TriageCard, Usage
from coder.verify.cluster import cluster
from coder.verify.commands import TestCommand
from coder.verify.runner import Verifier, by_itself
from coder.verify.saved import read_saved


class Failures(Struct, frozen=True):
    """Where failures come from: saved JUnit reports and logs (`-` is standard input), or a command to run.

    Giving a command approves it. `secrets` are values that no log may show.
    """

    junit: tuple[str, ...] = ()
    logs: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    sandbox: SandboxMode = "auto"
    secrets: tuple[str, ...] = ()


class TriageSession:
    """One triage, for the same harness that carries out a run. `repository` is None outside of one."""

    def __init__(
        self,
        repository: Repository | None,
        settings: Settings,
        places: Places,
        emit: Emit,
        failures: Failures,
        *,
        id: str,
    ) -> None:
        self.id = id
        self.evidence = Evidence()
        self.triage: tuple[TriageCard, ...] = ()
        self._repository = repository
        self._settings = settings
        self._places = places
        self._emit = emit
        self._failures = failures
        self._snapshot: Snapshot | None = None
        self._sandbox: Sandbox | None = None
        root = "" if repository is None else str(repository.location.root)
        branch = "" if repository is None else repository.location.branch
        self._client = Client(settings, places, id, emit, repository=root, count=count_tokens)
        emit(SessionStarted(id, root, branch, settings.subagent_model, failures.sandbox))

    @property
    def usages(self) -> tuple[Usage, ...]:
        return self._client.usages

    @property
    def cost_usd(self) -> float | None:
        return self._client.cost_usd

    @property
    def sandbox_text(self) -> str:
        return "" if self._sandbox is None else str(self._sandbox)

    def draft_patch(self) -> tuple[tuple[FileDiff, ...], bytes]:
        """There is no draft."""
        return (), b""

    async def run(self, task: str) -> Outcome:
        """Gather, group and judge. The report is the result, whatever it says."""
        self._emit(TurnStarted(1, task))
        self.evidence = await self._gather()
        self.triage = cluster(self.evidence, [file.path for file in self._snapshot.files] if self._snapshot else ())
        if self.triage and self._has_model():
            helpers = Helpers(self._client, self._settings, self._emit, self.id)
            diff = await asyncio.to_thread(self._diff)
            self.triage = await judge(helpers, find_ground(self.evidence, diff, self._read), self.triage)
            await keep_price(helpers, self.evidence, describe(self.evidence, self.triage), triager_usd(helpers))
        self._emit(EvidenceReady(self.evidence, self.triage))
        return Outcome(Exit.DONE, summarize(self.evidence, self.triage))

    async def _gather(self) -> Evidence:
        if self._failures.command:
            return await self._run_command(self._failures.command)
        keep = private_dir(self._places.state / "logs" / self.id)
        given = self._failures
        reports = await asyncio.to_thread(read_saved, given.junit, given.logs, keep, given.secrets)
        failed, ran = any(report.failed for report in reports), any(report.ran for report in reports)
        if self._repository is not None:
            self._snapshot = await asyncio.to_thread(self._repository.snapshot)
        tree = "" if self._snapshot is None else self._snapshot.tree
        return Evidence("failed" if failed else "passed" if ran else "not_run", tree, reports)

    async def _run_command(self, command: Sequence[str]) -> Evidence:
        if self._repository is None:
            raise UserError("a command is run in a repository", "start coder inside one, or give --log or --junit")
        self._sandbox = await choose(self._failures.sandbox, self._settings.sandbox, self._places)
        self._snapshot = await asyncio.to_thread(self._repository.snapshot)
        tree = self._snapshot.tree
        arguments = self._repository, self._sandbox, self._settings, self._places, self._emit, self.id
        found = await Verifier(*arguments).run([TestCommand(tuple(command), "flag")], tree, tree)
        if not found.reports:
            raise Failed(f"the command was not run: {found.note}", "see `coder doctor`")
        return by_itself(found)

    def _has_model(self) -> bool:
        try:
            self._client.require_key()
        except UserError as error:
            self._emit(Notice(f"{error.message}: failures are grouped by rules only"))
            return False
        if told := tell_once(self._places, self._client.provider):
            self._emit(Notice(told))
        return True

    def _read(self, path: str) -> bytes | None:
        if self._repository is None or self._snapshot is None:
            return None
        return self._repository.read(self._snapshot.tree, path)

    def _diff(self) -> str:
        """What is not committed yet, as far as it may be shown: a likely cause."""
        if self._repository is None or self._snapshot is None or not self._repository.location.head:
            return ""
        rules = rules_for(self._repository, self._snapshot, self._settings.context.exclude)
        files = [
            file
            for file in self._repository.diff(self._repository.location.head, self._snapshot.tree)
            if not file.binary and not any(rules.why(path) for path in (file.path, file.old_path))
            if not content_why(file.path, self._read(file.path) or b"")
        ]
        return render(files).decode("utf-8", "replace")

    async def take_back(self) -> None:
        """Nothing landed."""

    async def close(self) -> None:
        await self._client.aclose()
        if self._repository is not None:
            await asyncio.to_thread(self._repository.close)


def summarize(evidence: Evidence, cards: Sequence[TriageCard]) -> str:
    """The triage in one sentence."""
    failed = sum(report.failed for report in evidence.reports)
    if not evidence.reports:
        return f"Nothing was run: {evidence.note}" if evidence.note else "Nothing was run."
    if not failed:
        ran = sum(report.ran for report in evidence.reports)
        return f"No failures: {ran} passed." if ran else "No test was run."
    return f"{amounts.count(failed, 'failure')}, {amounts.count(len(cards), 'probable cause')}."
