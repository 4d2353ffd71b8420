"""Settings: one tree with a sentence per field, layered from defaults, user, project, environment and flags.

Unknown keys are refused with their file, line and nearest known key. What a repository's own `.coder.toml` may never
set is listed in `NOT_FROM_PROJECT`: it has no vote on its own trust.
"""

from coder.config.layers import (
    MAX_CONFIG_BYTES,
    PROJECT,
    Layer,
    environment_layer,
    flag_layers,
    project_layer,
    set_layer,
    user_layer,
)
from coder.config.load import Config, load_config
from coder.config.settings import (
    FROM_PROJECT,
    NOT_FROM_PROJECT,
    ContextSettings,
    Effort,
    LimitSettings,
    ProviderSettings,
    RoleSettings,
    SandboxSettings,
    ScreenSettings,
    Section,
    Settings,
    StateSettings,
    TestSettings,
    known_keys,
    meaning,
)

__all__ = [
    "FROM_PROJECT",
    "MAX_CONFIG_BYTES",
    "NOT_FROM_PROJECT",
    "PROJECT",
    "Config",
    "ContextSettings",
    "Effort",
    "Layer",
    "LimitSettings",
    "ProviderSettings",
    "RoleSettings",
    "SandboxSettings",
    "ScreenSettings",
    "Section",
    "Settings",
    "StateSettings",
    "TestSettings",
    "environment_layer",
    "flag_layers",
    "known_keys",
    "load_config",
    "meaning",
    "project_layer",
    "set_layer",
    "user_layer",
]
