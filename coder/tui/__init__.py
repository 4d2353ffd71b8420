"""The full-screen face. Only this room imports textual; nothing outside it should import more than `run_screen`."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from coder.tui.door import OpenSession, ScreenOptions

FRAMES = "120"  # a second, at most: at Textual's 60 a key that came during a paint waits for twice as long
GARBAGE = (5_000, 20, 50)  # new objects per search for garbage, which a key waits for; small searches per larger one


def run_screen(open_session: "OpenSession", *, task: str = "", options: "ScreenOptions | None" = None) -> int:
    """Show the screen until the user leaves. The process's exit code (CONTRACT).

    `open_session` is called once, after the first frame; `task` is submitted as soon as the session is open.
    Raises OSError where there is no terminal.
    """
    import asyncio
    import gc
    import os
    import sys

    os.environ.setdefault("TEXTUAL_FPS", FRAMES)
    sys.setswitchinterval(0.0005)  # s; a key waits for threads that index or search a dozen times before it is painted
    gc.disable()  # nothing made before the first frame is garbage; the screen turns it on again then
    from coder.tui.app import CoderApp
    from coder.tui.door import ScreenOptions
    from coder.tui.terminal import held_terminal

    gc.freeze()  # what was imported stays: no search for garbage looks at it again
    gc.set_threshold(*GARBAGE)
    options = options or ScreenOptions()
    try:
        with held_terminal(options.log) as terminal:
            app = CoderApp(open_session, options, task, terminal)
            # A loop of our own, never closed: `asyncio.run` would wait for threads that still import a library.
            code = app.run(loop=asyncio.new_event_loop())
    finally:
        gc.enable()
    if code is None:
        raise RuntimeError(f"the screen failed{f'; the details are in {options.log}' if options.log else ''}")
    return code
