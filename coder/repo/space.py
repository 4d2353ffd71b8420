"""Whether a change fits on the disk, asked before the first byte is written."""

import os
from collections.abc import Iterable
from dataclasses import dataclass

from coder.errors import Failed
from coder.repo.journal import Vault
from coder.repo.safe_io import Tree, split
from coder.repo.steps import Plan


@dataclass(slots=True)
class _Need:
    """What one file system has to take, in bytes and in files. `place` is what the user is told."""

    place: str
    room: os.statvfs_result
    size: int = 0
    files: int = 0

    def add(self, sizes: Iterable[int]) -> None:
        block = self.room.f_frsize or 4096
        for size in sizes:
            self.size += -(-size // block) * block
            self.files += 1

    def check(self) -> None:
        free = self.room.f_bfree if os.geteuid() == 0 else self.room.f_bavail
        available = free * (self.room.f_frsize or 4096)
        if self.room.f_blocks and self.size > available:
            raise Failed(
                f"not enough space for {self.place}: needs {_text(self.size)}, has {_text(available)}; "
                "nothing was changed",
                "make room and try again",
            )
        if self.room.f_files and self.files > self.room.f_favail:
            raise Failed(
                f"not enough room for files at {self.place}: needs {self.files}, has {self.room.f_favail}; "
                "nothing was changed"
            )


def check_space(vault: Vault, tree: Tree, planned: Plan) -> None:
    """Raises Failed with what is needed and what there is. Old and new files are on disk together for a moment.

    Quotas and reservations are not seen here; running into one of them is taken back like any other failure.
    """
    needs: dict[int, _Need] = {}
    by_directory: dict[str, list[int]] = {}
    for step in planned.steps:
        if step.after is not None:
            by_directory.setdefault(split(step.temp)[0], []).append(step.after.size)
    for directory, sizes in by_directory.items():
        device, room = tree.free(directory)
        needs.setdefault(device, _Need(vault.root, room)).add(sizes)
    device, room = vault.directory.stat().st_dev, os.statvfs(vault.directory)
    record = sum(step.before.size for step in planned.steps if step.before) + 512 * (len(planned.steps) + 1)
    needs.setdefault(device, _Need(str(vault.directory), room)).add([record])
    for need in needs.values():
        need.check()


def _text(count: int) -> str:
    return f"{count} bytes" if count < 10_000 else f"{count / 1000:,.0f} kB"
