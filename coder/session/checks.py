"""The tests of a turn: which commands may run, one sandbox for the session, evidence by tree, triage of what fails."""

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path
from shutil import which
from typing import Literal

from msgspec import Struct

from coder.agents.subagents import Helpers
from coder.amounts import count
from coder.config import Settings
from coder.errors import Refused, UserError
from coder.events import ApproveCommand, Ask, Emit, EvidenceReady, Notice
from coder.repo.repository import Repository
from coder.repo.trust import TrustStore
from coder.sandbox import Sandbox, choose
from coder.sandbox.environment import search_path
from coder.session.findings import describe
from coder.session.triage import keep_price, triage_failures, triager_usd
from coder.store import Places
from coder.values import Approval, Evidence, TestReport, TriageCard
from coder.verify.cluster import cluster
from coder.verify.commands import TestCommand, detect, parse_command
from coder.verify.runner import Verifier, by_itself

SandboxMode = Literal["auto", "require", "off"]


class CheckOptions(Struct, frozen=True):
    """What the user said about tests: `commands` from flags approve themselves, `trusted` approves the rest this once.

    `foreign`: the configured commands stand in the repository's own file, so that they may change with every pull.
    """

    commands: tuple[str, ...] = ()
    none: bool = False
    trusted: bool = False
    sandbox: SandboxMode = "auto"
    foreign: bool = False


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
        self._named: dict[str, tuple[TestCommand, ...]] = {}
        self._answers: dict[tuple[tuple[str, ...], ...], bool] = {}
        self._refusal = ""  # what the user said beside a no
        self._note = ""
        self._granted: tuple[tuple[str, ...], ...] = ()
        self._last: tuple[TestReport, ...] = ()
        self._evidence: dict[tuple[str, str], tuple[Evidence, tuple[TriageCard, ...]]] = {}
        self._opening: asyncio.Task[Sandbox] | None = None
        self.sandbox: Sandbox | None = None

    async def approved(self, tree: str) -> tuple[TestCommand, ...]:
        """The commands that may run, asking where nobody approved exactly these yet."""
        commands = await self._candidates(tree)
        if not commands or self._may_run(commands):
            return commands
        words = tuple(command.argv for command in commands)
        if words == self._granted:
            self._granted = ()
            return commands
        if words not in self._answers:
            question = ApproveCommand(words, commands[0].origin, self._options.sandbox, self._change())
            answer = Approval.of(await self._ask(question))
            for argv in words if answer.scope == "always" else ():
                TrustStore(self._places).approve_command(self._repository.location.root, argv)
            if answer.scope == "once":
                return commands
            self._answers[words], self._refusal = bool(answer), answer.reason
        return commands if self._answers[words] else ()

    async def _candidates(self, tree: str) -> tuple[TestCommand, ...]:
        """The commands in the order of the contract: flags, trusted configuration, detection."""
        if self._options.none:
            return ()
        if self._options.commands:
            return tuple(TestCommand(parse_command(text), "flag") for text in self._options.commands)
        if tree not in self._named:
            found = await asyncio.to_thread(named_by_repository, self._repository, tree, self._settings.test.commands)
            self._named = {tree: found}
        return self._named[tree]

    def _may_run(self, commands: Sequence[TestCommand]) -> bool:
        """Whether the user named the commands, or approved them word for word, now or earlier."""
        own = commands[0].origin == "flag" or (commands[0].origin == CONFIGURED and not self._options.foreign)
        if own or self._options.trusted:
            return True
        remembered = TrustStore(self._places).approved_commands(self._repository.location.root)
        return all(command.argv in remembered for command in commands)

    def _change(self) -> str:
        """What to say of a command that is not approved, where the user's word covered the tests as they were."""
        store, root = TrustStore(self._places), self._repository.location.root
        known = store.is_trusted(root) or store.approved_commands(root)
        return "it is not among the commands that were approved for this repository" if known else ""

    async def prepare(self, tree: str) -> None:
        """Before anything is spent: refuse a command that can't be started, ask about one that changed since it was
        approved, and begin the sandbox's self-test, while the model thinks, where a command may run."""
        commands = await self._candidates(tree)
        check_programs(commands, self._repository.location.root)
        if commands and not self._may_run(commands):
            commands = await self.approved(tree) if self._change() else ()
            self._granted = tuple(command.argv for command in commands)  # a yes for once is for the run to come
        if not commands:
            return
        if self._opening is None:
            self._opening = asyncio.create_task(self._choose())
            self._opening.add_done_callback(lambda done: done.cancelled() or done.exception())  # told when awaited

    async def open_sandbox(self) -> Sandbox:
        """The sandbox of this session, chosen once by a self-test. Raises Refused where none holds."""
        if self._opening is None:
            self._opening = asyncio.create_task(self._choose())
        self.sandbox = await asyncio.shield(self._opening)
        return self.sandbox

    async def _sandbox_for(self, commands: Sequence[TestCommand]) -> Sandbox | None:
        """The sandbox, or, where none holds, an unconfined run if the user agrees to this very one; else None."""
        try:
            return await self.open_sandbox()
        except Refused as refusal:
            if self._options.sandbox == "require":
                raise
            words = tuple(command.argv for command in commands)
            if not await self._ask(ApproveCommand(words, commands[0].origin, "none", refusal.message)):
                return None
        self.sandbox = await choose("off", self._settings.sandbox, self._places)
        return self.sandbox

    async def _choose(self) -> Sandbox:
        sandbox = await choose(self._options.sandbox, self._settings.sandbox, self._places)
        if sandbox.tier == "none":
            self._emit(Notice("tests run without a sandbox, as --sandbox off asks", "warning"))
        elif sandbox.limits:
            self._emit(Notice(f"the sandbox is {sandbox.tier}: it {sandbox.limits}", "warning"))
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
        verifier, commands = await self._verifier(snapshot)
        if verifier is None:
            return Evidence(tree=tree, note=self._note), ()
        return await self._weigh(verifier, commands, snapshot, tree)

    async def again(self, base: str, *, failed: bool = False) -> Evidence:
        """Run the tests on the files as they are now, whether or not they ran on them before; against the tree `base`,
        or with nothing to compare to. Of a run of the `failed` only, the evidence says no more than that."""
        tree = (await asyncio.to_thread(self._repository.snapshot)).tree
        verifier, commands = await self._verifier(base or tree)
        if verifier is None:
            return Evidence(tree=tree, note=self._note)
        if not failed:
            return (await self._weigh(verifier, commands, base or tree, tree, alone=not base))[0]
        allowed = {command.argv for command in commands}
        before = [report for report in self._last if report.failures and report.command in allowed]
        if not before:
            raise UserError("no test failed before", "run all of them first")
        evidence = await verifier.repeat(before, tree)
        if evidence.reports:
            self._emit(Notice(compare_again(before, evidence.reports)))
        return evidence

    async def _verifier(self, tree: str) -> tuple[Verifier | None, tuple[TestCommand, ...]]:
        """What runs the approved commands of `tree`; None, with `_note` saying why, where nothing may run."""
        commands = await self.approved(tree)
        if not commands:
            why = self._refusal and f"the user did not let them run: {self._refusal}"
            self._note = why or "no approved test command"
            return None, ()
        sandbox = await self._sandbox_for(commands)
        if sandbox is None:
            self._note = "there is no sandbox, and without one it was not approved"
            return None, ()
        chosen = self._repository, sandbox, self._settings, self._places, self._emit, self._session
        return Verifier(*chosen), commands

    async def _weigh(
        self,
        verifier: Verifier,
        commands: tuple[TestCommand, ...],
        snapshot: str,
        tree: str,
        *,
        alone: bool = False,
    ) -> tuple[Evidence, tuple[TriageCard, ...]]:
        """`alone`: there is no change whose effect is asked for, so that no failure is called older than it."""
        evidence = await verifier.run(commands, snapshot, tree)
        evidence = by_itself(evidence) if alone else evidence
        cards = cluster(evidence, [file.path for file in self._repository.files(tree)])
        if cards and not all(report.ok for report in evidence.reports):
            before = triager_usd(self._helpers)
            cards = await triage_failures(self._helpers, self._repository, snapshot, evidence, cards)
            after = triager_usd(self._helpers)
            spent = None if before is None or after is None else after - before
            await keep_price(self._helpers, evidence, describe(evidence, cards), spent)
        if evidence.status != "not_run":
            self._evidence[snapshot, tree] = evidence, cards
        self._last = evidence.reports
        self._emit(EvidenceReady(evidence, cards))
        return evidence, cards


