"""What leaves the machine, told once to every user before the first request ever."""

from coder.store import Places, private_dir

WHAT_LEAVES = (
    "What leaves this machine: your task, and the contents and names of files of this repository as `coder context` "
    "lists them, the model's edits and the output of tests; never files that look like secrets or that you excluded."
)


def tell_once(places: Places) -> bool:
    """Whether this is the first session ever of this user; True exactly once."""
    try:
        (private_dir(places.state) / "told").open("x").close()
    except OSError:
        return False
    return True
