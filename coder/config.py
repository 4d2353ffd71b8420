"""Settings: one tree with a sentence per field, layered from defaults, user, project, environment and flags.

Outside data is parsed here once. Unknown keys are refused with their file, line and nearest known key. What a
repository's own `.coder.toml` may never set is listed in `NOT_FROM_PROJECT`: it has no vote on its own trust.
"""

import difflib
import os
import re
import stat
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from coder.errors import UserError

MAX_CONFIG_BYTES = 256 * 1024

Effort = Literal["none", "low", "medium", "high", "xhigh"]
Usd = Annotated[float, Field(ge=0, le=100_000, allow_inf_nan=False)]


class Section(BaseModel):
    """A part of the tree: unknown keys refused, values fixed once read."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=False)


class ContextSettings(Section):
    budget: Annotated[int, Field(ge=1_000, le=1_000_000)] = Field(
        128_000, description="Tokens the repository may take of the window; capped at the model's real input."
    )
    exclude: tuple[str, ...] = Field((), description="Patterns (as in .gitignore) whose files never leave the machine.")
    selector: Literal["auto", "on", "off"] = Field("auto", description="Whether the small model reorders the ranking.")


class LimitSettings(Section):
    max_cost: Usd | None = Field(None, description="USD a session may cost; checked before each call.")
    max_cost_per_day: Usd | None = Field(None, description="USD all sessions of a day may cost together.")
    max_steps: Annotated[int, Field(ge=1, le=1_000)] = Field(50, description="Model calls of one turn.")
    timeout: Annotated[float, Field(gt=0, le=86_400)] | None = Field(None, description="Seconds a run may take.")
    retry_budget: Annotated[float, Field(ge=0, le=3_600)] = Field(
        60.0, description="Seconds of waiting between tries of one run."
    )
    repair_rounds: Annotated[int, Field(ge=0, le=20)] = Field(
        3, description="How often failing tests go back to the model."
    )
    ask_above: Usd = Field(1.0, description="A turn forecast to cost more than this many USD asks first.")


class TestSettings(Section):
    __test__ = False

    commands: tuple[str, ...] = Field((), description="Commands that test a draft, in order; no shell is involved.")
    timeout: Annotated[float, Field(gt=0, le=86_400)] = Field(600.0, description="Seconds one command may take.")


class SandboxSettings(Section):
    env: tuple[str, ...] = Field((), description="Names of environment variables the tests may see.")
    readable: tuple[str, ...] = Field((), description="Extra paths below the home directory that tests may read.")
    unmask: tuple[str, ...] = Field((), description="Ignored secret files (such as .env) that tests may read.")
    network: bool = Field(False, description="Whether tests may use the network of the machine.")
    memory_mb: Annotated[int, Field(ge=64, le=1_048_576)] = Field(8_192, description="Memory one command may use.")


class ProviderSettings(Section):
    base_url: str = Field(description="Where the API is, up to and including its version (https://host/v1).")
    api_key_env: str = Field("", description="The environment variable that holds the key; empty: no key is sent.")
    api: Literal["responses", "chat"] = Field("chat", description="The dialect the server speaks.")
    quirks: tuple[str, ...] = Field((), description="Departures of the server from the dialect, by name.")


class RoleSettings(Section):
    model: str = Field("", description="The model of this role; empty: the model of its tier.")
    effort: Effort | None = Field(None, description="Reasoning effort of this role.")
    fallback: tuple[str, ...] = Field((), description="Models tried in order when the first fails for good.")
    tier: Literal["", "default", "flex", "priority"] = Field("", description="Service tier asked for.")


class ScreenSettings(Section):
    theme: str = Field("", description="Name of the colour theme; empty: follow the terminal.")
    notify: Literal["off", "bell", "osc9"] = Field("off", description="What happens when a turn ends unfocused.")
    reduced_motion: bool = Field(False, description="No animation at all.")
    keys: Mapping[str, str] = Field({}, description="Key bindings by action, as in review.accept = 'a'.")


class StateSettings(Section):
    retention_days: Annotated[int, Field(ge=1, le=3_650)] = Field(
        30, description="Days that sessions, logs and checkpoints are kept."
    )


class Settings(Section):
    model: str = Field("gpt-5.4-mini", description="The model that plans and edits.")
    subagent_model: str = Field("gpt-5.4-nano", description="The model of the summarizer, selector and triager.")
    provider: str = Field("", description="Name of the provider to use; empty: OpenAI or OPENAI_BASE_URL.")
    base_url: str = Field("", description="Where the API is; overrides OPENAI_BASE_URL.")
    api_key_env: str = Field("OPENAI_API_KEY", description="The environment variable that holds the key.")
    api: Literal["responses", "chat"] = Field("responses", description="The dialect of `base_url`.")
    effort: Effort = Field("medium", description="Reasoning effort of the main model; always sent.")
    context: ContextSettings = ContextSettings()
    limits: LimitSettings = LimitSettings()
    test: TestSettings = TestSettings()
    sandbox: SandboxSettings = SandboxSettings()
    providers: Mapping[str, ProviderSettings] = Field({}, description="Other servers by name.")
    roles: Mapping[Literal["coder", "summarizer", "selector", "triager"], RoleSettings] = Field(
        {}, description="Settings per role, where they differ from its tier's."
    )
    screen: ScreenSettings = ScreenSettings()
    state: StateSettings = StateSettings()


# A repository's file may say how to test and what to leave out; never where data goes, what is trusted or allowed.
FROM_PROJECT = ("context", "test", "model", "subagent_model", "effort")
NOT_FROM_PROJECT = tuple(sorted(set(Settings.model_fields) - set(FROM_PROJECT)))


@dataclass(frozen=True, slots=True)
class Layer:
    """One source of settings: `origin` is what the user is told ("user file …", "flag --model")."""

    origin: str
    values: Mapping[str, Any]
    text: str = ""


@dataclass(frozen=True, slots=True)
class Config:
    """The effective settings and, by dotted key, where each that is not a default came from."""

    settings: Settings
    origins: Mapping[str, str]


def load_config(layers: Iterable[Layer]) -> Config:
    """Merge `layers`, lowest precedence first, and validate. Raises UserError naming the layer at fault."""
    merged: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for layer in layers:
        _merge(merged, layer.values, layer.origin, origins, ())
        try:
            settings = Settings.model_validate(merged)
        except ValidationError as error:
            raise UserError(*_explain(error, layer)) from None
    return Config(settings if merged else Settings(), origins)


def user_layer(path: Path) -> Layer | None:
    """The user's own file, or None where there is none."""
    return _file_layer(path, "user file")


