"""Runs the test commands on a draft and on its base, and weighs them against each other."""

import asyncio
import codecs
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Literal

from msgspec import Struct, structs

from coder.config import Settings
from coder.events import Emit, TestFinished, TestOutput, TestStarted
from coder.repo.repository import Repository
from coder.sandbox import Sandbox, SandboxError, View
from coder.store import Places, private_dir
from coder.values import Evidence, TestReport
from coder.verify.commands import TestCommand
from coder.verify.compare import Difference, all_names, compare, holds
from coder.verify.masked import masked_files
from coder.verify.reports import extra_environment, make_report, wanted_files
from coder.verify.secrets import secret_values
from coder.verify.select import select

Side = Literal["base", "draft"]

BASE_ALWAYS_BELOW_S = 120.0  # a run this short is repeated on the base even if it passed, to tell what was fixed
_RERUN_BELOW_S = 60.0
_ATTEMPTS = 2  # an editor that saves a file meanwhile should not cost the evidence
_DOUBTFUL = ("Timeout", "TimeLimit", "Connection", "Socket", "OSError", "BlockingIO", "BrokenPipe", "Interrupted")

_base_reports: dict[tuple[str, str, str, tuple[str, ...]], TestReport] = {}


class Verifier:
    """Gathers evidence for drafts of one repository in one session."""

    def __init__(
        self, repository: Repository, sandbox: Sandbox, settings: Settings, places: Places, emit: Emit, session: str
    ) -> None:
        self._repository = repository
        self._sandbox = sandbox
        self._settings = settings
        self._emit = emit
        self._session = session
        self._logs = private_dir(places.state / "logs" / session)
        self._work = private_dir(places.cache / "verify")

    async def run(self, commands: Sequence[TestCommand], snapshot: str, tree: str) -> Evidence:
        """Run `commands` in order on `tree`, and on `snapshot` where that tells something. Both are tree ids.

        The working tree, which the view is laid over, must not change meanwhile: then there is no evidence.
        """
        if not commands:
            return Evidence(tree=tree, note="no test command")
        for _ in range(_ATTEMPTS):
            under = (await asyncio.to_thread(self._repository.snapshot)).tree
            ground = _Ground(under, await asyncio.to_thread(self._masked, under))
            try:
                runs = [await self._compare(command, ground, snapshot, tree) for command in commands]
            except SandboxError as error:
                return Evidence(tree=tree, note=f"the sandbox failed: {error}")
            if (await asyncio.to_thread(self._repository.snapshot)).tree == under:
                return _weigh(tree, runs)
            for command in commands:
                _base_reports.pop(self._base_key(command, snapshot), None)
        return Evidence(tree=tree, note="the working tree changed while the tests ran, so they prove nothing")

    async def repeat(self, reports: Sequence[TestReport], tree: str) -> Evidence:
        """Run the commands of `reports` on `tree` again, for the tests that failed in them where the runner can be
        told so. It shows how those do now; of the tree it proves nothing, and the evidence says so."""
        under = (await asyncio.to_thread(self._repository.snapshot)).tree
        ground = _Ground(under, await asyncio.to_thread(self._masked, under))
        found = []
        for report in reports:
            names = tuple(failure.name for failure in report.failures)
            try:
                found.append(await self._once(TestCommand(report.command, "again"), ground, tree, "draft", names))
            except SandboxError as error:
                return Evidence(tree=tree, note=f"the sandbox failed: {error}")
        return Evidence(tree=tree, reports=tuple(found), note="only tests that failed before were run")

    async def _compare(self, command: TestCommand, ground: "_Ground", snapshot: str, tree: str) -> "_Run":
        draft = await self._once(command, ground, tree, "draft")
        base = None
        if snapshot == tree:
            base = draft
        elif not draft.ok or draft.duration_s < BASE_ALWAYS_BELOW_S:
            base = await self._on_base(command, ground, snapshot)
        difference = compare(base, draft)
        flaky: tuple[str, ...] = ()
        if difference.new and _in_doubt(draft, difference.new):
            again = await self._once(command, ground, tree, "draft", difference.new)
            still = compare(base, again).new
            told = again.ran >= min(len(difference.new), draft.ran)  # else they were not found, which says nothing
            flaky = tuple(name for name in difference.new if name not in still) if told else ()
            difference = structs.replace(difference, new=tuple(n for n in difference.new if n not in flaky))
        return _Run(draft, None if base is draft else base, difference, flaky)

    def _base_key(self, command: TestCommand, snapshot: str) -> tuple[str, str, str, tuple[str, ...]]:
        return self._session, str(self._repository.location.root), snapshot, command.argv

    async def _on_base(self, command: TestCommand, ground: "_Ground", snapshot: str) -> TestReport:
        key = self._base_key(command, snapshot)
        if key not in _base_reports:
            _base_reports[key] = await self._once(command, ground, snapshot, "base")
        return _base_reports[key]

    async def _once(
        self, command: TestCommand, ground: "_Ground", tree: str, side: Side, only: tuple[str, ...] = ()
    ) -> TestReport:
        argv, selected = command.argv, None
        if only:
            package = await asyncio.to_thread(self._repository.read, tree, "package.json")
            selected = select(argv, only, package or b"")
            argv = selected.applied(argv) if selected else argv
        self._emit(TestStarted(argv, side))
        changed = Path(tempfile.mkdtemp(prefix="changed-", dir=self._work))
        try:
            deleted = await asyncio.to_thread(self._repository.materialise, ground.tree, tree, changed)
            view = View(self._repository.location.root, changed, tuple(deleted), ground.masked)
            log = self._logs / f"{side}-{hashlib.sha256(os.fsencode(changed.name)).hexdigest()[:12]}.log"
            result = await self._sandbox.run(
                argv,
                view,
                timeout=self._settings.test.timeout,
                on_output=_decoder(self._emit),
                log=log,
                want=wanted_files(command.argv),
                env=extra_environment(command.argv, selected.env if selected else None),
            )
        finally:
            await asyncio.shield(asyncio.to_thread(shutil.rmtree, changed, True))
        secrets = (*self._sandbox.secrets, *await asyncio.to_thread(secret_values, self._repository, tree))
        report = await asyncio.to_thread(make_report, argv, tree, view.root, result, str(self._sandbox), secrets)
        self._emit(TestFinished(report, side))
        return report

    def _masked(self, under: str) -> tuple[str, ...]:
        return masked_files(self._repository, under, self._settings.sandbox.unmask)


