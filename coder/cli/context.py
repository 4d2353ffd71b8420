"""`coder context`: what would be in the window for a task, and what it costs. Sends nothing."""

from collections import Counter

import click

from coder.cli.options import SharedOptions, gather
from coder.errors import Exit
from coder.headless.result import dump
from coder.text import visible_line
from coder.values import ContextPlan


@click.command("context", cls=SharedOptions)
@click.argument("task", required=False, default="")
@click.option("--output", type=click.Choice(["text", "json"]), default="text", help="Form of the result.")
@click.option("--trust", is_flag=True, help="Use the repository's .coder.toml for this call.")
@click.option("--batch", is_flag=True, hidden=True)
@click.pass_context
def command(ctx: click.Context, task: str, output: str, trust: bool, batch: bool) -> int:
    """Show what the model would see for TASK: each file's form, tokens and reasons; the price."""
    if batch:
        from coder.context.batch import run_batch

        return run_batch()
    plan = _plan(ctx, task, trust)
    click.echo(dump(plan_object(plan), indent=2) if output == "json" else plan_text(plan))
    return Exit.DONE


def _plan(ctx: click.Context, task: str, trust: bool) -> ContextPlan:
    from coder.cli.setup import prepare
    from coder.repo.repository import Repository
    from coder.session.briefing import Briefing
    from coder.session.record import new_session_id

    setup = prepare(gather(ctx), trust=trust)
    repository = Repository.open(setup.repository().root, setup.places, new_session_id())
    try:
        briefing = Briefing(repository, setup.settings, setup.places, trusted=setup.trusted)
        return briefing.make_plan(repository.snapshot(), task, exact=True)
    finally:
        repository.close()


def plan_object(plan: ContextPlan) -> dict[str, object]:
    """The plan as the contract's JSON object; the same bytes for the same tree and task in every process."""
    return {
        "budget": plan.budget,
        "total_tokens": plan.total_tokens,
        "entries": [
            {"path": entry.path, "mode": entry.mode, "tokens": entry.tokens, "reasons": list(entry.reasons)}
            for entry in plan.entries
        ],
        "withheld": [{"path": item.path, "why": item.why} for item in plan.withheld],
        "price_usd": {"cold": plan.cold_usd, "cached": plan.cached_usd},
    }


def plan_text(plan: ContextPlan) -> str:
    """The plan as a table: form, tokens, path, reasons; then totals, prices and what was withheld."""
    width = max((len(visible_line(entry.path)) for entry in plan.entries), default=0)
    lines = [
        f"{entry.mode:<8}{entry.tokens:>9,}  {visible_line(entry.path):<{min(width, 60)}}  {'; '.join(entry.reasons)}"
        for entry in plan.entries
    ]
    counts = Counter(entry.mode for entry in plan.entries)
    shown = ", ".join(f"{count} {mode}" for mode, count in counts.items()) or "nothing"
    lines += ["", f"{plan.total_tokens:,} of {plan.budget:,} tokens: {shown}"]
    if plan.cold_usd is not None and plan.cached_usd is not None:
        lines.append(f"price of sending it once: ${plan.cold_usd:.4f} cold, ${plan.cached_usd:.4f} cached")
    if plan.withheld:
        lines += ["", "withheld:"]
        lines += [f"  {visible_line(item.path)}: {item.why}" for item in plan.withheld]
    return "\n".join(lines)
