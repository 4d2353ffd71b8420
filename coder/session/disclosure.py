"""What leaves the machine, told once to every user before the first request ever."""

import os

from coder.store import Places, private_dir

WHAT_LEAVES = (
    "What leaves this machine: your task, and the contents and names of files of this repository as `coder context` "
    "lists them, the model's edits and the output of tests; never files that look like secrets or that you excluded."
)


def tell_once(places: Places) -> bool:
    """Whether this is the first session ever of this user; True exactly once."""
    try:
        os.close(os.open(private_dir(places.state) / "told", os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except OSError:
        return False
    return True
