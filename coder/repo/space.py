"""Whether a change fits on the disk, asked before the first byte is written."""

import os

from coder.errors import Failed
from coder.repo.journal import Vault
from coder.repo.safe_io import Tree, split
from coder.repo.steps import Plan


def check_space(vault: Vault, tree: Tree, planned: Plan) -> None:
    """Raises Failed with what is needed and what there is. Old and new files are on disk together for a moment.

    Quotas and reservations are not seen here; running into one of them is taken back like any other failure.
    """
    room: dict[int, os.statvfs_result] = {}
    needed: dict[int, int] = {}
    files: dict[int, int] = {}
    places: dict[int, str] = {}

    def need(device: int, numbers: os.statvfs_result, sizes: list[int], place: str) -> None:
        block = numbers.f_frsize or 4096
        room.setdefault(device, numbers)
        places.setdefault(device, place)
        needed[device] = needed.get(device, 0) + sum(-(-size // block) * block for size in sizes)
        files[device] = files.get(device, 0) + len(sizes)

    by_directory: dict[str, list[int]] = {}
    for step in planned.steps:
        if step.after is not None:
            by_directory.setdefault(split(step.temp)[0], []).append(step.after.size)
    for directory, sizes in by_directory.items():
        need(*tree.free(directory), sizes, vault.root)
    before = sum(step.before.size for step in planned.steps if step.before)
    need(
        vault.directory.stat().st_dev,
        os.statvfs(vault.directory),
        [before + 512 * len(planned.steps) + 512],
        str(vault.directory),
    )
    for device, numbers in room.items():
        available = numbers.f_bavail * (numbers.f_frsize or 4096)
        if needed[device] > available:
            raise Failed(
                f"not enough space for {places[device]}: needs {_size(needed[device])}, has {_size(available)}; "
                "nothing was changed",
                "make room and try again",
            )
        if numbers.f_files and files[device] > numbers.f_favail:
            raise Failed(
                f"not enough room for files at {places[device]}: needs {files[device]}, has {numbers.f_favail}; "
                "nothing was changed"
            )


def _size(count: int) -> str:
    return f"{count} bytes" if count < 10_000 else f"{count / 1000:,.0f} kB"
