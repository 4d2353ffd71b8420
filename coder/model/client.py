"""One client per session: a Request in, a Reply out. Chooses server, dialect and model, tries again within bounds,
keeps the budget and books every call.

The SDK is imported with the first request (`warm` does it ahead), never with this module.
"""

import asyncio
import contextlib
import datetime
import importlib
import json
import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from coder.errors import ApiError
from coder.events import CallFinished, Emit, Notice, RetryWaiting, StepAbandoned, UsageRecorded
from coder.model import chat, faults, responses
from coder.model.accounts import Accounts
from coder.model.budget import Budget, Reservation
from coder.model.catalog import Catalog, Model
from coder.model.faults import Fault
from coder.model.lanes import Lanes
from coder.model.ledger import Ledger
from coder.model.messages import TOO_LONG, Reply, Request
from coder.model.providers import choose_provider
from coder.model.retry import MAX_TRIES, UNREACHABLE_TRIES, UNREACHABLE_WAIT_S, RetryBudget, Timeouts, jitter, room_in
from coder.store import Places
from coder.text import redact
from coder.values import Usage

if TYPE_CHECKING:
    from coder.config import RoleSettings, Settings
    from coder.model.wire import Wire

Assembly = responses.Assembly | chat.Assembly

MAX_PARALLEL = 8  # calls at the same time, over all agents of a session
DEFAULT_TIMEOUTS = Timeouts()
FLEX_PATIENCE = 7.5  # flex answers may take a quarter of an hour to begin (flex processing guide)