class _Ground(Struct, frozen=True):
    """The working tree as it is while the tests run, and its files that no command may see."""

    tree: str
    masked: tuple[str, ...]


class _Run(Struct, frozen=True):
    draft: TestReport
    base: TestReport | None
    difference: Difference
    flaky: tuple[str, ...]


def _weigh(tree: str, runs: Sequence[_Run]) -> Evidence:
    differences = [run.difference for run in runs]
    good = all(_good(run) for run in runs)
    silent = [" ".join(run.draft.command) for run in runs if run.draft.ran == 0]
    return Evidence(
        "passed" if good else "failed",
        tree,
        tuple(run.draft for run in runs),
        tuple(run.base for run in runs if run.base),
        all_names(differences, "new"),
        all_names(differences, "fixed"),
        all_names(differences, "preexisting"),
        tuple(dict.fromkeys(name for run in runs for name in run.flaky)),
        f"no test was run by: {', '.join(silent)}" if silent else "",
    )


def by_itself(evidence: Evidence) -> Evidence:
    """The evidence of a tree that was compared with itself: there is no change that a failure could be older than."""
    failed = any(report.failed for report in evidence.reports)
    return structs.replace(evidence, status="failed", preexisting=()) if failed else evidence


def _good(run: _Run) -> bool:
    compared = run.base is not None or not run.difference.new
    return holds(run.draft, run.difference.new if compared else ("unknown",))


def _in_doubt(draft: TestReport, new: Iterable[str]) -> bool:
    """Whether a failure may be chance: then one more run tells. Cheap runs are always repeated."""
    kinds = [failure.kind for failure in draft.failures if failure.name in set(new)]
    chancy = any(word in kind for kind in kinds for word in _DOUBTFUL)
    return not draft.timed_out and (draft.duration_s < _RERUN_BELOW_S or chancy)


def _decoder(emit: Emit) -> Callable[[bytes], None]:
    """Bytes as they come, as text events: a character cut between two portions is put together again."""
    decode = codecs.getincrementaldecoder("utf-8")("replace").decode

    def show(portion: bytes) -> None:
        if text := decode(portion):
            emit(TestOutput(text))

    return show
