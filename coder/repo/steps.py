"""From wished changes to the steps that make them, checked against what is on disk now.

Reads the tree and writes nothing. What does not fit is refused here, before the first byte is written.
"""

import os
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from coder.errors import Failed, Refused
from coder.repo.journal import Image, Step, digest, image_of
from coder.repo.paths import refuse_path
from coder.repo.safe_io import Found, Obstacle, Tree, split
from coder.text import visible_line


class FileChange(Struct, frozen=True):
    """What one path shall become. A rename is a deletion and a creation; with `renamed_from` the new file keeps the
    mode, owner and attributes of the old one.

    `before` is what the working tree must hold now, `after` what it shall hold (None: no file). `before_mode` is a git
    mode or permission bits, of which only the owner's execute bit is compared (None: not compared).
    `executable` None keeps the execute bits; a new file then has none. `like` restores a mode and an owner exactly.
    """

    path: str
    before: bytes | None
    before_mode: int | None
    after: bytes | None
    executable: bool | None = None
    renamed_from: str = ""
    like: Image | None = None


class Plan(Struct, frozen=True):
    """The steps of a change, and by path: the new contents, the files they replace, and the path of the file whose
    extended attributes the new one takes."""

    steps: tuple[Step, ...]
    contents: Mapping[str, bytes]
    replaced: Mapping[str, Found]
    models: Mapping[str, str]
    emptied: tuple[tuple[str, int], ...]
    warnings: tuple[str, ...]


class Stale(Failed):
    """Files are no longer what the change was made for. `paths` names them, `shown` what is there now; nothing was
    written."""

    def __init__(self, paths: Iterable[str], reason: str = "changed since it was read", shown: str = "") -> None:
        self.paths = tuple(paths)
        names = ", ".join(visible_line(path) for path in self.paths[:5])
        more = f" and {len(self.paths) - 5} more" if len(self.paths) > 5 else ""
        message = f"{names}{more} {reason}; nothing was written" + (f"\n{shown}" if shown else "")
        super().__init__(message, "make the change again from what is there now")


class _Site(Struct, frozen=True):
    """Where a change takes place: the file there, and the deepest directory above it that exists. `model` is the file
    whose mode and owner the new one takes."""

    change: FileChange
    found: Found | None
    base: str
    model: Found | None = None

    @property
    def missing(self) -> list[str]:
        """The directories to make, outermost first."""
        parent = split(self.change.path)[0]
        return [path for path in (*_above(self.change.path)[::-1], parent) if len(path) > len(self.base)]


def plan(
    tree: Tree,
    changes: Sequence[FileChange],
    *,
    modes: Mapping[str, int] | None = None,
    removable: Collection[str] | None = None,
) -> Plan:
    """The steps that make `changes`. Raises Stale or Refused.

    `modes` are permission bits of directories that may have to be made; `removable` are the directories that may go
    once they are empty (None: all that a deletion empties, as git does).
    """
    deleted = {change.path for change in changes if change.after is None}
    _refuse_paths(changes)
    sites = _with_models([_visit(tree, change, deleted) for change in changes])
    stale = [site.change.path for site in sites if not _is_as_expected(site)]
    if stale:
        raise Stale(stale)
    _refuse_collisions(tree, sites, deleted)
    active = [site for site in sites if not _is_idle(site)]
    return Plan(
        tuple(_order(tree, active, modes or {})),
        {site.change.path: site.change.after for site in active if site.change.after is not None},
        {site.change.path: site.found for site in active if site.found is not None},
        {
            site.change.path: site.change.path if site.found else site.change.renamed_from
            for site in active
            if site.model
        },
        tuple(_emptied(tree, active, removable)),
        tuple(_warnings(active)),
    )


def _above(path: str) -> list[str]:
    """The directories above a path, innermost first, without the root."""
    above = []
    while path := split(path)[0]:
        above.append(path)
    return above


def fold(name: str) -> str:
    """What a case-insensitive, normalising file system takes a name for."""
    if name.isascii():
        return name.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def _visit(tree: Tree, change: FileChange, deleted: Collection[str]) -> _Site:
    path = change.path
    parent = split(path)[0]
    base, next_kind = tree.deepest(parent)
    if base != parent and next_kind != "none":
        blocker = "/".join(path.split("/")[: (base.count("/") + 2 if base else 1)])
        if next_kind != "file":
            raise Refused(f"{visible_line(path)}: {visible_line(blocker)} is {_KINDS[next_kind]}; nothing was written")
        if blocker not in deleted:
            raise Stale((path,), f"cannot be there, since {visible_line(blocker)} is a file")
    if base != parent:
        return _Site(change, None, base)
    try:
        return _Site(change, tree.read(path), base)
    except Obstacle as obstacle:
        if obstacle.kind == "directory" and any(other.startswith(f"{path}/") for other in deleted):
            return _Site(change, None, base)
        raise Refused(f"{visible_line(path)} is {_KINDS[obstacle.kind]}; nothing was written") from None
    except OSError as error:
        raise Failed(f"cannot read {visible_line(path)}: {error.strerror}; nothing was written") from error


_KINDS = {
    "symlink": "a symbolic link, and coder does not write through links",
    "directory": "a directory",
    "other": "neither a file nor a directory",
}


def _with_models(sites: list[_Site]) -> list[_Site]:
    found = {site.change.path: site.found for site in sites}
    return [replace(site, model=site.found or found.get(site.change.renamed_from)) for site in sites]


