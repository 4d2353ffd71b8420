"""The signals that end a run, and not hearing them any more once its result is out."""

import asyncio
import signal

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


def be_deaf(loop: asyncio.AbstractEventLoop) -> None:
    """From here on no signal adds another result, or ends the process with a code other than the one it tells."""
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    for number in SIGNALS:
        loop.remove_signal_handler(number)
        signal.signal(number, lambda *_: None)  # unlike SIG_IGN, no child inherits this
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
