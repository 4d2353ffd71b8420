"""The git directory of a view: found without running git, and its configuration without what could be a secret.

CI leaves tokens in `.git/config` (an extra header, a password in a URL), so a command gets a copy that is an
allow-list of harmless settings.
"""

import os
import re
import shutil
from pathlib import Path

from coder.sandbox import copying

_SECTION = re.compile(r'^\s*\[\s*([A-Za-z0-9.-]+)(?:\s+"((?:[^"\\]|\\.)*)")?\s*\]\s*(?:[#;].*)?$')
_SETTING = re.compile(r"^\s*([A-Za-z][A-Za-z0-9-]*)\s*=\s*(.*?)\s*$")
_KEPT = {
    "core": ("repositoryformatversion", "filemode", "bare", "ignorecase", "precomposeunicode", "symlinks", "autocrlf",
             "eol", "abbrev", "worktree"),
    "extensions": ("objectformat", "refstorage", "worktreeconfig", "partialclone", "compatobjectformat"),
    "remote": ("url", "fetch"), "branch": ("remote", "merge"), "user": ("name", "email"), "init": ("defaultbranch",),
}  # fmt: skip
_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]*@")
_MAX_CONFIG = 1 << 20


def directories(root: str) -> tuple[str, str] | None:
    """(git directory, common directory) of a working tree, both absolute; None where there is none to be found.

    What a `.git` file names must look like a git directory: it is going to be shown to the command.
    """
    place = f"{root}/.git"
    if os.path.isfile(place) and not os.path.islink(place):
        text = _read(place)
        if not text.startswith("gitdir:"):
            return None
        place = os.path.normpath(os.path.join(root, text.removeprefix("gitdir:").strip()))
    if not os.path.isfile(f"{place}/HEAD"):
        return None
    common = os.path.normpath(os.path.join(place, _read(f"{place}/commondir").strip() or "."))
    if not os.path.isdir(f"{common}/objects") or not os.path.isdir(f"{common}/refs"):
        return None
    return os.path.realpath(place), os.path.realpath(common)


def configurations(git_dir: str, common: str) -> list[str]:
    """Every configuration file below the git directory, submodules' included."""
    found = [f"{common}/config", f"{git_dir}/config.worktree", f"{common}/config.worktree"]
    for top, names, _ in copying.walk(f"{common}/modules"):
        found += [f"{top}/config"] if "objects" in names else []
        names[:] = [name for name in names if name not in ("objects", "refs", "logs", "hooks", "info")]
        if len(found) > 200:
            break
    return [path for path in dict.fromkeys(found) if os.path.isfile(path)]


def harmless(path: str) -> bytes:
    """The configuration at `path` reduced to known settings, URLs without user and password."""
    lines: list[str] = []
    section = ""
    for line in _read(path).splitlines():
        if heading := _SECTION.match(line):
            section = heading[1].lower()
            if section in _KEPT:
                lines.append(_CREDENTIALS.sub("", line))
        elif (
            (setting := _SETTING.match(line))
            and setting[1].lower() in _KEPT.get(section, ())
            and not setting[2].endswith("\\")  # goes on in the next line
        ):
            lines.append(f"\t{setting[1]} = {_CREDENTIALS.sub('', setting[2])}")
    return os.fsencode("\n".join(lines) + "\n")


def imitate(git_dir: str, common: str, into: Path) -> None:
    """A git directory at `into` that reads like the real one and takes writes of its own: directories are links,
    small files copies, configurations the harmless ones."""
    into.mkdir(mode=0o700)
    for top in dict.fromkeys((common, git_dir)):
        for entry in os.scandir(top):
            target = into / entry.name
            if entry.name in ("config", "config.worktree"):
                target.write_bytes(harmless(entry.path))
            elif entry.is_dir() and entry.name not in ("hooks", "modules", "worktrees"):
                if not target.exists():
                    target.symlink_to(entry.path)
            elif entry.is_file(follow_symlinks=False) and entry.name not in ("commondir", "gitdir"):
                shutil.copyfile(entry.path, target)


def linked_directories(git_dir: str, common: str) -> list[str]:
    """What `imitate` links to: it must be readable for the copy to work."""
    return [
        entry.path
        for top in dict.fromkeys((common, git_dir))
        for entry in os.scandir(top)
        if entry.is_dir() and entry.name not in ("hooks", "modules", "worktrees")
    ]


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.read(_MAX_CONFIG)
    except OSError:
        return ""