def _is_as_expected(site: _Site) -> bool:
    change, found = site.change, site.found
    if found is None or change.before is None:
        return found is None and change.before is None
    same_bit = change.before_mode is None or bool(change.before_mode & 0o100) == bool(found.mode & 0o100)
    return found.content == change.before and same_bit


def _is_idle(site: _Site) -> bool:
    before = image_of(site.found) if site.found else None
    return before == _after(site)


def _after(site: _Site) -> Image | None:
    change, model = site.change, site.model
    if change.after is None:
        return None
    seal = (digest(change.after), len(change.after))
    if change.like:
        return Image(*seal, change.like.executable, change.like.mode, change.like.uid, change.like.gid)
    if model is None:
        return Image(*seal, bool(change.executable))
    mode = model.mode
    if change.executable is not None:
        mode = mode | 0o100 | (mode & 0o044) >> 2 if change.executable else mode & ~0o111
    return Image(*seal, bool(mode & 0o100), mode, model.uid, model.gid)


def _refuse_paths(changes: Sequence[FileChange]) -> None:
    """Only paths that may be written, one change each, and no two new names that a case-insensitive file system takes
    for one."""
    for change in changes:
        if reason := refuse_path(change.path):
            raise Refused(f"{visible_line(change.path)}: {reason}; nothing was written")
    paths = [change.path for change in changes]
    if len(set(paths)) < len(paths):
        raise Refused("the change names a file twice; nothing was written")
    spelled: dict[str, str] = {}
    for change in changes:
        for path in (change.path, *_above(change.path)) if change.after is not None else ():
            other = spelled.setdefault(fold(path), path)
            if other != path:
                raise Refused(
                    f"{visible_line(path)} and {visible_line(other)} differ only in case; nothing was written"
                )


def _refuse_collisions(tree: Tree, sites: Sequence[_Site], deleted: Collection[str]) -> None:
    """No new name beside one that differs only in case or Unicode form, unless that one goes."""
    listings: dict[str, dict[str, list[str]]] = {}
    for site in sites:
        if site.found is not None or site.change.after is None:
            continue
        if site.base not in listings:
            listings[site.base] = _spellings(tree.names(site.base))
        depth = site.base.count("/") + 1 if site.base else 0
        name = site.change.path.split("/")[depth]
        for other in listings[site.base].get(fold(name), ()):
            path = f"{site.base}/{other}" if site.base else other
            if other != name and not any(gone == path or gone.startswith(f"{path}/") for gone in deleted):
                new, old = visible_line(site.change.path), visible_line(path)
                raise Refused(f"{new} differs only in case from {old}; nothing was written")


def _spellings(names: Iterable[str]) -> dict[str, list[str]]:
    spellings: dict[str, list[str]] = {}
    for name in names:
        spellings.setdefault(fold(name), []).append(name)
    return spellings


def _order(tree: Tree, sites: Sequence[_Site], modes: Mapping[str, int]) -> Iterator[Step]:
    """Deletions last, but for those that have to make room for a new file or directory."""
    created = [site for site in sites if site.found is None]
    creations = {site.change.path for site in created}
    rooms = {fold(path) for site in created for path in (site.change.path, *site.missing)}
    under = {site.change.path: [path for path in _above(site.change.path) if path in creations] for site in sites}

    def goes_first(site: _Site) -> bool:
        return fold(site.change.path) in rooms or bool(under[site.change.path])

    deletions = [site for site in sites if site.change.after is None]
    first = [site for site in deletions if goes_first(site)]
    going = {site.change.path for site in first}
    for site in first:
        room = under[site.change.path]
        yield _file_step(site, split(room[-1])[0] if room else site.base)
    replaced_dirs = {
        directory
        for site in first
        for room in under[site.change.path][-1:]
        for directory in _above(site.change.path)
        if directory == room or directory.startswith(f"{room}/")
    }
    for directory in sorted(replaced_dirs, key=_depth, reverse=True):
        yield Step("remove_directory", directory, mode=tree.mode(directory))
    for directory in sorted({path for site in created for path in site.missing}, key=_depth):
        yield Step("make_directory", directory, mode=modes.get(directory, -1))
    for site in sites:
        if site.change.after is not None:
            yield _file_step(site, site.base)
    for site in deletions:
        if site.change.path not in going:
            yield _file_step(site, site.base)


def _depth(path: str) -> tuple[int, str]:
    return path.count("/"), path


def _file_step(site: _Site, directory: str) -> Step:
    name = f".coder-{os.urandom(8).hex()}"
    temp = f"{directory}/{name}" if directory else name
    before = image_of(site.found) if site.found else None
    return Step("file", site.change.path, temp, before, _after(site))


def _emptied(tree: Tree, sites: Sequence[_Site], removable: Collection[str] | None) -> Iterator[tuple[str, int]]:
    """The directories that deletions may leave empty, deepest first, with their permission bits."""
    files = {site.change.path for site in sites if site.change.after is not None}
    used = {path for file in files for path in _above(file)}
    left = {path for site in sites if site.change.after is None for path in _above(site.change.path)}
    for directory in sorted(left - used, key=_depth, reverse=True):
        becomes_a_file = not files.isdisjoint((directory, *_above(directory)))
        if not becomes_a_file and (removable is None or directory in removable):
            yield directory, tree.mode(directory)


def _warnings(sites: Sequence[_Site]) -> Iterator[str]:
    for site in sites:
        if site.found is not None and site.found.links > 1:
            others = site.found.links - 1
            names = "another name" if others == 1 else f"{others} other names"
            yield f"{visible_line(site.change.path)} has {names} (hard links), which keep the old content"
