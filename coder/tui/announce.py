"""Tells a user who looks elsewhere that the turn is over: not at all, by the bell, or by OSC 9."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from coder.tui.app import CoderApp


def announce(app: "CoderApp") -> None:
    """Nothing is told while the terminal has the focus."""
    if app.app_focus or app.options.notify == "off":
        return
    if app.options.notify == "osc9" and app._driver is not None:
        app._driver.write("\x1b]9;coder: the turn is over\x07")
    else:
        app.bell()
