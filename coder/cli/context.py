"""`coder context`: what would be in the window for a task, and what it costs. Sends nothing, but with `--select`."""

from typing import TYPE_CHECKING

import click

from coder.cli import doors
from coder.cli.options import SharedOptions, gather
from coder.errors import Exit
from coder.headless.result import dump
from coder.text import visible_line
from coder.values import ContextPlan

if TYPE_CHECKING:
    from coder.cli.setup import Setup
    from coder.repo.repository import Repository, Snapshot
    from coder.session.briefing import Briefing


@click.command("context", cls=SharedOptions)
@click.argument("task", required=False, default="")
@click.option("--output", type=click.Choice(["text", "json"]), default="text", help="Form of the result.")
@click.option("--select", is_flag=True, help="Let the small model reread and reorder the first files (this costs).")
@click.option("--trust", is_flag=True, help="Use the repository's .coder.toml for this call.")
@click.option("--batch", is_flag=True, hidden=True)
@click.pass_context
def command(ctx: click.Context, task: str, output: str, select: bool, trust: bool, batch: bool) -> int:
    """Show what the model would see for TASK: each file's form, tokens and reasons; the price."""
    if batch:
        from coder.context.batch import run_batch

        return run_batch()
    plan = _plan(ctx, task, select, trust)
    for note in plan.notes if output == "json" else ():
        doors.say(note)
    click.echo(dump(plan_object(plan), indent=2) if output == "json" else plan_text(plan))
    return Exit.DONE


def _plan(ctx: click.Context, task: str, select: bool, trust: bool) -> ContextPlan:
    from coder.cli.setup import prepare
    from coder.repo.repository import Repository
    from coder.session.briefing import Briefing
    from coder.session.record import new_session_id

    setup = prepare(gather(ctx), trust=trust)
    session = new_session_id()
    repository = Repository.open(setup.repository().root, setup.places, session)
    briefing = Briefing(repository, setup.settings, setup.places, trusted=setup.trusted)
    try:
        snapshot = briefing.snapshot(exact=True)
        chosen = _select(setup, repository, briefing, snapshot, task, session) if select else ()
        return briefing.make_plan(snapshot, task, exact=True, chosen=chosen)
    finally:
        briefing.close()


def _select(
    setup: "Setup", repository: "Repository", briefing: "Briefing", snapshot: "Snapshot", task: str, session: str
) -> tuple[str, ...]:
    """What the small model puts first; () where everything fits or the call fails. Its price is said on stderr."""
    import asyncio

    from coder.agents.subagents import Helpers, pick
    from coder.context.tokens import count_tokens
    from coder.events import Event, Notice
    from coder.model.client import Client
    from coder.session.disclosure import tell_once

    def tell(event: Event) -> None:
        if isinstance(event, Notice):
            doors.say(f"{'warning: ' if event.level == 'warning' else ''}{event.text}")

    async def ask() -> tuple[str, ...]:
        root = str(repository.location.root)
        client = Client(setup.settings, setup.places, session, tell, repository=root, count=count_tokens)
        client.require_key()
        if told := tell_once(setup.places, client.provider):
            doors.say(told)
        try:
            short = briefing.shortlist(snapshot, task)
            if not short.files:
                doors.say("the whole repository fits: there is nothing to choose")
                return ()
            picked = await pick(Helpers(client, setup.settings, tell, session), task, short.files)
            price = "unknown" if client.cost_usd is None else f"${client.cost_usd:.4f}"
            doors.say(f"the small model chose {len(picked)} of {len(short.files)} files; cost: {price}")
            return picked
        finally:
            await client.aclose()

    return asyncio.run(ask())


def plan_object(plan: ContextPlan) -> dict[str, object]:
    """The plan as the contract's JSON object; the same bytes for the same tree and task in every process."""
    return {
        "budget": plan.budget,
        "total_tokens": plan.total_tokens,
        "entries": [
            {
                "path": entry.path,
                "mode": entry.mode,
                "tokens": entry.tokens,
                "reasons": list(entry.reasons),
                "price_usd": dict(zip(("cold", "cached"), map(_rounded, plan.price(entry)), strict=True)),
            }
            for entry in plan.entries
        ],
        "totals": {mode: {"files": files, "tokens": tokens} for mode, (files, tokens) in plan.totals().items()},
        "withheld": [{"path": item.path, "why": item.why} for item in plan.withheld],
        "price_usd": {"cold": plan.cold_usd, "cached": plan.cached_usd},
        **({"unread": plan.unread, "files": plan.files} if plan.unread else {}),
    }


def _rounded(usd: float | None) -> float | None:
    return None if usd is None else round(usd, 8)


def plan_text(plan: ContextPlan) -> str:
    """The plan as a table: form, tokens, price cold and cached, path, reasons; then totals and what was withheld."""
    width = min(max((len(visible_line(entry.path)) for entry in plan.entries), default=0), 60)
    lines = [f"{'form':<8}{'tokens':>9}{'$ cold':>10}{'$ cached':>10}  {'file':<{width}}  why"]
    for entry in plan.entries:
        cold, cached = (f"{usd:.5f}" if usd is not None else "?" for usd in plan.price(entry))
        head = f"{entry.mode:<8}{entry.tokens:>9,}{cold:>10}{cached:>10}"
        lines.append(f"{head}  {visible_line(entry.path):<{width}}  {'; '.join(entry.reasons)}".rstrip())
    lines += ["", f"{plan.total_tokens:,} of {plan.budget:,} tokens"]
    lines += [f"{mode:<8}{tokens:>9,}  {files:,} files" for mode, (files, tokens) in plan.totals().items()]
    if plan.cold_usd is not None and plan.cached_usd is not None:
        lines.append(f"price of sending it once: ${plan.cold_usd:.4f} cold, ${plan.cached_usd:.4f} cached")
    lines += (visible_line(note) for note in plan.notes)
    if plan.withheld:
        lines += ["", "withheld:"]
        lines += [f"  {visible_line(item.path)}: {item.why}" for item in plan.withheld]
    return "\n".join(lines)
