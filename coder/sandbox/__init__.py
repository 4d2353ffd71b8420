"""Runs the repository's own commands where they can do no harm. Nothing here knows what a test is.

Names are imported when asked for, so that the process inside a sandbox, which lives in `inside/`, starts with
nothing of this package but what it uses.
"""

TYPE_CHECKING = False  # the checker takes it for typing's; importing that would cost every test run 10 ms

if TYPE_CHECKING:
    from coder.sandbox.ladder import choose as choose
    from coder.sandbox.run import Sandbox as Sandbox
    from coder.sandbox.values import CommandResult as CommandResult
    from coder.sandbox.values import SandboxError as SandboxError
    from coder.sandbox.values import View as View

_HOMES = {
    "choose": "coder.sandbox.ladder",
    "Sandbox": "coder.sandbox.run",
    "CommandResult": "coder.sandbox.values",
    "SandboxError": "coder.sandbox.values",
    "View": "coder.sandbox.values",
}
__all__ = ["CommandResult", "Sandbox", "SandboxError", "View", "choose"]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(name)
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
