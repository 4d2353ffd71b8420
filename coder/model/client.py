"""One client per session: a Request in, a Reply out. Chooses server, dialect and model, tries again within bounds,
keeps the budget and books every call.

The SDK is imported with the first request (`warm` does it ahead), never with this module.
"""

import asyncio
import datetime
import importlib
import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from coder.errors import ApiError, UserError
from coder.events import Emit, Notice, RetryWaiting, StepAbandoned, UsageRecorded
from coder.model import chat, faults, responses
from coder.model.budget import Budget, Reservation
from coder.model.catalog import Catalog, Model
from coder.model.faults import Fault
from coder.model.ledger import Call, Ledger
from coder.model.messages import TOO_LONG, Reply, Request
from coder.model.providers import choose_provider
from coder.model.retry import MAX_TRIES, UNREACHABLE_TRIES, UNREACHABLE_WAIT_S, RetryBudget, Timeouts, jitter
from coder.store import Places
from coder.values import Usage

if TYPE_CHECKING:
    from coder.config import RoleSettings, Settings
    from coder.model.wire import Wire

MAX_PARALLEL = 8  # calls at the same time, over all agents of a session
DEFAULT_TIMEOUTS = Timeouts()
FLEX_PATIENCE = 7.5  # flex answers may take a quarter of an hour to begin (flex processing guide)
_FORMAT_MARGIN = 1.04  # local counts leave out the tokens of roles, tools and schemas


def warm() -> None:
    """Import the SDK, which takes about a second of CPU; meant for a thread once the first frame is shown."""
    importlib.import_module("coder.model.wire")


