"""Once a day, what is older than the retention goes: sessions with their logs, checkpoints, shadows."""

import contextlib
import shutil
import time
from pathlib import Path

from coder.repo import checkpoint
from coder.repo.shadow import prune_shadows
from coder.session.record import lock_of, sessions_dir
from coder.store import Places, locked, private_dir

DAY_S = 86_400


def prune_daily(places: Places, retention_days: int) -> bool:
    """Delete what is too old unless that was done within a day. Whether it was done now. Never raises OSError.

    Where this day is further from the last one than the retention, or before it, the clock may be wrong: nothing goes
    until the day after.
    """
    with contextlib.suppress(OSError):
        stamp = private_dir(places.state) / "pruned"
        age = _age(stamp) if stamp.exists() else DAY_S
        if 0 <= age < DAY_S:
            return False
        stamp.touch(mode=0o600)
        if not DAY_S <= age <= retention_days * DAY_S:
            return False
        prune(places, retention_days)
        return True
    return False


def prune(places: Places, retention_days: int) -> None:
    """Delete what was not touched for `retention_days` days. Sessions that are open stay."""
    for path in sessions_dir(places).glob("*.jsonl"):
        if _age(path) > retention_days * DAY_S:
            with locked(lock_of(path), wait=False) as free:
                if free:
                    path.unlink(missing_ok=True)
                    lock_of(path).unlink(missing_ok=True)
    for logs in (places.state / "logs").glob("*/"):
        if max(map(_changed, (logs, *logs.iterdir())), default=0.0) < time.time() - retention_days * DAY_S:
            shutil.rmtree(logs, ignore_errors=True)
    checkpoint.prune(places, retention_days)
    prune_shadows(places, time.time() - retention_days * DAY_S)


def _age(path: Path) -> float:
    """Seconds since `path` was changed; without end for one that is not there."""
    changed = _changed(path)
    return time.time() - changed if changed else float("inf")


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
