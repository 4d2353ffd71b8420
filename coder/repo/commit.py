"""One commit: HEAD plus exactly the approved hunks. Whatever else is uncommitted, staged or not, stays so.

The only module that writes to the user's `.git`: objects, the index entries of the commit's own paths, and the
branch. Everything is computed in the shadow first; the user's index is locked as git locks it, so that a commit
that fails leaves all as it was.
"""

import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from coder.errors import Failed, Refused, UserError
from coder.repo.convert import ApprovedChange, approved_change
from coder.repo.discover import Location, discover
from coder.repo.git import IDENTITY, Git, GitError, run_as_user
from coder.repo.left_out import left_out
from coder.repo.merge import merge3
from coder.repo.repository import FileState, Repository
from coder.repo.trees import TreeFile
from coder.repo.users_index import fill_lock, index_entries, index_info, locked_index
from coder.text import visible_line


class _Plan(Struct, frozen=True):
    """What the commit's tree and the user's index get: entries by path, None where the path goes.

    `own` are the paths that have something else staged; `flags` what `git update-index` was told about some.
    """

    location: Location
    committed: Mapping[str, TreeFile | None]
    staged: Mapping[str, TreeFile | None]
    own: frozenset[str]
    flags: Mapping[str, str]


class Committed(Struct, frozen=True):
    """A commit's id, and what there is to say of it beside what was asked for."""

    oid: str
    remarks: tuple[str, ...] = ()


def commit(repository: Repository, patch: bytes, message: str, branch: str | None, hooks: bool) -> Committed:
    """Commit `patch` (which the working tree already holds) on HEAD, on a new `branch` if one is named.

    `hooks` runs the user's own `git commit` with their hooks and signing: only for a trusted repository. Without, no
    program runs, and what would have is named. Raises Refused when a path has other uncommitted changes that cannot
    be separated or an operation is in progress, UserError without an identity or for a bad branch name, Failed when
    git says no.
    """
    text = _message(message)
    with (
        locked_index(discover(repository.location.root)) as lock,
        tempfile.TemporaryDirectory(prefix="commit-", dir=repository.shadow.work) as directory,
    ):
        location = discover(repository.location.root)  # the branch may have moved since the session began
        people = check_can_commit(location, branch)
        repository.shadow.catch_up()
        plan = _plan(repository, location, patch)
        index = Path(directory) / "index"
        git, tree = _write_tree(repository, plan, index)
        _stage(repository, plan, lock)
        if hooks:
            oid = _commit_with_hooks(plan, text, branch, index, people)
            _stage(repository, _follow(repository, plan, oid), lock)
            remarks = _beside(repository, tree, oid)
        else:
            oid = _commit_plainly(git, tree, plan, text, branch, people)
            remarks = left_out(location)
        os.replace(lock, location.index)
    return Committed(oid, remarks)


def _stage(repository: Repository, plan: _Plan, lock: Path) -> None:
    fill_lock(repository.shadow, plan.location, plan.staged, plan.flags, lock)


# ── before anything is written ───────────────────────────────────────────────────────────────────


def check_can_commit(location: Location, branch: str | None) -> dict[str, str]:
    """Author and committer of a commit that could be made now. Raises as `commit` would, before work goes into it."""
    if location.state:
        raise Refused(f"a {location.state} is in progress", "finish or abort it, then commit")
    _check_branch(location, branch)
    return _identity(location)


def _identity(location: Location) -> dict[str, str]:
    """Author and committer as the user's own git would have them. Raises UserError where git would have to guess."""
    given = {name: os.environ[name] for name in IDENTITY if os.environ.get(name)}
    git = Git(location.git_dir, user=True, env=given, config={"user.useConfigOnly": "true"})
    people = dict[str, str]()
    for who in ("AUTHOR", "COMMITTER"):
        code, out, _ = git.run_code("var", f"GIT_{who}_IDENT")
        found = re.fullmatch(rb"(.*) <(.*)> (\d+ [+-]\d{4})\n", out)
        if code != 0 or found is None:
            raise UserError(
                "git does not know who commits",
                "git config --global user.name 'Your Name' && git config --global user.email you@example.com",
            )
        values = (found[1], found[2], found[3])
        people |= {
            f"GIT_{who}_{what}": os.fsdecode(v) for what, v in zip(("NAME", "EMAIL", "DATE"), values, strict=True)
        }
    return people


