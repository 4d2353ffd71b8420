"""Room in the window: how full it is, and what goes when it is full. Deterministic; no model is asked to summarise.

User messages (rules, tasks, plans) and the ledger of edits stay verbatim; of the steps only the last ones stay, whole.
The state of files is never remembered here: it is in the draft, and can be read again.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from coder import prompts
from coder.agents.wrap import clip, wrap
from coder.context.tokens import count_tokens, estimate_tokens
from coder.errors import LimitReached
from coder.model.messages import Reply, message_text, user_message

KEPT = 0.25  # of the window, for the last steps that stay
MAX_RATIO = 2.0  # of the provider's count to our estimate: more than this is a mistake of someone's
MAX_LEDGER = 120_000  # characters of patches that stay verbatim
ITEM_TOKENS = 10  # around the texts of an item, at most

Count = Callable[[dict[str, Any]], int]


class Scale:
    """How the provider counts, beside our estimate. Never below it, so that nothing overflows by a good example."""

    def __init__(self) -> None:
        self.ratio = 1.0

    def learn(self, estimated: int, counted: int) -> None:
        self.ratio = min(max(1.0, counted / estimated), MAX_RATIO) if estimated else self.ratio


class Window:
    """How many tokens the next request has: the provider's count of the last one, an estimate of what came since."""

    def __init__(self, max_input: int, fixed: str, scale: Scale | None = None) -> None:
        self.max_input = max_input
        self.compactions = 0
        self._scale = scale or Scale()
        self._fixed = estimate_tokens(fixed)
        self._tokens, self._items = self._fixed, 0

    def tokens(self, history: Sequence[dict[str, Any]], count: Count | None = None) -> int:
        """About how many the next request has; `count` counts what no provider has counted yet."""
        new = sum(map(count or _tokens, history[self._items :]))
        if not self._items:
            return int(self._scale.ratio * (self._tokens + new))
        return self._tokens + int(self._scale.ratio * new)

    def learn(self, reply: Reply, sent: Sequence[dict[str, Any]]) -> None:
        """Take over the provider's count for a request of the items `sent` and the reply that is appended to it."""
        if reply.usage.input_tokens and not reply.usage.estimated:
            if not self._items:
                self._scale.learn(self._fixed + size(sent), reply.usage.input_tokens)
            self._tokens = reply.usage.input_tokens + reply.usage.output_tokens
            self._items = len(sent) + len(reply.items)

    def make_room(self, history: list[dict[str, Any]], edits: Sequence[str]) -> None:
        """Compact `history` in place if it does not fit. Raises LimitReached if it can't be made to fit."""
        if self._fits(history):
            return
        self.shrink(history, edits)
        if not self._fits(history):
            raise LimitReached(
                f"the conversation does not fit the model's {self.max_input} input tokens any more",
                "start a new session, or lower --context-budget",
            )

    def _fits(self, history: Sequence[dict[str, Any]]) -> bool:
        """By the estimate, or by an exact count where no provider was seen to count otherwise."""
        if self.tokens(history) <= self.max_input:
            return True
        return self._scale.ratio == 1.0 and self.tokens(history, _exact_tokens) <= self.max_input

    def shrink(self, history: list[dict[str, Any]], edits: Sequence[str]) -> bool:
        """Compact `history` in place, whatever its size. False if it has no steps that could go."""
        shorter = compact(history, edits, int(self.max_input * KEPT))
        if sum(map(_tokens, shorter)) >= sum(map(_tokens, history)):
            return False
        history[:] = shorter
        self.compactions += 1
        self._tokens, self._items = self._fixed, 0
        return True


def compact(history: Sequence[dict[str, Any]], edits: Sequence[str], keep_tokens: int) -> list[dict[str, Any]]:
    """`history` without its older steps, and in their place the patches of the edits made in them.

    The last step always stays, earlier ones as long as they fit into `keep_tokens` together. What an earlier
    compaction told of edits goes: `edits` has them all.
    """
    groups = [group for group in _whole_steps(history) if not _is_ledger(group[0])]
    room, first_kept = keep_tokens, len(groups)
    for position in range(len(groups) - 1, -1, -1):
        if not _is_user(groups[position][0]):
            room -= sum(map(_tokens, groups[position]))
            if room < 0 and first_kept < len(groups):
                break
            first_kept = position
    kept: list[dict[str, Any]] = []
    for position, group in enumerate(groups):
        if position == first_kept:
            patches = clip("".join(edits), MAX_LEDGER) or "(no edit so far)\n"
            kept.append(user_message(prompts.fill("compaction", edits=wrap("edits in the draft", patches))))
        if position >= first_kept or _is_user(group[0]):
            kept += group
    return kept


def _whole_steps(history: Sequence[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """The history cut where a user message stands or a new reply begins, so that no call loses its result."""
    groups: list[list[dict[str, Any]]] = []
    for item in history:
        before = groups[-1][-1] if groups else None
        begins = before is None or _is_user(item) or _is_user(before) or (_is_output(before) and not _is_output(item))
        if begins:
            groups.append([])
        groups[-1].append(item)
    return groups


def size(history: Sequence[dict[str, Any]]) -> int:
    """About how many tokens a conversation has."""
    return sum(map(_tokens, history))


def _is_ledger(item: dict[str, Any]) -> bool:
    """Whether an item is what a compaction left in place of steps."""
    opening = prompts.load("compaction").partition(".")[0]
    return _is_user(item) and message_text(item).startswith(opening)


def _is_user(item: dict[str, Any]) -> bool:
    return item.get("role") == "user"


def _is_output(item: dict[str, Any]) -> bool:
    return str(item.get("type", "")).endswith("_output")


def _tokens(item: dict[str, Any]) -> int:
    return estimate_tokens(json.dumps(item, ensure_ascii=False))


def _exact_tokens(item: dict[str, Any]) -> int:
    """Takes some tenths of a second for a full window, where the estimate takes a few hundredths."""
    return ITEM_TOKENS + sum(map(count_tokens, _strings(item)))


def _strings(value: object) -> Iterator[str]:
    match value:
        case str():
            yield value
        case dict():
            for each in value.values():
                yield from _strings(each)
        case list():
            for each in value:
                yield from _strings(each)
        case _:
            pass
