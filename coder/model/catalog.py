"""Models as data: windows, prices by tier, efforts and end dates, shipped in `models.toml`, overridable by the user.

A model that is not listed is usable; its price is None, which is said and never counted as zero.
"""

import datetime
import difflib
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from msgspec import Struct
from msgspec.structs import fields, replace

from coder.errors import UserError
from coder.events import Notice
from coder.values import Usage

_SHIPPED = Path(__file__).with_name("models.toml")
_SNAPSHOT_DATE = re.compile(r"-\d{4}-\d{2}-\d{2}$")
_TIERS = {"": "default", "auto": "default", "standard": "default", "fast": "priority", "batch": "flex"}
_MAX_BYTES = 256 * 1024
_ANNOUNCED_DAYS = 180  # before the end of a model: said once per session
_PRESSING_DAYS = 30  # from here on it is a warning


class Prices(Struct, frozen=True):
    """USD per million tokens."""

    input: float
    cached: float
    output: float


class Model(Struct, frozen=True):
    """One model. Sizes in tokens; `max_input` is what the API really takes. `known` is False for one that is not
    in the catalog: its sizes are cautious guesses and it has no price."""

    id: str
    context: int = 128_000
    max_input: int = 96_000
    max_output: int = 32_000
    efforts: tuple[str, ...] = ()
    prices: Mapping[str, Prices] = {}
    cache_write: float = 1.0
    long_above: int = 0
    long_factors: tuple[float, float] = (1.0, 1.0)
    shutdown_date: datetime.date | None = None
    replacement: str = ""
    known: bool = True

    def price(self, usage: Usage, tier: str = "default", cache_written: int = 0) -> float | None:
        """USD of `usage` at the echoed `tier`; None when no price is known for it.

        `cache_written` are the input tokens that were stored in the cache, which newer models charge for.
        """
        prices = self.prices.get(_TIERS.get(tier, tier))
        if prices is None:
            return None
        stored = min(cache_written, usage.input_tokens - usage.cached_tokens)
        fresh = usage.input_tokens - usage.cached_tokens - stored
        incoming = (fresh + stored * self.cache_write) * prices.input + usage.cached_tokens * prices.cached
        outgoing = usage.output_tokens * prices.output
        if self.long_above and usage.input_tokens > self.long_above:
            incoming, outgoing = incoming * self.long_factors[0], outgoing * self.long_factors[1]
        return (incoming + outgoing) / 1_000_000

    def worst_price(self, input_tokens: int, output_tokens: int, tier: str = "default") -> float | None:
        """USD if nothing is cached, everything is stored in the cache and the whole output is used."""
        usage = Usage("", self.id, 1, input_tokens, 0, 0, output_tokens)
        return self.price(usage, tier, input_tokens)

    def effort(self, wanted: str) -> str:
        """The effort to send: `wanted`, or the nearest this model has, the lower of two."""
        if not self.efforts or wanted in self.efforts:
            return wanted
        order = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
        place = order.index(wanted) if wanted in order else order.index("medium")
        return min(self.efforts, key=lambda each: (abs(order.index(each) - place), order.index(each)))

    def notices(self, today: datetime.date) -> tuple[Notice, ...]:
        """What a user of this model should know before the first call."""
        said = []
        if not self.known:
            text = f"{self.id} is not in the catalog: its price and window are unknown; name them in models.toml"
            said.append(Notice(text, "warning"))
        days = (self.shutdown_date - today).days if self.shutdown_date else _ANNOUNCED_DAYS + 1
        if days <= 0:
            said.append(Notice(f"{self.id} was to end on {self.shutdown_date}{self._instead()}", "warning"))
        elif days <= _ANNOUNCED_DAYS:
            level: Literal["info", "warning"] = "warning" if days <= _PRESSING_DAYS else "info"
            said.append(Notice(f"{self.id} ends on {self.shutdown_date}{self._instead()}", level))
        return tuple(said)

    def _instead(self) -> str:
        return f"; its successor is {self.replacement}" if self.replacement else ""


class Catalog(Struct, frozen=True):
    """The models by id."""

    models: Mapping[str, Model]

    @classmethod
    def load(cls, config_dir: Path | None = None) -> "Catalog":
        """The shipped models, with the user's `models.toml` from `config_dir` laid over them by field.

        Raises UserError naming the file, the model and the field at fault.
        """
        tables = dict(_read(_SHIPPED))
        own = config_dir / "models.toml" if config_dir else None
        if own is not None and own.is_file():
            for name, table in _read(own).items():
                tables[name] = {**tables.get(name, {}), **table}
        return cls({name: _model(name, table, own or _SHIPPED) for name, table in tables.items()})

    def get(self, model: str) -> Model:
        """The model, by its id or by a dated snapshot of it; one that is not listed comes as a guess."""
        found = self.models.get(model) or self.models.get(_SNAPSHOT_DATE.sub("", model))
        return replace(found, id=model) if found else Model(model, known=False)

    def nearest(self, model: str) -> str:
        """The listed id most like `model`, or ""."""
        return next(iter(difflib.get_close_matches(model, self.models, n=1, cutoff=0.6)), "")


def _read(path: Path) -> Mapping[str, Mapping[str, Any]]:
    try:
        with path.open("rb") as file:
            text = file.read(_MAX_BYTES).decode("utf-8")
        models = tomllib.loads(text).get("models", {})
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}", "mend its permissions or remove it") from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: {error}", "see https://toml.io for the syntax") from None
    if not isinstance(models, dict) or not all(isinstance(table, dict) for table in models.values()):
        raise UserError(f'{path}: models must be tables named [models."ID"]', "as in the file shipped with coder")
    return models


def _model(name: str, table: Mapping[str, Any], path: Path) -> Model:
    known = {each.name for each in fields(Model)} - {"id", "known"}
    if unknown := table.keys() - known:
        raise UserError(
            f"{path}: [models.{name!r}] has no field {min(unknown)!r}", f"it has {', '.join(sorted(known))}"
        )
    try:
        values = {key: _FIELDS.get(key, _whole)(value) for key, value in table.items()}
    except (TypeError, ValueError) as error:
        raise UserError(f"{path}: [models.{name!r}]: {error}", "as in the file shipped with coder") from None
    return Model(name, **values)


def _whole(value: Any) -> int:
    if type(value) is not int or value <= 0:
        raise ValueError(f"{value!r} is not a positive whole number")
    return value


def _amount(value: Any) -> float:
    if type(value) not in (int, float) or not 0 <= value < 1e6:
        raise ValueError(f"{value!r} is not an amount")
    return float(value)


def _prices(value: Any) -> dict[str, Prices]:
    if not isinstance(value, dict) or not all(isinstance(three, list) and len(three) == 3 for three in value.values()):
        raise ValueError("prices are three amounts by tier, as in prices.default = [0.75, 0.075, 4.50]")
    return {str(tier): Prices(*map(_amount, three)) for tier, three in value.items()}


def _pair(value: Any) -> tuple[float, float]:
    first, second = map(_amount, value)
    return first, second


def _date(value: Any) -> datetime.date:
    return value if isinstance(value, datetime.date) else datetime.date.fromisoformat(value)


_FIELDS: Mapping[str, Any] = {
    "efforts": lambda value: tuple(map(str, value)),
    "prices": _prices,
    "cache_write": _amount,
    "long_factors": _pair,
    "shutdown_date": _date,
    "replacement": str,
}