def _check_branch(location: Location, branch: str | None) -> None:
    if branch is None:
        return
    git = Git(location.git_dir)
    code, _, _ = git.run_code("check-ref-format", f"refs/heads/{branch}")
    if code != 0 or branch.startswith("-") or branch == "HEAD":
        raise UserError(f"{visible_line(branch, 100)!r} is not a name for a branch", "see `git help check-ref-format`")
    code, _, _ = git.run_code("show-ref", "--verify", "--quiet", f"refs/heads/{branch}")
    if code == 0 or branch == location.branch:
        raise Refused(f"the branch {branch} exists already", "name another one")


def _plan(repository: Repository, location: Location, patch: bytes) -> _Plan:
    """Put the change on HEAD and on what is staged, both in the shadow. Raises Refused where it does not fit."""
    change = approved_change(repository, patch)
    head = repository.entries(repository.tree_of(location.head), change.paths)
    index, flags = index_entries(repository.shadow, location, change.paths)
    own = frozenset(path for path in change.paths if _key(index.get(path)) != _key(head.get(path)))
    committed = {path: _put_on(repository, change, path, head.get(path), "HEAD") for path in change.paths}
    if all(_key(committed[path]) == _key(head.get(path)) for path in change.paths):
        raise Failed("there is nothing to commit", "HEAD holds the approved changes already")
    # where something else is staged it stays, with the approved change in it
    staged = committed | {path: _put_on(repository, change, path, index.get(path), "the index") for path in own}
    return _Plan(location, committed, staged, own, flags)


def _key(file: TreeFile | None) -> tuple[str, str]:
    return (file.mode, file.oid) if file else ("", "")


def _put_on(
    repository: Repository, change: ApprovedChange, path: str, ours: TreeFile | None, where: str
) -> TreeFile | None:
    """The entry that the change makes of `ours`: its own result if it began there, else both changes merged."""
    before, after = change.before.get(path), change.after.get(path)
    if _key(before) == _key(ours):
        return after
    if before is not None and after is not None and ours is not None and ours.regular:
        blobs = repository.read_blobs([before.oid, ours.oid, after.oid])
        merged = merge3(blobs[before.oid], blobs[ours.oid], blobs[after.oid])
        if not merged.conflict:
            mode = after.mode if after.mode != before.mode else ours.mode
            return repository.store(path, FileState(merged.content, mode))
    missing = "" if ours is not None else f": it is not in {where}"
    raise Refused(
        f"your other uncommitted changes of {path} cannot be separated from the approved ones{missing}",
        f"commit or stash your own changes of {path} first, or leave out --commit",
    )


def _message(message: str) -> bytes:
    text = "\n".join(line.rstrip() for line in message.replace("\0", "").splitlines()).strip()
    if not text:
        raise UserError("the commit message is empty", "give one")
    return text.encode("utf-8", "surrogateescape") + b"\n"


# ── writing ──────────────────────────────────────────────────────────────────────────────────────


def _objects(repository: Repository, location: Location, index: Path) -> Git:
    """git that sees and fills the user's objects alone, obeying no configuration of the repository.

    The shadow's objects are not visible to it: what only the shadow has is thus written, not taken as known. Synced
    as git does by default (an empty core.fsync).
    """
    config = {"core.bare": "true", "core.fsync": "", "core.looseCompression": "-1"}
    if "core.sharedrepository" in location.config:
        config["core.sharedRepository"] = location.config["core.sharedrepository"]
    env = {"GIT_OBJECT_DIRECTORY": str(location.objects), "GIT_INDEX_FILE": str(index)}
    return Git(repository.shadow.place, env=env, config=config)


def _write_tree(repository: Repository, plan: _Plan, index: Path) -> tuple[Git, str]:
    """Leave HEAD plus the committed entries in `index`, all blobs in the user's objects; the tree's id."""
    git = _objects(repository, plan.location, index)
    oids = sorted({file.oid for file in (*plan.committed.values(), *plan.staged.values()) if file is not None})
    contents = repository.read_blobs(oids)
    blobs = [index.with_name(f"blob-{number}") for number in range(len(oids))]
    for oid, blob in zip(oids, blobs, strict=True):
        blob.write_bytes(contents[oid])
    if blobs:
        git.run("hash-object", "-w", "--no-filters", "--stdin-paths", stdin="".join(f"{b}\n" for b in blobs).encode())
    if plan.location.head:
        git.run("read-tree", plan.location.head)
    git.run("update-index", "-z", "--replace", "--index-info", stdin=index_info(plan.location, plan.committed))
    return git, git.run("write-tree", "--missing-ok").decode("ascii").strip()


