"""`coder doctor`: is everything here that coder needs, and what to do where it is not. Sends nothing."""

import asyncio
import datetime
import os
import platform
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import click
from msgspec import Struct, to_builtins

from coder import __version__
from coder.cli.options import SharedOptions, gather
from coder.cli.setup import Setup, prepare
from coder.errors import CoderError, Exit, UserError
from coder.headless.result import dump
from coder.model.catalog import Catalog
from coder.repo.discover import discover
from coder.repo.git import git_version, git_warning
from coder.sandbox import choose
from coder.store import private_dir
from coder.text import mask_key, visible


class Finding(Struct, frozen=True):
    """One checked thing. `state` "problem" makes the command fail; `hint` says what to do."""

    name: str
    state: Literal["ok", "note", "problem"]
    what: str
    hint: str = ""


@click.command("doctor", cls=SharedOptions)
@click.option("--output", type=click.Choice(["text", "json"]), default="text", help="Form of the result.")
@click.pass_context
def command(ctx: click.Context, output: str) -> int:
    """Check the environment and say what to do about it. Sends nothing, changes nothing."""
    setup = prepare(gather(ctx), need_repository=False)
    findings = [finding for check in CHECKS for finding in _checked(check, setup)]
    if output == "json":
        click.echo(dump({"findings": to_builtins(findings)}, indent=2))
    else:
        for finding in findings:
            click.echo(visible(f"{finding.state:<8} {finding.name}: {finding.what}"))
            if finding.hint:
                click.echo(visible(f"         {finding.hint}"))
    return Exit.FAILED if any(finding.state == "problem" for finding in findings) else Exit.DONE


def _checked(check: Callable[[Setup], Iterator[Finding]], setup: Setup) -> list[Finding]:
    try:
        return list(check(setup))
    except CoderError as error:
        return [Finding(check.__name__.strip("_"), "problem", error.message, error.hint)]


def _system(_setup: Setup) -> Iterator[Finding]:
    yield Finding("coder", "ok", f"{__version__} on Python {platform.python_version()}, {platform.platform()}")
    if sys.platform not in ("linux", "darwin"):
        yield Finding("system", "problem", f"{sys.platform} is not supported", "on Windows, use coder inside WSL")


def _git(_setup: Setup) -> Iterator[Finding]:
    version = ".".join(map(str, git_version()))
    warning = git_warning()
    yield Finding("git", "note" if warning else "ok", warning or version)


def _repository(setup: Setup) -> Iterator[Finding]:
    if setup.location is None:
        try:
            discover(Path.cwd())
        except UserError as error:
            yield Finding("repository", "note", error.message, f"{error.hint}, or try `coder demo`")
        return
    trust = "trusted" if setup.trusted else "not trusted: its configuration and test command are not used"
    state = f", {setup.location.state} in progress" if setup.location.state else ""
    yield Finding("repository", "ok", f"{setup.location.root} ({trust}{state})")


def _key(setup: Setup) -> Iterator[Finding]:
    settings = setup.settings
    url = settings.base_url or os.environ.get("OPENAI_BASE_URL", "")
    key = os.environ.get(settings.api_key_env, "") if settings.api_key_env else ""
    if key:
        yield Finding("key", "ok", f"{settings.api_key_env} {mask_key(key)}")
    elif url or settings.provider:
        yield Finding("key", "note", "no key is set; a local server may not need one")
    else:
        hint = f"set {settings.api_key_env}, or OPENAI_BASE_URL for a local server; `coder demo` needs neither"
        yield Finding("key", "problem", "no API key", hint)


def _models(setup: Setup) -> Iterator[Finding]:
    catalog = Catalog.load(setup.places.config)
    for name in dict.fromkeys((setup.settings.model, setup.settings.subagent_model)):
        notices = catalog.get(name).notices(datetime.date.today())
        yield Finding("model", "note" if notices else "ok", "; ".join(notice.text for notice in notices) or name)


def _sandbox(setup: Setup) -> Iterator[Finding]:
    sandbox = asyncio.run(choose("auto", setup.settings.sandbox, setup.places))
    limits = f"; {sandbox.limits}" if sandbox.limits else ""
    yield Finding("sandbox", "ok", f"{sandbox.tier} (self-test {sandbox.checks}){limits}")


def _places(setup: Setup) -> Iterator[Finding]:
    for path in (setup.places.state, setup.places.cache):
        private_dir(path)
    yield Finding("places", "ok", f"state {setup.places.state}, cache {setup.places.cache}")


def _terminal(_setup: Setup) -> Iterator[Finding]:
    if not sys.stdout.isatty():
        yield Finding("terminal", "note", "standard output is no terminal: the screen needs one, `coder run` does not")
    elif os.environ.get("TERM", "dumb") == "dumb":
        yield Finding("terminal", "note", "TERM is dumb: the screen cannot be drawn")
    else:
        yield Finding("terminal", "ok", os.environ["TERM"])


CHECKS = (_system, _git, _repository, _key, _models, _sandbox, _places, _terminal)
