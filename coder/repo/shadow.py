"""The shadow: coder's own git directory for one repository, so that git can work on its files and obey none of them.

It borrows the repository's objects (alternates) and has its own configuration, attributes and indexes; new objects
land here. It lies in the user's state directory. Nothing here writes below the repository or its `.git`.
"""

import contextlib
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from coder.repo.discover import Location, read_small
from coder.repo.git import Git, user_config
from coder.store import Places, locked, private_dir

# The highest place git reads attributes from: with these a tree holds the bytes on disk, no filter runs, and what
# the repository says about diffs (textconv, "binary") is unsaid. gitattributes(5).
_ATTRIBUTES = b"* -text !eol !crlf -ident -filter -working-tree-encoding !diff !merge !whitespace\n"

# What git probed of the file system when it made the repository: facts about the disk, safe to take over.
_PROBED = ("core.filemode", "core.symlinks", "core.precomposeunicode")

MAX_LOOSE_OBJECTS = 25_600

_CONFIG = {
    "core.sharedRepository": "0600",  # private whatever the umask
    "core.logAllRefUpdates": "false",
    "core.autocrlf": "false",
    "core.safecrlf": "false",
    "core.attributesFile": "/dev/null",
    "core.quotePath": "false",
    "core.splitIndex": "false",
    "core.protectHFS": "true",
    "core.protectNTFS": "true",
    "core.bigFileThreshold": "16m",  # larger blobs are streamed, not held in memory
    "core.fsync": "none",  # these objects can be made again; what must last is in checkpoints
    "core.looseCompression": "1",
    "diff.renameLimit": "400",
    "index.sparse": "false",
    "feature.manyFiles": "false",
}


def shadow_place(places: Places, location: Location) -> Path:
    """Where the shadow of this repository is; of its real path and object format, nothing else."""
    key = hashlib.sha256(os.fsencode(location.root) + b"\0" + location.object_format.encode()).hexdigest()
    return places.state / "shadows" / key[:32]


class Shadow:
    """One session's use of the shadow: a directory of its own for indexes, held by a lock until `close`.

    `trees` runs git on objects and indexes alone; `files` also sees the working tree. Both write new objects here.
    """

    def __init__(self, location: Location, places: Places, session: str) -> None:
        self.location = location
        private_dir(places.state)
        private_dir(places.state / "shadows")
        self.place = private_dir(shadow_place(places, location))
        self._held = contextlib.ExitStack()
        with locked(self.place / "lock"):
            private_dir(self.place / "work")
            if _sweep(self.place / "work") == 0 and _is_crowded(self.place):
                _empty(self.place)
            _furnish(self.place, location)
            label = re.sub(r"[^A-Za-z0-9_-]", "", session)[:40]
            self.work = Path(tempfile.mkdtemp(prefix=f"{label}-", dir=self.place / "work"))
            self._held.enter_context(locked(self.work / "lock"))
        self.index = self.work / "index"
        self.trees = Git(self.place, config={"core.bare": "true"}, borrows=location.objects)
        self.files = Git(self.place, location.root, borrows=location.objects)

    @property
    def published_index(self) -> Path:
        """The newest snapshot's index of any session: its stat data spares the next session from reading files."""
        return self.place / "index"

    def attributes(self) -> Git:
        """git that sees the repository's attributes as they are and has no filter to run: to ask about conversions
        and, with `hash-object --path`, to have line ends and `$Id$` converted."""
        place = private_dir(self.place / "attributes")
        _skeleton(place)
        _copy(self.location.common_dir / "info" / "attributes", place / "info" / "attributes")
        settings = {"core.attributesFile": _users_file("core.attributesfile", "attributes") or "/dev/null"}
        for key in ("core.autocrlf", "core.eol"):
            settings[key] = self.location.config.get(key.lower(), user_config().get(key.lower(), ("",))[-1])
        write_if_changed(place / "config", _config_text(self.location, {k: v for k, v in settings.items() if v}))
        env = {"GIT_OBJECT_DIRECTORY": str(self.place / "objects"), "GIT_INDEX_FILE": str(self.location.index)}
        return Git(place, self.location.root, env=env)

    def attribute_files(self) -> list[Path]:
        """The attributes files outside the working tree that there are: the repository's and the user's own."""
        named = (self.location.common_dir / "info" / "attributes", _users_file("core.attributesfile", "attributes"))
        return [Path(path) for path in named if path and os.path.lexists(path)]

    def catch_up(self) -> None:
        """Take over what changed in the repository since the session began; before each snapshot and commit."""
        _catch_up(self.place, self.location)

    def renew(self) -> bool:
        """Start again without objects and indexes, in case a crash damaged some. False while another session lives."""
        with locked(self.place / "lock"):
            if _sweep(self.place / "work") > 1:  # this session is one
                return False
            _empty(self.place)
            self.index.unlink(missing_ok=True)
            _furnish(self.place, self.location)
            return True

    def close(self) -> None:
        """Give up this session's indexes. The objects stay for other sessions."""
        shutil.rmtree(self.work, ignore_errors=True)
        self._held.close()


