"""Chooses the tier once per session: the first that a self-test proves, not the first whose program is installed."""

import asyncio
import contextlib
import dataclasses
import os
import sys
import time
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from coder.errors import Refused
from coder.sandbox import bubblewrap, scene, selftest
from coder.sandbox.inside import landlock
from coder.sandbox.run import Sandbox, Tier
from coder.store import Places

if TYPE_CHECKING:
    from coder.config import SandboxSettings

NAMESPACE_TIERS: tuple[Tier, ...] = ("bubblewrap", "namespaces")
TIERS: tuple[Tier, ...] = (*NAMESPACE_TIERS, "landlock", "seatbelt")


async def choose(
    mode: Literal["auto", "require", "off"],
    settings: "SandboxSettings",
    places: Places,
    *,
    environ: Mapping[str, str] = os.environ,
    secrets: Collection[str] = (),
    tiers: Collection[Tier] = TIERS,
) -> Sandbox:
    """The strongest of `tiers` that holds here. "require" takes namespace tiers only, "off" runs commands unconfined.

    `secrets` are values that no command may be given. Raises Refused (exit 3) when no tier holds.
    """
    if mode == "off":
        return Sandbox("none", settings, places, environ, secrets, limits="commands run unconfined")
    await asyncio.to_thread(_sweep, places.cache / "sandbox")
    failures = []
    for tier in TIERS:
        if tier not in tiers or not _might_work(tier) or (mode == "require" and tier not in NAMESPACE_TIERS):
            continue
        for loopback in (True, False) if tier == "landlock" else (True,):
            limits = _limits(tier, loopback, settings.network)
            sandbox = Sandbox(tier, settings, places, environ, secrets, limits=limits, loopback=loopback)
            held, total, trouble = await selftest.check(sandbox)
            if held == total:
                return dataclasses.replace(sandbox, checks=f"{held}/{total}")
        failures.append(f"{tier} {held}/{total} ({trouble})")
    raise Refused(
        f"no sandbox holds here: {'; '.join(failures) or 'none is available on this system'}",
        "install bubblewrap, allow user namespaces, or run without tests (--no-test) or unconfined (--sandbox off)",
    )


_SCOPED = 6  # the first version of Landlock that keeps signals inside
_COPY = "runs in a copy at another path"
_BROKERED = "loopback by TCP and by sockets with a path, not by UDP, where others of this machine can connect to it too"
_REST = (
    "without terminals, a /tmp and a /dev/shm of its own; the command lines of the machine's processes can be read; all"
    " other bounds are kept by a watcher, not by the kernel"
)


def _limits(tier: Tier, loopback: bool, network: bool) -> str:
    if tier == "seatbelt":
        return f"{_COPY}; a server inside must name localhost; services of this machine stay reachable there"
    if tier != "landlock":
        return ""
    signals = "" if landlock.version() >= _SCOPED else "; it can signal your other processes (until Linux 6.12)"
    missed = "; the network that you allow it is out of its reach" if network else ""
    return f"{_COPY}, with {_BROKERED if loopback else 'no sockets, so no loopback'}, {_REST}{signals}{missed}"


def _sweep(base: Path) -> None:
    """Remove what runs left behind whose coder was killed. None lasts longer than a day."""
    for left in base.glob("*-*"):
        with contextlib.suppress(OSError):
            if time.time() - left.lstat().st_mtime > 2 * 86_400:
                scene.clear(left)


def _might_work(tier: Tier) -> bool:
    match tier:
        case "bubblewrap":
            return sys.platform == "linux" and bool(bubblewrap.find())
        case "seatbelt":
            return sys.platform == "darwin"
        case _:
            return sys.platform == "linux"
