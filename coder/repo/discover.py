"""From a directory to the repository that holds it, by reading small files: runs no program, trusts no pointer.

A `.git` that names another place is believed only when that place agrees (SECURITY: core.worktree, commondir and
`.git` files can redirect the tree or the configuration). Refuses with one line and what to do about it.
"""

import os
import re
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

from msgspec import Struct

from coder.errors import UserError
from coder.repo.git import Git, user_config
from coder.text import visible_line

RepositoryState = Literal["", "merge", "rebase", "cherry-pick", "revert", "bisect", "am"]

# git-config(1), extensions.*, and gitrepository-layout(5): any other extension may change what the files mean.
_KNOWN_EXTENSIONS = {
    "noop",
    "preciousobjects",
    "partialclone",
    "worktreeconfig",
    "objectformat",
    "refstorage",
    "relativeworktrees",
}
_MAX_SMALL_FILE = 1 << 20
_MAX_PACKED_REFS = 1 << 28
_OID = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")


class Location(Struct, frozen=True):
    """A repository as found on disk. Paths are real paths; `head` is "" when unborn, `branch` "" when detached.

    `git_dir` holds HEAD and the index, `common_dir` the objects, the branches and the configuration; they differ
    only in a linked worktree. `config` is the repository's own configuration, lower-case keys, last value: data of
    the repository, never to be obeyed without a reason. `state` names an operation in progress.
    """

    root: Path
    git_dir: Path
    common_dir: Path
    object_format: str
    head: str
    branch: str
    state: RepositoryState
    config: Mapping[str, str]

    @property
    def index(self) -> Path:
        return self.git_dir / "index"

    @property
    def objects(self) -> Path:
        return self.common_dir / "objects"

    @property
    def null_oid(self) -> str:
        """The object id that stands for nothing."""
        return "0" * (64 if self.object_format == "sha256" else 40)

    @property
    def ignores_case(self) -> bool:
        """Whether the file system does, by git's probe or by looking for `.git` under another spelling."""
        return self.is_on("core.ignorecase") or os.path.lexists(self.root / ".GiT")

    def is_on(self, key: str, default: bool = False) -> bool:
        """A yes-or-no setting of the repository, as git reads it."""
        return is_true(self.config[key]) if key in self.config else default


def discover(cwd: Path) -> Location:
    """The repository that holds `cwd`. Raises UserError: none, bare, inside a git directory, redirected, foreign."""
    try:
        return _discover(Path(os.path.realpath(cwd)))
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        raise UserError(
            f"{cwd} cannot be looked at: {error.strerror}{where}", "start coder in a git repository or use --cwd"
        ) from error


def _discover(start: Path) -> Location:
    if not start.is_dir():
        raise UserError(f"{start} is not a directory", "start coder in a git repository or name one with --cwd")
    root = _find_root(start)
    git_dir = _git_dir_of(root)
    common_dir = _common_dir_of(git_dir)
    config = read_config(common_dir / "config")
    if is_true(config.get("extensions.worktreeconfig", "no")):
        config |= read_config(git_dir / "config.worktree")
    _check_ownership(root, git_dir, common_dir)
    _check_format(common_dir, config)
    _check_worktree(root, git_dir, common_dir, config)
    head, branch = _read_head(git_dir, common_dir, config)
    object_format = config.get("extensions.objectformat", "sha1").lower()
    return Location(root, git_dir, common_dir, object_format, head, branch, state_of(git_dir), config)


def _find_root(start: Path) -> Path:
    device = start.stat().st_dev
    for directory in (start, *start.parents):
        if directory.stat().st_dev != device:
            break
        if _has_git(directory):
            return directory
        if _is_git_dir(directory):
            raise UserError(
                f"{directory} is a bare repository or the inside of a git directory",
                "start coder in the working tree of a repository",
            )
    raise UserError(
        f"{start} is not in a git repository", "change to one, name one with --cwd, or make one with `git init`"
    )


def _has_git(directory: Path) -> bool:
    """Whether git would stop here: any `.git` file, or a `.git` directory that is one (git skips others)."""
    place = directory / ".git"
    return place.is_file() or (place.is_dir() and _is_git_dir(place))


def _is_git_dir(directory: Path) -> bool:
    if not os.path.lexists(directory / "HEAD"):
        return False
    return (directory / "commondir").is_file() or (
        (directory / "objects").is_dir() and ((directory / "refs").is_dir() or (directory / "reftable").is_dir())
    )


