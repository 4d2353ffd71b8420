"""What the user does beside the turns: a question that leaves the conversation as it is, a command of their own."""

import asyncio
import secrets
import shlex
from collections.abc import Callable

from msgspec import Struct
from msgspec.structs import replace

from coder import prompts
from coder.agents.wrap import clip, wrap
from coder.errors import Refused, UserError
from coder.events import ApproveCommand
from coder.model.messages import user_message
from coder.repo.trust import TrustStore
from coder.sandbox import SandboxError, View
from coder.session.means import Means, Mode
from coder.session.turn import agent_of
from coder.store import private_dir, read_redacted
from coder.text import redact
from coder.values import Approval
from coder.verify.masked import masked_files
from coder.verify.secrets import secret_values

MAX_OUTPUT = 12_000  # characters that the model is told of a command: about 3,000 tokens


class CommandEnd(Struct, frozen=True):
    """How a command ended, for a face: `exit_code` None when it was stopped, `output` with its middle left out where
    it is long, redacted."""

    exit_code: int | None
    output: str
    duration_s: float
    sandbox: str


async def ask_aside(means: Means, mode: Mode, question: str, on_text: Callable[[str], None]) -> str:
    """The answer to `question` from what the conversation holds. It costs a request and leaves no trace but that.

    The request begins with the very prefix of the turns, so that the provider's cache serves it.
    """
    if not means.history:
        raise UserError("nothing was said yet that a side question could be about", "ask it as a task")
    agent = agent_of(mode, means.settings)
    history = [*means.history, user_message(prompts.fill("aside", question=question))]
    request = replace(agent.request(history, means.key), tool_choice="none")
    return (await means.client.reply(request, on_text)).text


class OwnCommands:
    """Commands that the user types, each run by the shell in the sandbox, on a view that throws its writes away."""

    def __init__(self, means: Means, session: str) -> None:
        self._means = means
        self._logs = means.places.state / "logs" / session
        self._allowed: set[tuple[str, ...]] = set()  # for this session

    async def run(self, line: str, on_output: Callable[[str], None]) -> CommandEnd:
        """Ask, run, and remember what it said for the model's next turn. Raises UserError where the answer is no."""
        means, argv = self._means, ("sh", "-c", line)
        sandbox = await means.checks.open_sandbox()
        await self._approve(argv, sandbox.tier)
        repository = means.repository
        snapshot = await asyncio.to_thread(repository.snapshot)
        masked = await asyncio.to_thread(masked_files, repository, snapshot.tree, means.settings.sandbox.unmask)
        log = private_dir(self._logs) / f"command-{secrets.token_hex(6)}.log"
        known = (*sandbox.secrets, *await asyncio.to_thread(secret_values, repository, snapshot.tree))

        def show(portion: bytes) -> None:
            on_output(redact(portion.decode("utf-8", "replace"), known))

        try:
            view = View(repository.location.root, masked=masked)
            ended = await sandbox.run(argv, view, timeout=means.settings.test.timeout, on_output=show, log=log)
        except SandboxError as error:
            raise Refused(f"the sandbox failed: {error}", "coder doctor shows what it needs") from error
        said = clip(read_redacted(log, known), MAX_OUTPUT)
        self._tell_model(line, ended.exit_code, said)
        return CommandEnd(ended.exit_code, said, ended.duration_s, str(sandbox))

    def _tell_model(self, line: str, code: int | None, said: str) -> None:
        end = "stopped" if code is None else f"exit code {code}"
        output = wrap(f"output of {shlex.quote(line)}, {end}", said)
        remark = prompts.fill("command", output=output)
        self._means.briefing.remark(remark)
        self._means.recorder.note("remark", text=remark)

    async def _approve(self, argv: tuple[str, ...], tier: str) -> None:
        store, root = TrustStore(self._means.places), self._means.repository.location.root
        if argv in self._allowed or argv in store.approved_commands(root):
            return
        answer = Approval.of(await self._means.ask(ApproveCommand((argv,), "you typed it", tier)))
        if not answer:
            raise UserError("the command was not run")
        if answer.scope == "session":
            self._allowed.add(argv)
        elif answer.scope == "always":
            store.approve_command(root, argv)
