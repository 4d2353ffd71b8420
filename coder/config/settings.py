"""The tree of settings with a sentence per field, and what of it a repository's own file may set.

Outside data is parsed here once: unknown keys and values of another type are refused.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

Effort = Literal["none", "low", "medium", "high", "xhigh"]
Usd = Annotated[float, Field(ge=0, le=100_000, allow_inf_nan=False)]
Name = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[!-~]+$")]


class Section(BaseModel):
    """A part of the tree: unknown keys and values of another type refused, values fixed once read."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class ContextSettings(Section):
    budget: Annotated[int, Field(ge=1_000, le=1_000_000)] = Field(
        128_000,
        description="Tokens the repository may take of the window, at most what the model takes as input. The default "
        "costs $0.10 with gpt-5.4-mini, $0.01 from the cache; on public commits it shows 96 of 100 files that a task "
        "changes whole, and twice as much shows 98, recalled worse.",
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
    fallback: tuple[Name, ...] = Field((), description="Models tried in order when the first fails for good.")
    tier: Literal["", "default", "flex", "priority"] = Field("", description="Service tier asked for.")


class ScreenSettings(Section):
    theme: str = Field("", description="Name of the colour theme; empty: follow the terminal.")
    notify: Literal["off", "bell", "osc9"] = Field("off", description="What happens when a turn ends unfocused.")
    reduced_motion: bool = Field(False, description="No animation at all.")
    inline: bool = Field(
        False, description="Under the prompt, in the lower part of the terminal, not a screen of its own."
    )
    keys: Mapping[str, str] = Field({}, description="Key bindings by action, as in review.accept = 'a'.")


class OtelSettings(Section):
    export: Literal["auto", "on", "off"] = Field(
        "auto", description="OpenTelemetry; auto: where OTEL_EXPORTER_OTLP_ENDPOINT is set and coder[otel] installed."
    )
    content: bool = Field(False, description="Whether tasks and replies are exported too, redacted.")


class StateSettings(Section):
    retention_days: Annotated[int, Field(ge=1, le=3_650)] = Field(
        30, description="Days that sessions, logs and checkpoints are kept."
    )


class Settings(Section):
    model: Name = Field("gpt-5.4-mini", description="The model that plans and edits.")
    subagent_model: Name = Field("gpt-5.4-nano", description="The model of the summarizer, selector and triager.")
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
    otel: OtelSettings = OtelSettings()


# A repository's file may say how to test and what to leave out; never where data goes, what is trusted or allowed.
FROM_PROJECT = ("context", "test", "model", "subagent_model", "effort")
NOT_FROM_PROJECT = tuple(sorted(set(Settings.model_fields) - set(FROM_PROJECT)))


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


def annotation(key: str) -> Any:
    """The type of the setting `key`, or None where there is none of this name."""
    section: Any = Settings
    for part in key.split("."):
        if isinstance(section, type) and issubclass(section, BaseModel):
            info = section.model_fields.get(part)
            section = info.annotation if info else None
        else:  # a table of named ones: the type of its values
            section = next(iter(get_args(section)[1:]), None)
    return section