def _commit_plainly(
    git: Git, tree: str, plan: _Plan, text: bytes, branch: str | None, people: Mapping[str, str]
) -> str:
    location = plan.location
    parents = ("-p", location.head) if location.head else ()
    oid = git.run("commit-tree", tree, *parents, stdin=text, env=people).decode("ascii").strip()
    users = Git(location.git_dir, env=people)
    subject = visible_line(os.fsdecode(text.split(b"\n")[0]), 200)
    log = f"commit: {subject}" if location.head else f"commit (initial): {subject}"
    try:
        if branch is None:
            users.run("update-ref", "-m", log, "HEAD", oid, location.head or location.null_oid)
        else:
            users.run("update-ref", "-m", log, f"refs/heads/{branch}", oid, location.null_oid)
            _switch(users, location, branch)
    except GitError as error:
        raise Failed(f"the commit could not be recorded: {error.message}") from error
    return oid


def _switch(git: Git, location: Location, branch: str) -> None:
    """Let HEAD name `branch`, with the line in its log that `git switch -` looks for; on failure the branch goes."""
    log = f"checkout: moving from {location.branch or location.head} to {branch}"
    try:
        git.run("symbolic-ref", "-m", log, "HEAD", f"refs/heads/{branch}")
    except GitError:
        git.run("update-ref", "-d", f"refs/heads/{branch}")
        raise


def _commit_with_hooks(plan: _Plan, text: bytes, branch: str | None, index: Path, people: Mapping[str, str]) -> str:
    """The user's own `git commit` of a prepared index, as `git commit --only` prepares one: hooks see just this."""
    location = plan.location
    now = discover(location.root)
    if (now.head, now.branch, now.state) != (location.head, location.branch, ""):
        raise Failed("the repository's HEAD moved meanwhile", "try again")  # git would commit our tree on another
    users = Git(location.git_dir, env=people)
    words_before = _count_log(users)
    if branch is not None:
        if location.head:
            users.run("update-ref", f"refs/heads/{branch}", location.head, location.null_oid)
        users.run("symbolic-ref", "HEAD", f"refs/heads/{branch}")
    file = index.with_name("message")
    file.write_bytes(text)
    places = {"GIT_DIR": str(location.git_dir), "GIT_WORK_TREE": str(location.root), "GIT_INDEX_FILE": str(index)}
    command = ("commit", "--quiet", "--cleanup=whitespace", "--file", str(file))
    code, said = run_as_user(command, location.root, places)
    if code != 0:
        if branch is not None:
            _switch_back(users, location, branch, words_before)
        words = visible_line(os.fsdecode(said.strip()[-600:]), 800)
        raise Failed(f"git commit ended with status {code}: {words}", "a hook or the signing may have refused it")
    if branch is not None:
        _switch(users, location, branch)
    return discover(location.root).head


def _switch_back(git: Git, location: Location, branch: str, words_before: int) -> None:
    """HEAD, its log and the branches as they were before `branch` was made."""
    if location.branch:
        git.run("symbolic-ref", "HEAD", f"refs/heads/{location.branch}")
    else:
        git.run("update-ref", "--no-deref", "HEAD", location.head)
    for _ in range(_count_log(git) - words_before):
        git.run("reflog", "delete", "HEAD@{0}")
    if location.head:
        git.run("update-ref", "-d", f"refs/heads/{branch}")


def _count_log(git: Git) -> int:
    """How many entries the log of HEAD has."""
    code, out, _ = git.run_code("reflog", "show", "--format=%H", "HEAD")
    return len(out.splitlines()) if code == 0 else 0


def _beside(repository: Repository, tree: str, oid: str) -> tuple[str, ...]:
    """What hooks put into the commit that nobody has approved."""
    paths = repository.changed_paths(tree, repository.tree_of(oid))
    if not paths:
        return ()
    named = ", ".join(visible_line(path, 200) for path in sorted(paths)[:5])
    more = f" and {len(paths) - 5} more" if len(paths) > 5 else ""
    return (f"hooks changed what was committed, which was neither reviewed nor tested: {named}{more}",)


def _follow(repository: Repository, plan: _Plan, oid: str) -> _Plan:
    """The plan for the index after hooks had their say: what they put into the commit is not a change any more."""
    old, new = repository.tree_of(plan.location.head), repository.tree_of(oid)
    changed = repository.changed_paths(old, new)
    before, after = repository.entries(old, changed), repository.entries(new, changed)
    index, _ = index_entries(repository.shadow, plan.location, changed)
    staged = dict(plan.staged)
    for path in changed:
        if path not in plan.own and (path in staged or _key(index.get(path)) == _key(before.get(path))):
            staged[path] = after.get(path)
    return replace(plan, staged=staged)