class Client:
    """What agents call. `count` counts tokens exactly; without it every byte counts as one when money is limited."""

    def __init__(
        self,
        settings: "Settings",
        places: Places,
        session: str,
        emit: Emit,
        environ: Mapping[str, str] = os.environ,
        repository: str = "",
        *,
        count: Callable[[str], int] | None = None,
        timeouts: Timeouts = DEFAULT_TIMEOUTS,
    ) -> None:
        self.provider = choose_provider(settings, environ)
        self.catalog = Catalog.load(places.config)
        self.ledger = Ledger(places.state / "ledger.sqlite")
        self.warnings: list[str] = []
        self._settings = settings
        self._session = session
        self._repository = repository
        self._emit = emit
        self._environ = environ
        self._count = count
        self._counted: dict[int, int] = {}
        limits = settings.limits
        self._timeouts = replace(timeouts, total=min(timeouts.total, limits.timeout or timeouts.total))
        self._retries = RetryBudget(limits.retry_budget)
        self._budget = Budget(self.ledger, session, limits.max_cost, limits.max_cost_per_day)
        self._usages: dict[tuple[str, str], Usage] = {}
        self._before: float | None = 0.0  # USD this session cost in earlier processes
        self._wire: Wire | None = None
        self._opening = asyncio.Lock()
        self._parallel = asyncio.Semaphore(MAX_PARALLEL)
        self._not_before = 0.0  # loop time until which a 429 asked everyone to wait
        self._refused: dict[str, frozenset[str]] = {}  # by model: optional fields that it does not take
        self._said: set[str] = set()

    # ── what was used ────────────────────────────────────────────────────────────────────────────

    @property
    def usages(self) -> tuple[Usage, ...]:
        """Totals of this process by role and model, in the order of first use."""
        return tuple(self._usages.values())

    @property
    def cost_usd(self) -> float | None:
        """USD of this process; None as soon as one price is unknown."""
        prices = [usage.usd for usage in self._usages.values()]
        return None if None in prices else sum(price for price in prices if price is not None)

    # ── calling ──────────────────────────────────────────────────────────────────────────────────

    def require_key(self) -> None:
        """Raises UserError, saying how to go on without a key, when one is needed and missing."""
        self.provider.require_key()

    def renew_retries(self) -> None:
        """A new run begins: its retry budget is whole again."""
        self._retries.renew()

    def models(self, role: str, model: str) -> tuple[str, ...]:
        """`model` and, after it, the role's fallbacks."""
        return tuple(dict.fromkeys((model, *self._role(role).fallback)))

    def _role(self, role: str) -> "RoleSettings":
        from coder.config import RoleSettings

        return next((own for name, own in self._settings.roles.items() if name == role), RoleSettings())

    async def reply(self, request: Request, on_text: Callable[[str], None] | None = None) -> Reply:
        """The model's whole reply; `on_text` is given its text as it comes, for display only.

        Raises UserError (no key), LimitReached (it could cost too much), TemporaryApiError (the retry budget is
        spent) and ApiError; a code in `messages.TOO_LONG` means that a shorter input may work.
        """
        self.require_key()
        await self._open()
        chain = self.models(request.role, request.model)
        for model, following in zip(chain, (*chain[1:], ""), strict=True):
            try:
                reply = await self._persist(replace(request, model=model), on_text)
            except ApiError as error:
                if not following or not _another_model_may_help(error):
                    raise
                self._say(f"{model}: {error.message}; going on with {following}")
            else:
                if not following or _keeps_its_schema(request, reply):
                    return reply
                self._say(f"{model} did not answer in the form asked for; going on with {following}")
        raise AssertionError("the last model of a chain returns or raises")

    async def aclose(self) -> None:
        if self._wire is not None:
            await self._wire.aclose()
            self._wire = None
        self.ledger.close()

    async def _open(self) -> None:
        async with self._opening:
            if self._wire is None:
                self._wire = await asyncio.to_thread(self._open_blocking)
                spent, unpriced = self.ledger.spent(session=self._session)
                self._before = None if unpriced else spent

    def _open_blocking(self) -> "Wire":
        from coder.model.wire import Wire

        self.ledger.open()
        return Wire(self.provider, self._timeouts, self._environ)

    async def _persist(self, request: Request, on_text: Callable[[str], None] | None) -> Reply:
        """One model, as often as it takes within the retry budget."""
        tries = 0
        while True:
            tries += 1
            await self._wait_for_the_others()
            try:
                async with self._parallel:
                    return await self._try(request, tries, on_text)
            except Fault as fault:
                if self._mend(request, fault):
                    continue
                wait = self._pause(fault, tries)
                if wait is None:
                    raise faults.to_error(fault, self.provider, request.model, tries) from fault
                self._emit(RetryWaiting(wait, tries, fault.message))
            await asyncio.sleep(wait)

    async def _wait_for_the_others(self) -> None:
        """After a 429 the whole session holds back, not only the call that met it."""
        wait = self._not_before - asyncio.get_running_loop().time()
        if wait > 0:
            self._emit(RetryWaiting(wait, 0, "the server asked to wait"))
            await asyncio.sleep(wait)

    def _pause(self, fault: Fault, tries: int) -> float | None:
        """Seconds until the next try; None: no next try."""
        if fault.kind == "final":
            return None
        if fault.kind == "unreachable":
            return self._retries.take(UNREACHABLE_WAIT_S) if tries < UNREACHABLE_TRIES else None
        asked = fault.retry_after or 0.0
        wait = self._retries.take(max(jitter(tries), asked), at_least=asked) if tries < MAX_TRIES else None
        if wait is not None and fault.status == 429:
            self._not_before = max(self._not_before, asyncio.get_running_loop().time() + wait)
        return wait

    def _mend(self, request: Request, fault: Fault) -> bool:
        """Leave out an optional field that the server refused, or a tier it cannot serve now; once each, and said."""
        refused = self._refused.get(request.model, frozenset())
        chatting = self.provider.api == "chat"
        optional = chat.optional(self.provider.quirks, refused) if chatting else responses.OPTIONAL - refused
        field = faults.refused_field(fault, optional)
        if not field and fault.status == 429 and self._tier(request) == "flex" and fault.retry_after is None:
            field = "service_tier" if "service_tier" not in refused else ""
        if not field:
            return False
        self._refused[request.model] = refused | {field}
        self._say(f"{request.model} does not take {field!r} here ({fault.message}); going on without it")
        return True

    # ── one try ──────────────────────────────────────────────────────────────────────────────────

    async def _try(self, request: Request, attempt: int, on_text: Callable[[str], None] | None) -> Reply:
        model = self.catalog.get(request.model)
        self._introduce(model)
        reservation = await self._reserve(request, model, attempt)
        request = replace(request, max_output=reservation.max_output)
        path, body, assembly = self._compose(request, model, on_text)
        assert self._wire is not None
        try:
            patience = FLEX_PATIENCE if self._tier(request) == "flex" else 1.0
            await self._wire.send(path, body, assembly, patience=patience)
            usage = self._priced(assembly, model) or reservation.call_usage()
            reply = assembly.reply(usage)
        except Fault as fault:
            self._book_failure(reservation, assembly, model, fault)
            raise
        except BaseException:  # cancelled: what was generated until then is charged, and its size is not known
            self._book(reservation.settle("cancelled"), assembly, "interrupted")
            raise
        self._book(reservation.settle("ok", usage, assembly.tier))
        self._compare(request, reply)
        return reply

    def _compose(
        self, request: Request, model: Model, on_text: Callable[[str], None] | None
    ) -> tuple[str, dict[str, Any], responses.Assembly | chat.Assembly]:
        without = self._refused.get(request.model, frozenset())
        effort, tier = model.effort(request.effort), self._tier(request)
        if self.provider.api == "chat":
            quirks = self.provider.quirks
            body = chat.body(request, effort=effort, quirks=quirks, tier=tier, without=without)
            return chat.PATH, body, chat.Assembly(request, on_text)
        body = responses.body(request, effort=effort, tier=tier, without=without)
        return responses.PATH, body, responses.Assembly(request, on_text)

    def _tier(self, request: Request) -> str:
        """The tier asked for. With a limit on money it is always said: a project's default could cost double."""
        wanted = self._role(request.role).tier
        if wanted and "service_tier" in self._refused.get(request.model, ()):
            return ""
        return str(wanted) or ("default" if self._budget.limited and self.provider.api == "responses" else "")

    async def _reserve(self, request: Request, model: Model, attempt: int) -> Reservation:
        incoming = min(await self._input_tokens(request), model.max_input if model.known else 10**9)
        tier, factor = self._tier(request) or "default", self.provider.price_factor
        tier = "default" if tier == "flex" else tier  # what flex cannot serve may be served at the full price
        priced = model.worst_price(incoming, 0, tier) is not None
        if not priced and self._budget.limited:
            raise UserError(
                f"the price of {model.id} is unknown, so the cost limit cannot be kept",
                f'add [models."{model.id}"] with prices to models.toml in the configuration directory',
            )
        call = Call(
            time.time(), self._session, self._repository, request.role, model.id, tier, incoming, attempt=attempt
        )
        most = min(request.max_output, model.max_output) if model.known else request.max_output

        def worst(output: int) -> float:
            return (model.worst_price(incoming, output, tier) or 0.0) * factor

        reservation = await self._budget.reserve(call, most, worst if priced else None)
        if reservation.max_output < most:
            self._say(f"replies are cut to {reservation.max_output} tokens to stay within the cost limit", "info")
        return reservation

    async def _input_tokens(self, request: Request) -> int:
        """Tokens of the request: as the caller counted, else counted here (each piece once), else its bytes."""
        if request.input_tokens:
            return request.input_tokens
        tools = [(spec.name, spec.description, spec.parameters) for spec in request.tools]
        pieces = [request.instructions, json.dumps([tools, request.schema]), *map(json.dumps, request.input)]
        if self._count is None:
            return sum(map(len, pieces))
        new = [piece for piece in pieces if hash(piece) not in self._counted]
        if new:
            counts = await asyncio.to_thread(lambda: [self._count(piece) for piece in new])  # type: ignore[misc]
            self._counted |= dict(zip(map(hash, new), counts, strict=True))
        return int(sum(self._counted[hash(piece)] for piece in pieces) * _FORMAT_MARGIN) + 8 * len(pieces)

    # ── booking and telling ──────────────────────────────────────────────────────────────────────

    def _priced(self, assembly: responses.Assembly | chat.Assembly, model: Model) -> Usage | None:
        counted = assembly.usage()
        if counted is None:
            return None
        usage, written = counted
        usd = model.price(usage, assembly.tier, written)
        return replace(usage, usd=None if usd is None else usd * self.provider.price_factor)

    def _book_failure(
        self, reservation: Reservation, assembly: responses.Assembly | chat.Assembly, model: Model, fault: Fault
    ) -> None:
        status = str(fault.status or fault.code or fault.kind)
        usage = self._priced(assembly, model)
        if usage is None and not fault.billed:
            call = reservation.call
            reservation.settle(status, Usage(call.role, call.model, 0, usd=0.0))
            self._abandon(assembly, fault.message)
        else:
            self._book(reservation.settle(status, usage, assembly.tier), assembly, fault.message)

    def _book(self, usage: Usage, failed: responses.Assembly | chat.Assembly | None = None, reason: str = "") -> None:
        key = (usage.role, usage.model)
        self._usages[key] = self._usages[key].plus(usage) if key in self._usages else usage
        cost = self.cost_usd
        if failed is not None:
            self._abandon(failed, reason)
        self._emit(UsageRecorded(usage, None if cost is None or self._before is None else self._before + cost))
        if self.ledger.complaint:
            self._say(self.ledger.complaint)

    def _abandon(self, assembly: responses.Assembly | chat.Assembly, reason: str) -> None:
        if assembly.shown:
            self._emit(StepAbandoned(reason))

    def _introduce(self, model: Model) -> None:
        for notice in model.notices(datetime.date.today()):
            nearest = "" if model.known else self.catalog.nearest(model.id)
            hint = f" (did you mean {nearest}?)" if nearest else ""
            self._say(f"{notice.text}{hint}", "info" if self.provider.local and not model.known else notice.level)

    def _compare(self, request: Request, reply: Reply) -> None:
        """A model or tier other than the one asked for is said aloud."""
        if self.catalog.get(reply.model).known and not reply.model.startswith(request.model):
            self._say(f"{self.provider.host} answered with {reply.model}, asked for {request.model}")
        asked = self._tier(request)
        if asked and asked != "default" and reply.tier != asked:
            self._say(f"{self.provider.host} served {request.model} on tier {reply.tier!r}, asked for {asked!r}")

    def _say(self, text: str, level: str = "warning") -> None:
        if text in self._said:
            return
        self._said.add(text)
        if level == "warning":
            self.warnings.append(text)
            self._emit(Notice(text, "warning"))
        else:
            self._emit(Notice(text))


def _another_model_may_help(error: ApiError) -> bool:
    """Not when the key, the account, the address or the size of the input is what is wrong."""
    same_everywhere = {"insufficient_quota", "invalid_api_key", "http_401", "unreachable", "tls", "proxy"}
    return error.code not in same_everywhere | TOO_LONG


def _keeps_its_schema(request: Request, reply: Reply) -> bool:
    """Whether a structured reply is at least a JSON object; its fields are checked where it is used."""
    if request.schema is None or reply.finish != "completed":
        return True
    try:
        return isinstance(json.loads(reply.text), dict)
    except (ValueError, RecursionError):
        return False