def warm() -> None:
    """Import the SDK, which takes about a second of CPU; meant for a thread once the first frame is shown."""
    with contextlib.suppress(Exception):  # what is wrong with it is told where it is needed
        importlib.import_module("coder.model.wire").tls()
        importlib.import_module("anyio._backends._asyncio")  # the SDK's HTTP client would, with the first request


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
        self.warnings: list[str] = []
        self._settings = settings
        self._emit = emit
        self._environ = environ
        limits = settings.limits
        self._timeouts = replace(timeouts, total=min(timeouts.total, limits.timeout or timeouts.total))
        self._retries = RetryBudget(limits.retry_budget)
        ledger = Ledger(places.state / "ledger.sqlite")
        trusting = limits.unknown_past == "allow"
        budget = Budget(ledger, session, limits.max_cost, limits.max_cost_per_day, trusting=trusting)
        self._accounts = Accounts(ledger, budget, session, repository, self.provider.price_factor, count)
        self._wire: Wire | None = None
        self._opening = asyncio.Lock()
        self._parallel = Lanes(MAX_PARALLEL)
        self._not_before = 0.0  # loop time until which a 429 asked everyone to wait
        self._refused: dict[str, frozenset[str]] = {}  # by model: optional fields that it does not take
        self._said: set[str] = set()

    @property
    def usages(self) -> tuple[Usage, ...]:
        """Totals of this process by role and model, in the order of first use."""
        return self._accounts.usages

    @property
    def cost_usd(self) -> float | None:
        """USD of this process; None as soon as one price is unknown."""
        return self._accounts.cost_usd

    @property
    def ledger(self) -> Ledger:
        return self._accounts.ledger

    async def worst_case(self, request: Request) -> float | None:
        """USD that `request` can cost at most, for a forecast; None when the price is unknown."""
        return await self._accounts.worst(request, self.catalog.get(request.model), self._tier(request))

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

    def _open_blocking(self) -> "Wire":
        from coder.model.wire import Wire

        self._accounts.open()
        if self.ledger.note:
            self._say(self.ledger.note)
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
        """After a 429, or once the rate limit is used up, the whole session holds back and not just one call."""
        wait = self._not_before - asyncio.get_running_loop().time()
        if wait > 0:
            self._emit(RetryWaiting(wait, 0, "the rate limit is used up for now"))
            await asyncio.sleep(wait)

    def _pause(self, fault: Fault, tries: int) -> float | None:
        """Seconds until the next try; None: no next try."""
        if fault.kind == "final":
            return None
        if fault.kind == "unreachable":
            return self._retries.take(UNREACHABLE_WAIT_S) if tries < UNREACHABLE_TRIES else None
        asked = fault.retry_after or 0.0
        wait = self._retries.take(max(jitter(tries), asked), at_least=asked) if tries < MAX_TRIES else None
        if fault.status == 429:
            self._parallel.refused()
            self._hold_back(wait or 0.0)
        return wait

    def _hold_back(self, seconds: float) -> None:
        self._not_before = max(self._not_before, asyncio.get_running_loop().time() + seconds)

    def _mend(self, request: Request, fault: Fault) -> bool:
        """Leave out an optional field that the server refused, or a tier it cannot serve now; once each, and said."""
        refused = self._refused.get(request.model, frozenset())
        chatting = self.provider.api == "chat"
        optional = chat.optional(self.provider.quirks, refused) if chatting else responses.OPTIONAL - refused
        field = faults.refused_field(fault, optional)
        waits = fault.status == 429 and fault.kind != "final" and fault.retry_after is None
        if not field and waits and self._tier(request) == "flex":
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
        reservation = await self._accounts.reserve(request, model, self._tier(request), attempt)
        if reservation.max_output < request.max_output:
            self._say(f"replies are cut to {reservation.max_output} tokens to stay within limits", "info")
            request = replace(request, max_output=reservation.max_output)
        path, body, assembly = self._compose(request, model, on_text)
        assert self._wire is not None
        try:
            patience = FLEX_PATIENCE if self._tier(request) == "flex" else 1.0
            headers = await self._wire.send(path, body, assembly, patience=patience)
            usage = self._accounts.priced(assembly.usage(), model, assembly.tier) or reservation.call_usage()
            reply = assembly.reply(usage)
        except Fault as fault:
            fault.message = redact(fault.message, (self.provider.key,))
            self._book_failure(reservation, assembly, model, fault)
            raise
        except BaseException:  # cancelled: what was generated until then is charged, and its size is not known
            self._book_failure(
                reservation, assembly, model, Fault("interrupted", "final", "cancelled", billed=assembly.sent)
            )
            raise
        usage = replace(usage, predicted_tokens=reservation.call.predicted_tokens)
        self._accounts.prefixes.learn(request, usage)
        self._book(reservation.settle("ok", usage, assembly.tier))
        self._tell_end(reservation, "ok", usage, reply)
        self._compare(request, reply)
        self._parallel.answered(headers)
        self._hold_back(min(room_in(headers), self._retries.left))
        return reply

    def _compose(
        self, request: Request, model: Model, on_text: Callable[[str], None] | None
    ) -> tuple[str, dict[str, Any], Assembly]:
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
        return str(wanted) or ("default" if self._accounts.budget.limited and self.provider.api == "responses" else "")

    def _book_failure(self, reservation: Reservation, assembly: Assembly, model: Model, fault: Fault) -> None:
        status = str(fault.status or fault.code or fault.kind)
        usage = self._accounts.priced(assembly.usage(), model, assembly.tier)
        if usage is None and not fault.billed:
            call = reservation.call
            reservation.settle(status, Usage(call.role, call.model, 0, usd=0.0))
            self._abandon(assembly, fault.message)
            self._tell_end(reservation, status)
        else:
            usage = reservation.settle(status, usage, assembly.tier)
            self._book(usage, assembly, fault.message)
            self._tell_end(reservation, status, usage)

    def _book(self, usage: Usage, failed: Assembly | None = None, reason: str = "") -> None:
        self._accounts.add(usage)
        if failed is not None:
            self._abandon(failed, reason)
        self._emit(UsageRecorded(usage, self._accounts.session_usd))
        if self.ledger.complaint:
            self._say(self.ledger.complaint)

    def _tell_end(
        self, reservation: Reservation, status: str, usage: Usage | None = None, reply: Reply | None = None
    ) -> None:
        call, (answered_by, tier) = reservation.call, (reply.model, reply.tier) if reply else ("", "")
        where = self.provider.name, self.provider.host
        self._emit(
            CallFinished(
                call.role, call.model, *where, reservation.seconds, call.attempt, status, usage, answered_by, tier
            )
        )

    def _abandon(self, assembly: Assembly, reason: str) -> None:
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
