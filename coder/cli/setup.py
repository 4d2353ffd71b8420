"""From flags to settings: find the repository, ask the trust store, read the configuration layers in their order."""

import os
import sys
from collections.abc import Iterable
from pathlib import Path

from msgspec import Struct, structs

from coder.cli import doors
from coder.cli.options import Shared
from coder.config import (
    PROJECT,
    Config,
    Settings,
    environment_layer,
    flag_layers,
    load_config,
    project_layer,
    set_layer,
    user_layer,
)
from coder.errors import UserError
from coder.repo.discover import Location, discover
from coder.repo.trust import TrustStore
from coder.store import Places, find_places, usable_places

PROJECT_FILE = ".coder.toml"


class Setup(Struct, frozen=True):
    """What a command starts from. `location` is None where no repository was needed and none is there."""

    places: Places
    location: Location | None
    trusted: bool
    config: Config

    @property
    def settings(self) -> Settings:
        return self.config.settings

    @property
    def tests_are_foreign(self) -> bool:
        """Whether the configured test commands are the repository's own words, not the user's."""
        return self.config.origins.get("test.commands", "").startswith(PROJECT)

    def repository(self) -> Location:
        """The repository's place, for commands that asked for one."""
        assert self.location is not None
        return self.location


def prepare(shared: Shared, *, need_repository: bool = True, trust: bool = False, hear_project: bool = True) -> Setup:
    """Read everything a command needs before it starts. Raises UserError or Refused; creates coder's own directories.

    Without `hear_project` a trusted repository's file is not read: it must not keep the user from taking back.
    """
    if sys.platform == "win32":
        raise UserError("coder runs on Linux and macOS", "on Windows, use it inside WSL")
    doors.guard_process()
    enter(shared.cwd)
    location = _locate(need_repository)
    places, remark = usable_places(find_places())
    if remark and not shared.quiet:
        doors.say(f"coder: {remark}")
    trusted = trust or (location is not None and TrustStore(places).is_trusted(location.root))
    layers = [
        user_layer(shared.config or places.config_file),
        project_layer(location.root / PROJECT_FILE) if location and trusted and hear_project else None,
        environment_layer(),
        set_layer(shared.assignments),
        *flag_layers(shared.settings),
    ]
    if shared.config and layers[0] is None:
        raise UserError(f"there is no configuration file {shared.config}", "check the path given with --config")
    read = load_config(layer for layer in layers if layer)
    return Setup(places, location, trusted, _with_exclusions(read, shared.exclude))


def enter(directory: Path) -> None:
    """Make `--cwd` the current directory."""
    try:
        os.chdir(directory)
        Path.cwd()
    except OSError as error:
        raise UserError(f"cannot work in {directory}: {error.strerror}", "give another directory with --cwd") from None


def _locate(needed: bool) -> Location | None:
    try:
        return discover(Path.cwd())
    except UserError:
        if needed:
            raise
        return None


def _with_exclusions(read: Config, patterns: Iterable[str]) -> Config:
    """`--exclude` adds to what the configuration excludes; it never replaces it."""
    settings = read.settings
    context = structs.replace(settings.context, exclude=(*settings.context.exclude, *patterns))
    return Config(structs.replace(settings, context=context), read.origins)
