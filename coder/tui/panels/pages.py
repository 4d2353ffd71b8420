"""The pages: context plan, plan, tests and triage, agents, cost."""

import os
import shlex
from collections.abc import Sequence

from coder.amounts import count, money, share, tokens
from coder.text import visible, visible_line
from coder.tui.blocks.results import card_rows, evidence_words, report_words
from coder.tui.facts import Facts
from coder.tui.lines import Line, Span, clip, clip_left, clip_middle, wrap, wrap_text
from coder.tui.markdown import Markdown
from coder.values import ContextMode, Evidence, Usage

MAX_LISTED = 2_000  # rows of one list; a panel is for reading, `coder context` prints all

MODE_STYLES: dict[ContextMode, str] = {
    "full": "good",
    "part": "good",
    "outline": "accent",
    "summary": "accent",
    "name": "faint",
}


def sides(left: list[Span], right: list[Span], width: int) -> Line:
    """Spans at both edges of one row; the left gives way."""
    room = width - sum(len(text) for text, _ in right) - 1
    row: list[Span] = []
    for text, style in left:
        row.append((clip(text, max(0, room)), style))
        room -= len(row[-1][0])
    return (*row, (" " * max(1, room + 1), ""), *right)


def blank() -> Line:
    return (("", ""),)


def context_rows(facts: Facts, width: int) -> list[Line]:
    """The plan, a row for each file after the totals."""
    plan = facts.plan
    if plan is None:
        return wrap_text("The plan is made when a turn starts; /context TASK makes one now.", "muted", width)
    rows: list[Line] = [
        sides([("files", "muted")], [(f"{len(plan.entries):,}", "text")], width),
        sides([("tokens", "muted")], [(f"{tokens(plan.total_tokens)} of {tokens(plan.budget)}", "text")], width),
        sides([("price", "muted")], [(f"{money(plan.cold_usd)} cold, {money(plan.cached_usd)} cached", "text")], width),
        *(_total_row(mode, files, size, width) for mode, (files, size) in plan.totals().items()),
        blank(),
    ]
    for entry in plan.entries[:MAX_LISTED]:
        right: list[Span] = [(f"{tokens(entry.tokens):>6} ", "faint"), (f"{entry.mode:<7}", MODE_STYLES[entry.mode])]
        rows.append(sides([(clip_left(visible_line(entry.path), width - 16), "text")], right, width))
    if len(plan.entries) > MAX_LISTED:
        rows.append(((f"+{len(plan.entries) - MAX_LISTED:,} files", "muted"),))
    if plan.withheld:
        rows += [blank(), ((f"withheld: {count(len(plan.withheld), 'file')}", "warn"),)]
        for withheld in plan.withheld[:MAX_LISTED]:
            rows += wrap(((visible_line(withheld.path), "muted"), (f"  {visible_line(withheld.why)}", "faint")), width)
        if len(plan.withheld) > MAX_LISTED:
            rows.append(((f"+{len(plan.withheld) - MAX_LISTED:,} files", "muted"),))
    return rows


def context_paths(facts: Facts) -> list[str]:
    """The path that each of the first context rows stands for, "" for none; known before any row is laid out."""
    if facts.plan is None:
        return []
    return [""] * (4 + len(facts.plan.totals())) + [entry.path for entry in facts.plan.entries[:MAX_LISTED]]


def file_rows(facts: Facts, path: str, width: int) -> list[Line]:
    """Why one file of the plan is in it, and what it costs."""
    plan = facts.plan
    entry = next((entry for entry in plan.entries if entry.path == path), None) if plan else None
    if plan is None or entry is None:
        return []
    cold, cached = ("$?" if usd is None else f"${usd:.5f}" for usd in plan.price(entry))
    why = visible_line("; ".join(entry.reasons))
    rows = wrap(((why, "muted"),), width, ("  ", "")) if why else []
    return [*rows, ((f"  {cold} cold, {cached} cached", "faint"),)]


def _total_row(mode: ContextMode, files: int, size: int, width: int) -> Line:
    return sides([(f"  {mode}", MODE_STYLES[mode])], [(f"{count(files, 'file')}  {tokens(size):>6}", "muted")], width)


def verdict_rows(evidence: Evidence, width: int) -> list[Line]:
    """What the tests prove and what they fail newly."""
    rows = wrap(evidence_words(evidence), width)
    if evidence.note:
        rows += wrap_text(visible(evidence.note), "muted", width)
    return rows + _names_rows("new failures", evidence.new_failures, "bad", width)


