"""What leaves the machine, and where to: told to every user before the first request to each host."""

from coder.model.providers import Provider
from coder.store import Places, append_line, private_dir

WHAT_LEAVES = (
    "What leaves this machine: your task, and the contents and names of files of this repository as `coder context` "
    "lists them, the model's edits and the output of tests; never files that look like secrets or that you excluded."
)


def tell_once(places: Places, provider: Provider) -> str:
    """The sentences for a host that this user was not told of yet; "" for all others. Remembers that it told."""
    host = provider.host_name
    try:
        path = private_dir(places.state) / "told"
        if path.exists() and host in path.read_text(encoding="utf-8", errors="replace").splitlines():
            return ""
        append_line(path, host.encode("utf-8", "backslashreplace"))
    except OSError:
        pass  # then it is told again
    return f"{WHAT_LEAVES} They go to {provider.host}."