def project_layer(path: Path) -> Layer | None:
    """A trusted repository's `.coder.toml`. Raises UserError if it sets what a repository may not."""
    layer = _file_layer(path, "project file")
    for key in layer.values if layer else ():
        if key in NOT_FROM_PROJECT:
            raise UserError(f"{path}{_line_of(key, layer.text if layer else '')}: a repository may not set {key!r}",
                            "set it in your own configuration; `coder config` shows where that is")  # fmt: skip
    return layer


def environment_layer(environ: Mapping[str, str] = os.environ) -> Layer:
    """`CODER_MODEL`, `CODER_CONTEXT__BUDGET`, …: two underscores stand for a dot."""
    pairs = {}
    for name in sorted(environ):
        if name.startswith("CODER_") and name not in RESERVED_ENVIRONMENT:
            pairs[name.removeprefix("CODER_").lower().replace("__", ".")] = environ[name]
    return Layer("environment CODER_*", _tree(pairs, "environment CODER_*"))


RESERVED_ENVIRONMENT = frozenset({"CODER_SANDBOX_CHILD"})


def set_layer(assignments: Iterable[str]) -> Layer:
    """`--set key=value`, where value is TOML or else plain text."""
    pairs = {}
    for assignment in assignments:
        key, equals, value = assignment.partition("=")
        if not equals or not key.strip():
            raise UserError(f"--set {assignment!r} is not of the form key=value", "as in --set context.budget=64000")
        pairs[key.strip()] = value.strip()
    return Layer("flag --set", _tree(pairs, "--set"))