def _git_dir_of(root: Path) -> Path:
    """The directory that `.git` is or names. Raises UserError when it names none."""
    place = root / ".git"
    if place.is_dir():
        return Path(os.path.realpath(place))
    text = read_small(place)
    target = text.removeprefix("gitdir:").strip()
    named = Path(os.path.realpath(root / target))
    if not text.startswith("gitdir:") or not target or not _is_git_dir(named):
        raise UserError(
            f"{place} names no git directory ({visible_line(target, 200) or 'nothing'})",
            "repair it with `git worktree repair`",
        )
    return named


def _common_dir_of(git_dir: Path) -> Path:
    """Where objects and branches are. A `commondir` file counts only where git puts one: below `worktrees/`."""
    named = read_small(git_dir / "commondir").strip()
    if not named:
        return git_dir
    common = Path(os.path.realpath(git_dir / named))
    if git_dir.parent.name != "worktrees" or common != git_dir.parent.parent or not _is_git_dir(common):
        raise UserError(
            f"{git_dir / 'commondir'} points to {common}, which is not its repository",
            "coder does not follow it; repair it with `git worktree repair`",
        )
    return common


def _check_worktree(root: Path, git_dir: Path, common_dir: Path, config: Mapping[str, str]) -> None:
    """Root and git directory must name each other, or neither may name anything else."""
    if git_dir != common_dir:
        back = Path(os.path.realpath(git_dir / read_small(git_dir / "gitdir").strip()))
        if back != root / ".git":
            raise _mismatch(root, git_dir, back)
        return
    worktree = config.get("core.worktree")
    if worktree is not None:
        named = Path(os.path.realpath(git_dir / worktree))
        if named != root:
            raise _mismatch(root, git_dir, named)
        return
    if is_true(config.get("core.bare", "no")):
        raise UserError(f"{git_dir} is a bare repository", "start coder in a clone or a worktree of it")
    # --separate-git-dir leaves nothing that points back: believe it only if the place can belong to nothing else.
    foreign = git_dir != root / ".git" and (git_dir.name == ".git" or git_dir.is_relative_to(root))
    if foreign:
        raise _mismatch(root, git_dir, git_dir.parent)


def _mismatch(root: Path, git_dir: Path, other: Path) -> UserError:
    return UserError(
        f"{root / '.git'} leads to {git_dir}, which belongs to {other} and not to {root}",
        "coder does not follow it; make the two agree, for example with `git worktree repair`",
    )


def _check_ownership(root: Path, git_dir: Path, common_dir: Path) -> None:
    """As git does (safe.directory in git-config(1)): another user's repository only if the user said so."""
    owners = {os.geteuid()}
    if os.geteuid() == 0 and os.environ.get("SUDO_UID", "").isdecimal():
        owners.add(int(os.environ["SUDO_UID"]))
    places = (root, root / ".git", git_dir, common_dir)
    foreign = next((place for place in places if place.lstat().st_uid not in owners), None)
    if foreign is not None and not _is_declared_safe(root):
        raise UserError(
            f"{foreign} belongs to another user",
            f"if you trust it: git config --global --add safe.directory {root}",
        )


def _is_declared_safe(root: Path) -> bool:
    safe = False
    for value in user_config().get("safe.directory", ()):
        if not value:
            safe = False  # an empty value takes back what came before
        elif value == "*" or (value.endswith("/*") and str(root).startswith(value[:-1])):
            safe = True
        else:
            safe = safe or os.path.realpath(os.path.expanduser(value)) == str(root)
    return safe


def _check_format(common_dir: Path, config: Mapping[str, str]) -> None:
    version = config.get("core.repositoryformatversion", "0")
    names = {key.removeprefix("extensions.") for key in config if key.startswith("extensions.")}
    unknown = sorted(names - _KNOWN_EXTENSIONS) if version != "0" else []
    if version not in ("0", "1") or unknown:
        what = f"extension {unknown[0]}" if unknown else f"format version {version}"
        raise UserError(f"{common_dir} uses the {what}, which coder does not know", "update coder")


def _read_head(git_dir: Path, common_dir: Path, config: Mapping[str, str]) -> tuple[str, str]:
    """(commit, branch) of HEAD, "" where there is none."""
    if config.get("extensions.refstorage", "files").lower() != "files":
        return _ask_head(git_dir, common_dir)
    head = git_dir / "HEAD"
    value = f"ref: {os.readlink(head)}" if head.is_symlink() else read_small(head)
    branch = ""
    for _ in range(5):  # git's own limit for references that name references
        if not value.startswith("ref:"):
            break
        name = value.removeprefix("ref:").strip()
        branch = branch or name.removeprefix("refs/heads/")
        if not name.startswith("refs/") or ".." in name.split("/"):
            raise UserError(f"{head} names {name}, which is not a branch", "check out a branch with `git switch`")
        value = _read_ref(git_dir, common_dir, name)
    found = _OID.fullmatch(value.strip())
    return (found.group() if found else "", branch)


