"""The one place that runs git: argv lists on GitPython's command layer, a clean environment, bytes in and out.

Nothing a repository says may run a program through here. What to ask git is the business of the modules beside it.
"""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from coder.errors import CoderError, Failed, UserError
from coder.lean import import_lean
from coder.text import visible_line

MINIMUM = (2, 34)
# The releases that mend CVE-2023-25652 and CVE-2023-29007 in each series still in use (git's RelNotes/2.40.1).
MENDED = {(2, 34): 8, (2, 35): 8, (2, 36): 6, (2, 37): 7, (2, 38): 5, (2, 39): 3, (2, 40): 1}
TIMEOUT_S = 600.0

# What a user may set for one commit (git(1), "Git Commits"): their word, from their environment.
IDENTITY = (*(f"GIT_{who}_{what}" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL", "DATE")), "EMAIL")

_import_lock = threading.Lock()

# Where the user's own configuration is, if their environment says so (git(1)).
_USERS_FILES = ("XDG_CONFIG_HOME", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM")

# Beats every configuration file (git-config(1), GIT_CONFIG_COUNT). Where git reads only the shadow's own
# configuration most of this is said twice; it matters when the user's own directory is asked (commit, reftable).
_SAFE_CONFIG = {
    "core.hooksPath": "/dev/null",
    "core.fsmonitor": "false",
    "core.untrackedCache": "false",
    "core.pager": "cat",
    "core.sshCommand": "false",
    "commit.gpgSign": "false",
    "log.showSignature": "false",
    "protocol.allow": "never",
    "submodule.recurse": "false",
    "gc.auto": "0",
    "maintenance.auto": "false",
}


class GitError(CoderError):
    """git ended with a status nobody expected. `stderr` is what it said, untrusted."""

    def __init__(self, command: str, code: int, stderr: bytes) -> None:
        self.code = code
        self.stderr = stderr
        said = visible_line(os.fsdecode(stderr.strip().split(b"\n")[-1]), 300)
        super().__init__(f"git {command} failed with status {code}: {said or 'it said nothing'}")


def absolute_path(environ: Mapping[str, str] = os.environ) -> str:
    """PATH without its relative entries, so that no program is taken from the directory coder was started in."""
    entries = environ.get("PATH", "").split(os.pathsep)
    return os.pathsep.join(entry for entry in entries if entry.startswith("/")) or os.defpath.lstrip(":")


@cache
def find_git() -> str:
    """The absolute path of git. Raises UserError when there is none."""
    found = shutil.which("git", path=absolute_path())
    if found is None:
        raise UserError("git was not found", f"install git {MINIMUM[0]}.{MINIMUM[1]} or newer and put it on PATH")
    return found


@cache
def git_version() -> tuple[int, int, int]:
    """The version of git. Raises UserError when git is missing or too old to be used."""
    _, out, _ = Git(None).run_code("version")
    printed = out.decode("ascii", "replace")
    numbers = re.search(r"(\d+)\.(\d+)(?:\.(\d+))?", printed)
    version = (int(numbers[1]), int(numbers[2]), int(numbers[3] or 0)) if numbers else (0, 0, 0)
    if version[:2] < MINIMUM:
        wanted = f"{MINIMUM[0]}.{MINIMUM[1]}"
        raise UserError(f"git {'.'.join(map(str, version))} is too old", f"install git {wanted} or newer")
    return version


def git_warning() -> str:
    """ "" or why the installed git should be updated: known holes in applying patches and reading configuration."""
    version = git_version()
    least = MENDED.get(version[:2])
    if least is None or version[2] >= least:
        return ""
    return (
        f"git {'.'.join(map(str, version))} lacks security fixes: update to {version[0]}.{version[1]}.{least} or newer"
    )


def warm() -> None:
    """Import GitPython ahead of the first call; meant for a thread. Says nothing when git is missing."""
    with contextlib.suppress(CoderError):
        _library()


class Git:
    """git on one git directory, with or without a working tree. Thread-safe; holds no process and no descriptor.

    `git_dir` None means no repository at all. `config` adds settings that beat every file. `user` lets the user's own
    global configuration speak too (identity, safe.directory, ignore file); a repository's file is read wherever
    `git_dir` is the user's and not a shadow. `borrows` is the user's object store: git without it is no bug.
    """

    def __init__(
        self,
        git_dir: Path | None,
        work_tree: Path | None = None,
        *,
        env: Mapping[str, str] | None = None,
        config: Mapping[str, str] | None = None,
        user: bool = False,
        borrows: Path | None = None,
    ) -> None:
        self._cwd = work_tree or git_dir or Path("/")
        self._borrows = borrows
        self._environment = _clean_environment({**_SAFE_CONFIG, **(config or {})}, user)
        self._environment["GIT_DIR"] = str(git_dir or "/nonexistent")
        if work_tree is not None:
            self._environment["GIT_WORK_TREE"] = str(work_tree)
        self._environment.update(env or {})

    def run(
        self, *args: str, stdin: bytes = b"", ok: tuple[int, ...] = (0,), env: Mapping[str, str] | None = None
    ) -> bytes:
        """The standard output of `git args`. Raises GitError for a status not in `ok`, UserError if git is too old."""
        code, out, err = self.run_code(*args, stdin=stdin, env=env)
        if code not in ok:
            if self._borrows and not self._borrows.is_dir():
                raise Failed(f"{self._borrows} is gone", "was the repository moved or removed? start coder again there")
            git_version()  # an old git is the likelier story, and says what to do
            raise GitError(args[0], code, err)
        return out

    def run_code(
        self,
        *args: str,
        stdin: bytes = b"",
        env: Mapping[str, str] | None = None,
        timeout: float = TIMEOUT_S,
    ) -> tuple[int, bytes, bytes]:
        """(status, stdout, stderr) of `git args`. Raises Failed after `timeout` seconds."""
        environment = {**self._environment, **(env or {})}
        # GitPython adds to the environment of this process and cannot take away: `env -i` starts from nothing.
        command = ["/usr/bin/env", "-i", *(f"{name}={value}" for name, value in environment.items()), find_git(), *args]
        # A group of its own: an interrupt at the keyboard must not hit git half-way through writing an object.
        return _execute(command, self._cwd, stdin, timeout, f"git {args[0]}", process_group=0)


def _clean_environment(config: Mapping[str, str], user: bool) -> dict[str, str]:
    """The whole environment of an internal git call; `config` beats every configuration file."""
    environment = {
        "PATH": absolute_path(),
        "HOME": "/nonexistent",
        "LC_ALL": "C",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_FLUSH": "0",  # a log is read as a whole, not commit by commit
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_LITERAL_PATHSPECS": "1",
        "GIT_PAGER": "cat",
        "GIT_EDITOR": "false",
        "GIT_CONFIG_COUNT": str(len(config)),
    }
    if user:
        del environment["GIT_CONFIG_GLOBAL"], environment["GIT_CONFIG_NOSYSTEM"]
        environment["HOME"] = os.environ.get("HOME") or os.path.expanduser("~")
        environment |= {name: os.environ[name] for name in _USERS_FILES if os.environ.get(name)}
    for number, (key, value) in enumerate(config.items()):
        environment[f"GIT_CONFIG_KEY_{number}"] = key
        environment[f"GIT_CONFIG_VALUE_{number}"] = value
    return environment


def _execute(
    command: list[str], cwd: Path, stdin: bytes, timeout: float, name: str, **options: Any
) -> tuple[int, bytes, bytes]:
    """Run `command` in `cwd` through GitPython and wait; kill its process group on timeout or interruption."""
    try:
        handle = _library()(str(cwd)).execute(
            command, istream=subprocess.PIPE if stdin else None, as_process=True, shell=False, **options
        )
    except OSError as error:
        raise Failed(f"{name} could not be started: {error.strerror}") from error
    process: subprocess.Popen[bytes] = handle.proc
    try:
        out, err = process.communicate(stdin or None, timeout)
    except BaseException as error:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL) if options.get("process_group") == 0 else process.kill()
        process.communicate()
        if isinstance(error, subprocess.TimeoutExpired):
            raise Failed(f"{name} did not finish within {timeout:.0f} s and was stopped") from None
        raise
    return process.returncode, out, err


def run_as_user(args: Sequence[str], cwd: Path, env: Mapping[str, str]) -> tuple[int, bytes]:
    """Run git as the user would at their prompt: their configuration, the repository's hooks, their agents.

    Only for a trusted repository. Of this process's `GIT_*` only what names the user and their files, else what
    `env` says; none of coder's own secrets.
    """
    dropped = ("GIT_", "OPENAI_", "CODER_")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(dropped) or k in (*_USERS_FILES, *IDENTITY)}
    environment = {**kept, "PATH": absolute_path(), "GIT_TERMINAL_PROMPT": "0", "GIT_EDITOR": "false", **env}
    command = ["/usr/bin/env", "-i", *(f"{name}={value}" for name, value in environment.items()), find_git(), *args]
    # In this process's group: signing may have to ask at the terminal.
    code, out, err = _execute(command, cwd, b"", TIMEOUT_S, f"git {args[0]}")
    return code, out + err


def user_config() -> Mapping[str, tuple[str, ...]]:
    """The user's own git configuration (system and global files, no repository's), all values by lower-case key.

    Read once per process and home. Includes what coder itself sets for every call (`_SAFE_CONFIG`).
    """
    return _user_config(*(os.environ.get(name, "") for name in ("HOME", *_USERS_FILES)))


@cache
def _user_config(*places: str) -> Mapping[str, tuple[str, ...]]:
    code, out, _ = Git(None, user=True).run_code("config", "--list", "-z", timeout=30)
    values: dict[str, tuple[str, ...]] = {}
    for record in out.split(b"\0")[:-1] if code == 0 else ():
        key, _, value = os.fsdecode(record).partition("\n")
        values[key.lower()] = (*values.get(key.lower(), ()), value)
    return values


@cache
def _library() -> Any:
    """GitPython's command class, without its model of repositories: to import that takes twice as long."""
    find_git()  # or the refusal that says what to do
    with _import_lock:
        Command = import_lean("git", "cmd").Git
        Command.GIT_PYTHON_TRACE = False  # its log lines would hold names and content
    return Command
