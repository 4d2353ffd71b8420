"""The money of one session: what a request can cost at worst, what it did cost, and the totals so far.

Prices come from the catalog, limits from the budget, and every call goes through the ledger.
"""

import asyncio
import json
import time
from collections.abc import Callable

from msgspec.structs import replace

from coder.errors import UserError
from coder.model.budget import Budget, Reservation
from coder.model.catalog import Model
from coder.model.ledger import Call, Ledger
from coder.model.messages import Request
from coder.model.prefix import Prefixes
from coder.values import Usage

_FORMAT_MARGIN = 1.04  # local counts leave out the tokens of roles, tools and schemas
_FORMAT_TOKENS = 8  # of each item


class Accounts:
    """`count` counts tokens exactly; without it each byte counts as a token, which is never too few."""

    def __init__(
        self,
        ledger: Ledger,
        budget: Budget,
        session: str,
        repository: str,
        price_factor: float,
        count: Callable[[str], int] | None,
    ) -> None:
        self.ledger = ledger
        self.budget = budget
        self._session = session
        self._repository = repository
        self._factor = price_factor
        self._count = count
        self._counted: dict[int, int] = {}
        self._usages: dict[tuple[str, str], Usage] = {}
        self._before: float | None = 0.0
        self.prefixes = Prefixes()

    def open(self) -> None:
        """Open the ledger; blocks while another process holds it."""
        self.ledger.open()
        spent, unpriced = self.ledger.spent(session=self._session)
        self._before = None if unpriced else spent

    @property
    def usages(self) -> tuple[Usage, ...]:
        return tuple(self._usages.values())

    @property
    def cost_usd(self) -> float | None:
        """USD of this process; None as soon as one price is unknown."""
        prices = [usage.usd for usage in self._usages.values()]
        return None if None in prices else sum(price for price in prices if price is not None)

    @property
    def session_usd(self) -> float | None:
        """USD of the session, earlier processes included."""
        cost = self.cost_usd
        return None if cost is None or self._before is None else self._before + cost

    async def worst(self, request: Request, model: Model, tier: str) -> float | None:
        """USD that `request` can cost at most; None when the price is unknown."""
        incoming = await self._input_tokens(request, model, exact=True)
        price = model.worst_price(incoming, request.max_output, _dearest(tier))
        return None if price is None else price * self._factor

    async def reserve(self, request: Request, model: Model, tier: str, attempt: int) -> Reservation:
        """Book the worst case of a try that is about to be sent.

        Raises LimitReached when it does not fit the limits, UserError when there are limits but no price.
        """
        incoming = await self._input_tokens(request, model, exact=self.budget.limited)
        tier = _dearest(tier)
        call = Call(
            time.time(),
            self._session,
            self._repository,
            request.role,
            model.id,
            tier,
            incoming,
            attempt=attempt,
            predicted_tokens=self.prefixes.predict(request),
        )
        most = min(request.max_output, model.max_output) if model.known else request.max_output
        if model.worst_price(incoming, 0, tier) is None:
            if self.budget.limited:
                raise UserError(
                    f"the price of {model.id} is unknown, so the cost limit cannot be kept",
                    f'add [models."{model.id}"] with its prices to models.toml in the configuration directory',
                )
            return await self.budget.reserve(call, most, None)
        return await self.budget.reserve(
            call, most, lambda output: (model.worst_price(incoming, output, tier) or 0.0) * self._factor
        )

    def priced(self, counted: tuple[Usage, int] | None, model: Model, tier: str) -> Usage | None:
        """Figures of an answer (and the tokens it wrote to the cache) with their price at the tier it echoed."""
        if counted is None:
            return None
        usage, written = counted
        usd = model.price(usage, tier, written)
        return replace(usage, usd=None if usd is None else usd * self._factor)

    def add(self, usage: Usage) -> None:
        key = (usage.role, usage.model)
        self._usages[key] = self._usages[key].plus(usage) if key in self._usages else usage

    async def _input_tokens(self, request: Request, model: Model, *, exact: bool) -> int:
        """At most what the API will count: as the caller counted, else counted here once per piece, else bytes.

        Counting takes a while, so it is done only where a limit depends on it. More than the model's largest input
        would be refused, and so costs nothing.
        """
        ceiling = model.max_input if model.known else 10**9
        if request.input_tokens:
            return min(request.input_tokens, ceiling)
        tools = [(spec.name, spec.description, spec.parameters) for spec in request.tools]
        values = (request.instructions, tools, request.schema, *request.input)
        pieces = [json.dumps(each, ensure_ascii=False).encode("utf-8", "replace") for each in values]
        if self._count is None or not exact:
            return min(sum(map(len, pieces)), ceiling)
        count = self._count
        new = {hash(piece): piece for piece in pieces if hash(piece) not in self._counted}
        if new:
            texts = [piece.decode() for piece in new.values()]
            self._counted |= dict(zip(new, await asyncio.to_thread(lambda: [*map(count, texts)]), strict=True))
        total = sum(self._counted[hash(piece)] for piece in pieces)
        return min(int(total * _FORMAT_MARGIN) + _FORMAT_TOKENS * len(pieces), ceiling)


def _dearest(tier: str) -> str:
    """What a try may be billed as: one that flex cannot serve may be served at the full price."""
    return "default" if tier in ("", "flex") else tier
