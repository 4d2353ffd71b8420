"""What tests of the screen share: the app under Textual's pilot, its text as a person reads it, keys as they press."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from textual import events
from textual.geometry import Size
from textual.keys import _character_to_key, key_to_character
from textual.pilot import Pilot

from coder.events import Ask, Emit
from coder.tui.app import CoderApp
from coder.tui.door import ScreenOptions
from coder.tui.grace import GRACE_S
from tests.scripted import Script, Scripted, opener

PLAIN = ScreenOptions(root="/home/ada/shop", branch="main", model="gpt-5.4-mini")


@dataclass
class Shown:
    """A running screen."""

    app: CoderApp
    pilot: Pilot[int]
    sessions: list[Scripted]

    @property
    def session(self) -> Scripted:
        return self.sessions[0]

    @property
    def text(self) -> str:
        """All that is on the screen, one line a row."""
        return "\n".join(strip.text for strip in self.app.screen._compositor.render_strips())

    async def press(self, *keys: str) -> None:
        """Press keys, each when the one before has been dealt with; names as in the configuration, or characters."""
        for key in keys:
            self.send(key)
            await self.pilot.pause(0)

    def send(self, *keys: str) -> None:
        """Press keys without waiting, as a paste or a slow machine delivers them."""
        for key in keys:
            name = _character_to_key(key) if len(key) == 1 else key
            self.app.post_message(events.Key(name, key if len(key) == 1 else key_to_character(name)))

    async def write(self, text: str) -> None:
        """Type `text` and Enter."""
        self.send(*text)
        await self.press("enter")

    async def resize(self, width: int, height: int) -> None:
        size = Size(width, height)
        self.app._driver._size = size  # type: ignore[union-attr]
        self.app.post_message(events.Resize(size, size))
        await self.pilot.pause(0)

    async def sees(self, wanted: str, seconds: float = 8.0) -> str:
        """Wait until `wanted` is on the screen; all of it then."""
        return await self.until(lambda: wanted in self.text, f"{wanted!r} on the screen", seconds)

    async def until(self, true: Callable[[], bool], what: str = "it", seconds: float = 8.0) -> str:
        end = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < end, f"waited in vain for {what}:\n{self.text}"
            await self.pilot.pause(0.01)
        return self.text

    async def settled(self) -> None:
        """Wait until the screen stays as it is."""
        before, same = "", 0
        while same < 3:
            await self.pilot.pause(0.02)
            same = same + 1 if self.text == before else 0
            before = self.text

    async def grace(self) -> None:
        """Let the half second pass in which a new question takes no keys."""
        await self.pilot.pause(GRACE_S + 0.1)


def drive(
    script: Script,
    act: Callable[[Shown], Awaitable[None]],
    *,
    size: tuple[int, int] = (120, 40),
    options: ScreenOptions = PLAIN,
    task: str = "",
    open_session: Callable[[Emit, Ask], Awaitable[Any]] | None = None,
    toasts: bool = False,
) -> Scripted | None:
    """Show the screen over a scripted session (or `open_session`), let `act` use it; the session afterwards."""
    sessions: list[Scripted] = []

    async def run() -> None:
        app = CoderApp(open_session or opener(script, sessions), options, task)
        async with app.run_test(size=size, notifications=toasts) as pilot:
            await asyncio.wait_for(act(Shown(app, pilot, sessions)), 30)

    asyncio.run(run())
    return sessions[0] if sessions else None