def _furnish(place: Path, location: Location) -> None:
    """Make or mend the directory; every file is derived from the repository's present state."""
    _skeleton(place)
    ignore = _users_file("core.excludesfile", "ignore")
    write_if_changed(place / "config", _config_text(location, {"core.excludesFile": ignore or "/dev/null"}))
    write_if_changed(place / "info" / "attributes", _ATTRIBUTES)
    stores = b"".join(_quoted(store) + b"\n" for store in _object_stores(location.objects))
    write_if_changed(place / "objects" / "info" / "alternates", stores)
    _catch_up(place, location)


def _catch_up(place: Path, location: Location) -> None:
    """Copy what the user's git may change at any time and reading their index and history needs."""
    _copy(location.common_dir / "info" / "exclude", place / "info" / "exclude")
    _copy(location.common_dir / "shallow", place / "shallow")
    for shared in location.git_dir.glob("sharedindex.*"):  # a split index names its other half by place
        _copy(shared, place / shared.name)


def _empty(place: Path) -> None:
    shutil.rmtree(place / "objects", ignore_errors=True)
    (place / "index").unlink(missing_ok=True)


def _skeleton(place: Path) -> None:
    for name in ("objects", "objects/info", "objects/pack", "refs", "info"):
        (place / name).mkdir(mode=0o700, exist_ok=True)
    write_if_changed(place / "HEAD", b"ref: refs/heads/none\n")  # unborn for ever: whoever means a commit names it


def _config_text(location: Location, more: Mapping[str, str]) -> bytes:
    values = dict(_CONFIG) | dict(more)
    values |= {key: "true" if location.is_on(key) else "false" for key in _PROBED if key in location.config}
    values["core.ignorecase"] = "true" if location.ignores_case else "false"
    values["core.repositoryFormatVersion"] = "0"
    if location.object_format != "sha1":
        values |= {"core.repositoryFormatVersion": "1", "extensions.objectFormat": location.object_format}
    lines: list[bytes] = []
    for key, value in sorted(values.items()):
        section, name = key.split(".", 1)
        lines.append(b"[%s]\n\t%s = %s\n" % (section.encode(), name.encode(), _quoted(value)))
    return b"".join(lines)


def _quoted(value: str | Path) -> bytes:
    """In double quotes with C escapes: understood alike by configuration files and by `alternates`."""
    raw = os.fsencode(value).replace(b"\\", b"\\\\").replace(b'"', b'\\"').replace(b"\n", b"\\n")
    return b'"' + raw + b'"'


def _users_file(key: str, default: str) -> str:
    """The absolute path of the user's own ignore or attributes file, "" when there is none."""
    named = user_config().get(key, ("",))[-1]
    if not named:
        base = os.environ.get("XDG_CONFIG_HOME", "")
        named = os.path.join(base if base.startswith("/") else "~/.config", "git", default)
    path = os.path.expanduser(named)
    return path if os.path.isabs(path) and os.path.isfile(path) else ""


def _copy(source: Path, target: Path) -> None:
    """Make `target` hold what `source` holds; gone when that is gone. Only regular files of bearable size count."""
    content = os.fsencode(read_small(source, 1 << 28))
    if content:
        write_if_changed(target, content)
    else:
        target.unlink(missing_ok=True)


def write_if_changed(path: Path, content: bytes) -> None:
    """Replace a file of the shadow unless it already holds `content`. Not synced: it is checked at each opening."""
    try:
        if path.read_bytes() == content:
            return
    except OSError:
        pass
    descriptor, name = tempfile.mkstemp(prefix=".new-", dir=path.parent)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    os.replace(name, path)


def _object_stores(objects: Path) -> list[Path]:
    """The repository's objects and those it borrows itself, in absolute form: git takes a relative alternate only
    from the first store (gitrepository-layout(5)) and follows five of them in a row."""
    stores = [objects]
    level = [objects]
    for _ in range(5):
        lines = [(store, line) for store in level for line in read_small(store / "info" / "alternates").splitlines()]
        named = [store / line for store, line in lines if line and line[0] not in '#"']
        level = [Path(os.path.realpath(store)) for store in named if store.is_dir()]
        stores += level
    return list(dict.fromkeys(stores))


def _sweep(work: Path) -> int:
    """Remove the directories of sessions that ended without saying so: nobody holds their lock. How many live."""
    alive = 0
    for directory in work.iterdir():
        try:
            with locked(directory / "lock", wait=False) as free:
                if free:
                    shutil.rmtree(directory, ignore_errors=True)
                else:
                    alive += 1
        except OSError:
            continue
    return alive


def _is_crowded(place: Path) -> bool:
    """Whether so many loose objects were left that lookups suffer; guessed from one of 256 directories, as git does
    for `gc.auto`."""
    try:
        return len(os.listdir(place / "objects" / "17")) > MAX_LOOSE_OBJECTS // 256
    except OSError:
        return False


def prune_shadows(places: Places, before: float) -> int:
    """Remove the shadows that no session used since `before` (seconds since the epoch); how many. Blocking."""
    removed = 0
    for place in (places.state / "shadows").glob("*"):
        with contextlib.suppress(OSError), locked(place / "lock") as _:
            if place.stat().st_mtime < before and _sweep(place / "work") == 0:
                shutil.rmtree(place, ignore_errors=True)
                removed += 1
    return removed