def evidence_rows(evidence: Evidence, width: int) -> list[Line]:
    """What else is known of the tests: the other differences by name, then the commands with their logs."""
    rows: list[Line] = []
    for title, names, style in (
        ("fail as before", evidence.preexisting, "warn"),
        ("flaky", evidence.flaky, "warn"),
        ("fixed", evidence.fixed, "good"),
    ):
        rows += _names_rows(title, names, style, width)
    for report in evidence.reports:
        rows += [blank(), *wrap(((f"$ {visible_line(shlex.join(report.command))}", "text"),), width, rest=("  ", ""))]
        rows += wrap(report_words(report), width, ("  ", ""))
        if report.sandbox:
            rows += wrap(((f"in {visible_line(report.sandbox)}", "faint"),), width, ("  ", ""))
        if report.log:
            rows.append(((f"  log {clip_middle(visible_line(_from_home(report.log)), width - 6)}", "faint"),))
    return rows


def _names_rows(title: str, names: Sequence[str], style: str, width: int) -> list[Line]:
    """A list of tests, each on one row: its tail says which test it is."""
    if not names:
        return []
    rows: list[Line] = [blank(), ((title, style),)]
    rows += [((f"  {clip_middle(visible_line(name), width - 2)}", "muted"),) for name in names[:MAX_LISTED]]
    return rows if len(names) <= MAX_LISTED else [*rows, ((f"  +{len(names) - MAX_LISTED:,}", "muted"),)]


def _from_home(path: str) -> str:
    home = os.path.expanduser("~")
    return f"~{path[len(home) :]}" if path.startswith(f"{home}/") else path


def tests_rows(facts: Facts, width: int) -> list[Line]:
    rows: list[Line] = []
    if facts.testing:
        rows += [*wrap(((visible_line(shlex.join(facts.testing)), "text"),), width, ("○ ", "accent")), blank()]
    if facts.evidence is not None:
        rows += verdict_rows(facts.evidence, width)
        for number, card in enumerate(facts.triage, 1):
            rows += [blank(), *card_rows(card, width, number)]
        rows += evidence_rows(facts.evidence, width)
    else:
        for on, report in facts.reports:
            sign: Span = ("✓ ", "good") if report.ok else ("✗ ", "bad")
            rows += wrap(((f"{visible_line(shlex.join(report.command))}  on the {on}", "text"),), width, sign)
            rows += wrap(report_words(report), width, ("  ", ""))
    return rows or wrap_text("No tests have run in this turn.", "muted", width)


def plan_rows(facts: Facts, width: int) -> list[Line]:
    """The plan of plan mode, as the user edited it."""
    if not facts.plan_text.strip():
        return wrap_text("There is no plan; /plan TASK makes one.", "muted", width)
    return [*Markdown(visible(facts.plan_text)).rows(width), blank(), (("/go carries it out", "faint"),)]


def agents_rows(facts: Facts, width: int) -> list[Line]:
    if not facts.agents:
        return wrap_text("The small model has not been asked in this session.", "muted", width)
    rows: list[Line] = []
    signs = {"running": ("○ ", "accent"), "done": ("✓ ", "good"), "failed": ("✗ ", "bad")}
    for call in reversed(facts.agents.values()):
        used: list[Span] = []
        if call.usage is not None:
            used = [(f"{tokens(call.usage.input_tokens + call.usage.output_tokens)}  {money(call.usage.usd)}", "faint")]
        sign = signs.get(call.state, ("– ", "warn"))
        rows.append(sides([sign, (visible_line(call.role), "text")], used, width))
        rows.append((("  ", ""), (clip(visible_line(call.summary), width - 2), "muted")))
    return rows


def cost_rows(facts: Facts, width: int) -> list[Line]:
    if not facts.usages:
        return wrap_text("Nothing has been spent in this session.", "muted", width)
    rows: list[Line] = [sides([("session", "bold text")], [(money(facts.session_usd), "bold text")], width)]
    for usage in facts.usages.values():
        rows += [blank(), *_usage_rows(usage, width)]
    return rows


def _usage_rows(usage: Usage, width: int) -> list[Line]:
    cached = f"{tokens(usage.cached_tokens)}  {share(usage.cached_tokens, usage.input_tokens)}"
    predicted = f"{tokens(usage.predicted_tokens)}  {share(usage.predicted_tokens, usage.input_tokens)}"
    rows = [
        sides([(visible_line(usage.role), "text")], [(money(usage.usd), "text")], width),
        sides([(f"  {visible_line(usage.model)}", "faint")], [(count(usage.requests, "request"), "faint")], width),
        sides([("  input", "muted")], [(tokens(usage.input_tokens), "muted")], width),
        sides([("  of it cached", "muted")], [(cached, "muted")], width),
        sides([("  predicted", "muted")], [(predicted, "muted")], width),
        sides([("  output", "muted")], [(tokens(usage.output_tokens), "muted")], width),
        sides([("  of it reasoning", "muted")], [(tokens(usage.reasoning_tokens), "muted")], width),
    ]
    if usage.estimated:
        rows.append((("  some calls booked at their worst case", "warn"),))
    return rows