def flag_layer(values: Mapping[str, Any]) -> Layer:
    """Flags that have a setting of their own, by dotted key; None means not given."""
    return Layer("flag", _nest({key: value for key, value in values.items() if value is not None}))


def _file_layer(path: Path, what: str) -> Layer | None:
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # opening a FIFO would wait for its writer
            raise UserError(f"{path} is not a regular file", "remove it or choose another with --config")
        with path.open("rb") as file:
            raw = file.read(MAX_CONFIG_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}", "mend its permissions or use --config") from None
    if len(raw) > MAX_CONFIG_BYTES:
        raise UserError(f"{path} is larger than {MAX_CONFIG_BYTES // 1024} KiB", "that is no configuration of coder")
    try:
        text = raw.decode("utf-8")
        return Layer(f"{what} {path}", tomllib.loads(text), text)
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 (byte {error.start})", "save it as UTF-8") from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise UserError(f"{path}: {error}", "see https://toml.io for the syntax") from None


def _merge(
    into: dict[str, Any],
    values: Mapping[str, Any],
    origin: str,
    origins: dict[str, str],
    prefix: tuple[str, ...],
) -> None:
    for key, value in values.items():
        path = (*prefix, key)
        if isinstance(value, Mapping):
            branch = into.get(key)
            into[key] = branch = dict(branch) if isinstance(branch, Mapping) else {}
            _merge(branch, value, origin, origins, path)
        else:
            into[key] = value
            origins[".".join(path)] = origin


def _tree(pairs: Mapping[str, str], origin: str) -> dict[str, Any]:
    return _nest({key: _value(key, text, origin) for key, text in pairs.items()})


def _nest(pairs: Mapping[str, Any]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for key, value in pairs.items():
        *parents, leaf = key.split(".")
        branch = tree
        for parent in parents:
            branch = branch.setdefault(parent, {})
            if not isinstance(branch, dict):
                raise UserError(f"{key!r} is set both as a value and as a section", "keep one of them")
        branch[leaf] = value
    return tree


def _value(key: str, text: str, origin: str) -> Any:
    """Text from a flag or a variable as a TOML value where the setting wants one, else as it is."""
    if len(text) > 10_000:
        raise UserError(f"{origin}: the value of {key!r} is too long")
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (tomllib.TOMLDecodeError, RecursionError, KeyError):
        return text


def known_keys(section: type[BaseModel] = Settings, prefix: str = "") -> list[str]:
    """Every dotted key of the tree, for completion, help and "nearest known key"."""
    keys = []
    for name, info in section.model_fields.items():
        inner = info.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            keys += known_keys(inner, f"{prefix}{name}.")
        else:
            keys.append(f"{prefix}{name}")
    return keys


def _explain(error: ValidationError, layer: Layer) -> tuple[str, str]:
    fault = error.errors(include_url=False, include_input=False)[0]
    key = ".".join(str(part) for part in fault["loc"])
    where = f"{layer.origin}{_line_of(str(fault['loc'][-1]) if fault['loc'] else '', layer.text)}"
    if fault["type"] == "extra_forbidden":
        nearest = difflib.get_close_matches(key, known_keys(), n=1, cutoff=0.5)
        return f"{where}: unknown setting {key!r}", f"did you mean {nearest[0]!r}?" if nearest else "see `coder config`"
    return f"{where}: {key}: {fault['msg']}", "see `coder config` for what each setting takes"


def _line_of(key: str, text: str) -> str:
    found = re.search(rf"(?m)^\s*\[?[^=\n#]*\b{re.escape(key)}\b", text) if key and text else None
    return f":{text.count(chr(10), 0, found.end()) + 1}" if found else ""
