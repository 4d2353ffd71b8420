"""What the provider's prompt cache should hold: a forecast to lay beside what it says of each call.

The cache takes whole prefixes (tools, instructions, items in their order) and forgets them after a pause.
"""

import json
import time
from collections.abc import Callable

from msgspec import Struct

from coder.model.messages import Item, Request
from coder.values import Usage

LEAST = 1_024  # tokens: nothing shorter is cached (prompt caching guide)
KEPT_S = 600.0  # seconds of pause after which nothing is promised any more (the same: 5 to 10 minutes)


class _Sent(Struct, frozen=True):
    """The last request under a key: its fixed part, its items, the tokens they were billed as, and when."""

    fixed: str
    items: tuple[Item, ...]
    tokens: int
    at: float


class Prefixes:
    """Remembers the last request by cache key and model. Only of this process: a new one promises nothing."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._sent: dict[tuple[str, str], _Sent] = {}

    def predict(self, request: Request) -> int:
        """Tokens of `request` that should come from the cache."""
        before = self._sent.get((request.cache_key, request.model))
        if before is None or self._clock() - before.at > KEPT_S or before.fixed != _fixed(request):
            return 0
        common = 0
        for ours, theirs in zip(before.items, request.input, strict=False):
            if ours != theirs:
                break
            common += 1
        share = 1.0 if common == len(before.items) else _size(before.items[:common]) / _size(before.items)
        tokens = int(share * before.tokens)
        return tokens if tokens >= LEAST else 0

    def learn(self, request: Request, usage: Usage) -> None:
        """`request` was answered and billed so."""
        if request.cache_key and usage.input_tokens and not usage.estimated:
            sent = _Sent(_fixed(request), request.input, usage.input_tokens, self._clock())
            self._sent[request.cache_key, request.model] = sent


def _fixed(request: Request) -> str:
    tools = [(spec.name, spec.description, spec.parameters) for spec in request.tools]
    return json.dumps([request.schema, tools, request.instructions], ensure_ascii=False)


def _size(items: tuple[Item, ...]) -> int:
    return len(json.dumps(items, ensure_ascii=False))
