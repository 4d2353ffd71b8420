"""The tree of settings with a sentence per field, and what of it a repository's own file may set.

Outside data is parsed here once: unknown keys and values of another type are refused.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args, get_origin

from msgspec import Meta, Struct
from msgspec.structs import fields

from coder.config.faults import is_table, plain_type

Effort = Literal["none", "low", "medium", "high", "xhigh"]
Role = Literal["coder", "summarizer", "selector", "triager"]
Usd = Annotated[float, Meta(ge=0, le=100_000)]
Name = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"^[!-~]+$(?!\n)")]
Seconds = Annotated[float, Meta(gt=0, le=86_400)]


def says(sentence: str) -> Meta:
    """What a setting means, for `coder config` and for editors."""
    return Meta(description=sentence)


class Section(Struct, frozen=True, forbid_unknown_fields=True):
    """A part of the tree: unknown keys and values of another type refused, values fixed once read."""


class ContextSettings(Section, frozen=True):
    budget: Annotated[
        int,
        Meta(ge=1_000, le=1_000_000),
        says(
            "Tokens the repository may take of the window, at most what the model takes as input. The default costs "
            "$0.10 with gpt-5.4-mini, $0.01 from the cache; on public commits it shows 96 of 100 files that a task "
            "changes whole, and twice as much shows 98, recalled worse."
        ),
    ] = 128_000
    exclude: Annotated[tuple[str, ...], says("Patterns (as in .gitignore) whose files never leave the machine.")] = ()
    selector: Annotated[Literal["auto", "on", "off"], says("Whether the small model reorders the ranking.")] = "auto"


class LimitSettings(Section, frozen=True):
    max_cost: Annotated[Usd | None, says("USD a session may cost; checked before each call.")] = None
    max_cost_per_day: Annotated[Usd | None, says("USD all sessions of a day may cost together.")] = None
    unknown_past: Annotated[
        Literal["refuse", "allow"],
        says("Whether calls are made under max_cost_per_day where the ledger cannot tell what the day has cost."),
    ] = "refuse"
    max_steps: Annotated[int, Meta(ge=1, le=1_000), says("Model calls of one turn.")] = 50
    timeout: Annotated[Seconds | None, says("Seconds a run may take.")] = None
    retry_budget: Annotated[float, Meta(ge=0, le=3_600), says("Seconds of waiting between tries of one run.")] = 60.0
    repair_rounds: Annotated[int, Meta(ge=0, le=20), says("How often failing tests go back to the model.")] = 3
    ask_above: Annotated[Usd, says("A turn forecast to cost more than this many USD asks first.")] = 1.0


class TestSettings(Section, frozen=True):
    __test__ = False

    commands: Annotated[tuple[str, ...], says("Commands that test a draft, in order; no shell is involved.")] = ()
    timeout: Annotated[Seconds, says("Seconds one command may take.")] = 600.0


class SandboxSettings(Section, frozen=True):
    env: Annotated[tuple[str, ...], says("Names of environment variables the tests may see.")] = ()
    readable: Annotated[tuple[str, ...], says("Extra paths below the home directory that tests may read.")] = ()
    unmask: Annotated[tuple[str, ...], says("Ignored secret files (such as .env) that tests may read.")] = ()
    network: Annotated[bool, says("Whether tests may use the network of the machine.")] = False
    memory_mb: Annotated[int, Meta(ge=64, le=1_048_576), says("Memory one command may use.")] = 8_192


class ProviderSettings(Section, frozen=True):
    base_url: Annotated[str, says("Where the API is, up to and including its version (https://host/v1).")]
    api_key_env: Annotated[str, says("The environment variable that holds the key; empty: no key is sent.")] = ""
    api: Annotated[Literal["responses", "chat"], says("The dialect the server speaks.")] = "chat"
    quirks: Annotated[tuple[str, ...], says("Departures of the server from the dialect, by name.")] = ()


class RoleSettings(Section, frozen=True):
    model: Annotated[str, says("The model of this role; empty: the model of its tier.")] = ""
    effort: Annotated[Effort | None, says("Reasoning effort of this role.")] = None
    fallback: Annotated[tuple[Name, ...], says("Models tried in order when the first fails for good.")] = ()
    tier: Annotated[Literal["", "default", "flex", "priority"], says("Service tier asked for.")] = ""


class ScreenSettings(Section, frozen=True):
    theme: Annotated[str, says("Name of the colour theme; empty: follow the terminal.")] = ""
    notify: Annotated[Literal["off", "bell", "osc9"], says("What happens when a turn ends unfocused.")] = "off"
    reduced_motion: Annotated[bool, says("No animation at all.")] = False
    inline: Annotated[bool, says("Under the prompt, in the lower part of the terminal, not a screen of its own.")] = (
        False
    )
    keys: Annotated[Mapping[str, str], says("Key bindings by action, as in review.accept = 'a'.")] = {}


class OtelSettings(Section, frozen=True):
    export: Annotated[
        Literal["auto", "on", "off"],
        says("OpenTelemetry; auto: where OTEL_EXPORTER_OTLP_ENDPOINT is set and coder[otel] installed."),
    ] = "auto"
    content: Annotated[bool, says("Whether tasks and replies are exported too, redacted.")] = False


class StateSettings(Section, frozen=True):
    retention_days: Annotated[int, Meta(ge=1, le=3_650), says("Days that sessions, logs and checkpoints are kept.")] = (
        30
    )


class Settings(Section, frozen=True):
    model: Annotated[Name, says("The model that plans and edits.")] = "gpt-5.4-mini"
    subagent_model: Annotated[Name, says("The model of the summarizer, selector and triager.")] = "gpt-5.4-nano"
    provider: Annotated[str, says("Name of the provider to use; empty: OpenAI or OPENAI_BASE_URL.")] = ""
    base_url: Annotated[str, says("Where the API is; overrides OPENAI_BASE_URL.")] = ""
    api_key_env: Annotated[str, says("The environment variable that holds the key.")] = "OPENAI_API_KEY"
    api: Annotated[Literal["responses", "chat"], says("The dialect of `base_url`.")] = "responses"
    effort: Annotated[Effort, says("Reasoning effort of the main model; always sent.")] = "medium"
    context: ContextSettings = ContextSettings()
    limits: LimitSettings = LimitSettings()
    test: TestSettings = TestSettings()
    sandbox: SandboxSettings = SandboxSettings()
    providers: Annotated[Mapping[str, ProviderSettings], says("Other servers by name.")] = {}
    roles: Annotated[
        Mapping[Role, RoleSettings],
        says("Settings per role, where they differ from its tier's."),
        Meta(extra_json_schema={"propertyNames": {"enum": get_args(Role)}}),  # the library leaves out what keys may be
    ] = {}
    screen: ScreenSettings = ScreenSettings()
    state: StateSettings = StateSettings()
    otel: OtelSettings = OtelSettings()


# A repository's file may say how to test and what to leave out; never where data goes, what is trusted or allowed.
FROM_PROJECT = ("context", "test", "model", "subagent_model", "effort")
NOT_FROM_PROJECT = tuple(sorted({field.name for field in fields(Settings)} - set(FROM_PROJECT)))


def known_keys(section: type[Struct] = Settings, prefix: str = "") -> list[str]:
    """Every dotted key of the tree, for completion, help and "nearest known key"."""
    keys = []
    for field in fields(section):
        if is_table(field.type):
            keys += known_keys(field.type, f"{prefix}{field.name}.")
        else:
            keys.append(f"{prefix}{field.name}")
    return keys


def annotation(key: str) -> Any:
    """The type of the setting `key` without what is said of it, or None where there is none of this name."""
    section: Any = Settings
    for part in key.split("."):
        if is_table(section):
            section = next((plain_type(field.type) for field in fields(section) if field.name == part), None)
        else:  # a table of named ones: the type of its values
            section = next(iter(get_args(section)[1:]), None)
    return section


def meaning(kind: Any) -> str:
    """The sentence that belongs to the type of a setting, or ""."""
    notes = get_args(kind)[1:] if get_origin(kind) is Annotated else ()
    return next((note.description for note in notes if note.description), "")