def _read_ref(git_dir: Path, common_dir: Path, name: str) -> str:
    own = name.startswith(("refs/bisect/", "refs/worktree/", "refs/rewritten/"))
    loose = read_small((git_dir if own else common_dir) / name)
    if loose:
        return loose
    packed = read_small(common_dir / "packed-refs", _MAX_PACKED_REFS)
    found = re.search(rf"^([0-9a-f]{{40,64}}) {re.escape(name)}$", packed, re.MULTILINE)
    return found[1] if found else ""


def _ask_head(git_dir: Path, common_dir: Path) -> tuple[str, str]:
    """HEAD where references are not files (reftable). `rev-parse` and `symbolic-ref` run no program."""
    git = Git(git_dir, env={} if git_dir == common_dir else {"GIT_COMMON_DIR": str(common_dir)})
    code, out, _ = git.run_code("symbolic-ref", "-q", "HEAD")
    if code not in (0, 1):
        raise UserError(
            f"{common_dir} keeps its references in a form this git cannot read", "update git to 2.45 or newer"
        )
    branch = os.fsdecode(out.strip()).removeprefix("refs/heads/")
    code, out, _ = git.run_code("rev-parse", "--verify", "-q", "HEAD^{commit}")
    return (out.decode("ascii").strip() if code == 0 else "", branch)


def state_of(git_dir: Path) -> RepositoryState:
    """The operation in progress, told by its state files (git's wt-status.c reads the same)."""
    if (git_dir / "rebase-apply" / "applying").exists():
        return "am"
    if (git_dir / "rebase-merge").is_dir() or (git_dir / "rebase-apply").is_dir():
        return "rebase"
    names: tuple[tuple[str, RepositoryState], ...] = (
        ("MERGE_HEAD", "merge"),
        ("CHERRY_PICK_HEAD", "cherry-pick"),
        ("REVERT_HEAD", "revert"),
        ("BISECT_LOG", "bisect"),
    )
    return next((state for name, state in names if (git_dir / name).exists()), "")


def read_small(path: Path, limit: int = _MAX_SMALL_FILE) -> str:
    """The text of a regular file of at most `limit` bytes, "" when it is missing, larger or not a regular file."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return ""
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size > limit:
            return ""
        return os.fsdecode(file.read(status.st_size))


def is_true(value: str) -> bool:
    """A boolean of a configuration file; a key without a value counts as yes (git-config(1), Values)."""
    return value.lower() in ("", "true", "yes", "on", "1")


_SECTION = re.compile(r'\[\s*([A-Za-z0-9.-]+)(?:\s+"((?:[^"\\]|\\.)*)")?\s*\]')
_VARIABLE = re.compile(r"([A-Za-z][A-Za-z0-9-]*)\s*(?:=\s*(.*))?")


def read_config(path: Path) -> dict[str, str]:
    """A git configuration file as lower-case dotted keys, the last value of each; follows no include."""
    values: dict[str, str] = {}
    section = ""
    for line in _logical_lines(read_small(path)):
        if header := _SECTION.match(line):
            section = header[1].lower()
            if header[2] is not None:
                section += "." + re.sub(r"\\(.)", r"\1", header[2])
            line = line[header.end() :].strip()
        if variable := _VARIABLE.match(line):
            values[f"{section}.{variable[1].lower()}"] = _unquote(variable[2] or "")
    return values


def _logical_lines(text: str) -> Iterator[str]:
    for line in re.sub(r"\\\r?\n", "", text).split("\n"):
        stripped = line.strip()
        if stripped and stripped[0] not in "#;":
            yield stripped


def _unquote(value: str) -> str:
    """A value as git reads it: quotes and escapes resolved, a comment dropped."""
    out: list[str] = []
    quoted = False
    characters = iter(value)
    for character in characters:
        if character == "\\":
            escaped = next(characters, "")
            out.append({"n": "\n", "t": "\t", "b": "\b"}.get(escaped, escaped))
        elif character == '"':
            quoted = not quoted
        elif character in "#;" and not quoted:
            break
        else:
            out.append(character)
    return "".join(out).strip()
