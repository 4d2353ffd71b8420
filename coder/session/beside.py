"""What a later turn needs beside the repository section, which stays as it is; and whether a new one would cost less.

Pure arithmetic: the section is the prefix that the provider's cache holds, so it is changed only for a reason.
"""

from collections.abc import Collection, Sequence

from msgspec import Struct
from msgspec.structs import replace

from coder.context.plan import PROJECT_RULES
from coder.model.catalog import Prices
from coder.values import ContextEntry, ContextPlan

FIRST = 8  # files of a ranking that a later task is given at once; others it can read
MOST_TOKENS = 8_000
MARGIN = 0.95  # of the price of going on, that a new section must stay below


def beside(
    shown: ContextPlan, plan: ContextPlan, pinned: Collection[str] = (), told: Collection[str] = ()
) -> tuple[ContextEntry, ...]:
    """Of the first files of `plan` those whose text the model has not, within MOST_TOKENS; `pinned` ones in any case.

    `shown` is what stands in the conversation, `told` what its diffs hold whole. A repository that is shown whole
    needs nothing beside. The project's rules have a place of their own.
    """
    if all(entry.mode == "full" for entry in shown.entries):
        return ()
    above = {entry.path for entry in shown.entries if entry.mode in ("full", "part")} | {*told}
    texts = [entry for entry in plan.entries if entry.mode in ("full", "part") and entry.reasons != PROJECT_RULES]
    wanted = [entry for entry in texts if entry.path in pinned]
    taken, room = [], MOST_TOKENS
    for entry in dict.fromkeys([*wanted, *texts[:FIRST]]):
        if entry.path not in above and (entry.path in pinned or entry.tokens <= room):
            taken.append(entry)
            room -= entry.tokens
    return tuple(taken)


def pin_notes(plan: ContextPlan, pinned: Collection[str]) -> tuple[str, ...]:
    """What to say of pinned files that are not shown in full."""
    modes = {entry.path: entry.mode for entry in plan.entries}
    withheld = {item.path: item.why for item in plan.withheld}
    notes = []
    for path in pinned:
        mode = modes.get(path)
        why = f"withheld: {withheld[path]}" if path in withheld else "there is no such file to show"
        why = f"too large for the budget: it is shown as {mode}" if mode else why
        if mode != "full":
            notes.append(f"{path} is pinned, but {why}")
    return tuple(notes)


def with_entries(shown: ContextPlan, new: Sequence[ContextEntry]) -> ContextPlan:
    """`shown` and what was put beside it."""
    paths = {entry.path for entry in new}
    entries = (*(entry for entry in shown.entries if entry.path not in paths), *new)
    return replace(shown, entries=entries, total_tokens=shown.total_tokens + sum(entry.tokens for entry in new))


class Lengths(Struct, frozen=True):
    """Tokens of a conversation: its section, all else, what a new task needs beside it, and a section made anew."""

    section: int
    rest: int
    beside: int
    renewed: int


def renewal_is_cheaper(lengths: Lengths, prices: Prices, *, cached: float, steps: float) -> bool:
    """Whether a new section costs less than going on, over a turn of `steps` requests.

    `cached` is the share of what was sent before that the provider's cache still holds. A new section is paid for
    whole once, with everything behind it.
    """
    old, more = lengths.section + lengths.rest, lengths.beside
    new = lengths.renewed + lengths.rest
    later = max(0.0, steps - 1)
    first = old * (cached * prices.cached + (1 - cached) * prices.input) + more * prices.input
    going_on = first + later * (old + more) * prices.cached
    renewing = new * prices.input + later * new * prices.cached
    return renewing < MARGIN * going_on