def compare_again(before: Sequence[TestReport], after: Sequence[TestReport]) -> str:
    """What came of tests that had failed, in a sentence. What a run that was stopped, or that ran fewer tests than it
    was to run, does not name as failed may not have been run at all."""
    total = failed = 0
    passed: list[str] = []
    for earlier, later in zip(before, after, strict=True):
        still = {failure.name for failure in later.failures}
        names = {failure.name for failure in earlier.failures}
        total, failed = total + len(names), failed + len(names & still)
        whole = later.exit_code is not None and later.ran >= len(names)
        passed += sorted(names - still) if whole else []
    told = [f"of {count(total, 'failed test')}, {failed:,} failed again"]
    told += [f"passed this time: {', '.join(passed[:10])}"] if passed else []
    unknown = total - failed - len(passed)
    return "; ".join([*told, f"{unknown:,} may not have been run"] if unknown else told)


CONFIGURED = "configuration"


def check_programs(commands: Sequence[TestCommand], root: Path) -> None:
    """Raises UserError where the command line names a program that is not there: no model can mend that. What the
    configuration names may be meant for other repositories."""
    path = search_path(os.environ.get("PATH", ""), str(root))
    for name in (command.argv[0] for command in commands if command.origin == "flag"):
        if "/" not in name and which(name, path=path) is None:
            raise UserError(f"there is no program {name!r} to test with", "install it, or name it with its path")


def named_by_repository(repository: Repository, tree: str, configured: Sequence[str]) -> tuple[TestCommand, ...]:
    """The `configured` commands; without any, what the files of the tree suggest. Raises UserError; blocking."""
    if configured:
        return tuple(TestCommand(parse_command(text), CONFIGURED) for text in configured)
    paths = [file.path for file in repository.files(tree)]
    return detect(paths, lambda path: repository.read(tree, path) or b"")
