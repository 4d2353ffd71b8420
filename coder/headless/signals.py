"""What ends a run from outside: signals, not heard any more once its result is out, and a reader that went away."""

import asyncio
import select
import signal
import sys

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


def be_deaf(loop: asyncio.AbstractEventLoop) -> None:
    """From here on no signal adds another result, or ends the process with a code other than the one it tells."""
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    for number in SIGNALS:
        loop.remove_signal_handler(number)
        signal.signal(number, lambda *_: None)  # unlike SIG_IGN, no child inherits this
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


def reader_is_gone() -> bool:
    """Whether stdout is a pipe that nobody reads any more."""
    poll = select.poll()
    try:
        poll.register(sys.stdout.fileno(), 0)
        return any(event & select.POLLERR for _, event in poll.poll(0))
    except (OSError, ValueError, AttributeError):
        return False
