"""One run of coder for the action: inputs from IN_* variables to flags, its result to outputs and a job summary.

Runs with `python -I`, so that nothing is imported from the checkout, and hands coder an environment without tokens
and without the files that steer the runner: what tests print or the model says can't reach them.
"""

import contextlib
import json
import os
import re
import secrets
import shlex
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PROGRAM = Path(sys.prefix) / "bin" / "coder"
USAGE, REFUSED, INTERNAL = 2, 3, 70
ENDS = (USAGE, REFUSED, 129, 130, 131, 141, 143)
KNOWN = ("OWNER", "MEMBER", "COLLABORATOR")
STEERING = re.compile(
    r"(?i)^(GITHUB_|ACTIONS_|RUNNER_|INPUT_|IN_|STATE_|OPENAI_|PYTHONPATH|PYTHONHOME|LD_PRELOAD)"
    r"|token|secret|passw|credential"
)


class Stop(Exception):
    """The run ends before coder starts: exit code and reason."""


def main() -> int:
    os.umask(0o077)
    work = Path(tempfile.mkdtemp(prefix="coder-", dir=os.environ["RUNNER_TEMP"]))
    with steering_off():
        try:
            result = run(work)
        except Stop as stop:
            code, message = stop.args
            print(f"coder: {message}", file=sys.stderr)
            result = early_end(code, message)
        (work / "result.json").write_text(json.dumps(result))
        shown = coder_report(work, "text")
        sys.stdout.buffer.write(shown)
        sys.stdout.flush()
    publish(work, result, coder_report(work, "markdown"))
    return int(result["exit_code"]) if given("FAIL") != "false" else 0


@contextlib.contextmanager
def steering_off() -> Iterator[None]:
    """Meanwhile no line that is printed, whoever wrote it, is a command to the runner."""
    token = secrets.token_hex(16)
    print(f"::stop-commands::{token}", flush=True)
    try:
        yield
    finally:
        print(f"\n::{token}::", flush=True)


def run(work: Path) -> dict[str, Any]:
    """Start coder, wait for it, and read its result, which it prints on every path but a kill."""
    root = Path(given("WORKING_DIRECTORY") or ".").resolve()
    refuse_strangers()
    mode, *arguments = flags(work, root)
    command = [str(PROGRAM), mode, *shared_flags(work, root), *arguments]
    with (work / "stdout").open("wb") as out, data_file(work).open("rb") as data:
        coder = subprocess.Popen(command, cwd=root, env=environment(work), stdin=data, stdout=out)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda number, _: coder.send_signal(number))
        code = coder.wait()
    try:
        result: dict[str, Any] = json.loads((work / "stdout").read_bytes())
    except ValueError:
        return early_end(code if code in ENDS else INTERNAL, "coder ended without a result")
    return result


def flags(work: Path, root: Path) -> list[str]:
    """The command line of this mode."""
    mode = given("MODE")
    if mode == "triage":
        return ["triage", *triage_sources(root)]
    if mode not in ("run", "ask"):
        raise Stop(USAGE, f"mode is run, ask or triage, not {mode!r}")
    arguments = [mode, f"@{task_file(work, root)}"]
    if mode == "ask":
        return arguments
    tests = lines("TEST")
    arguments += [part for test in tests for part in ("--test", test)] or ["--no-test"]
    arguments += [part for pattern in lines("ALLOW") for part in ("--allow", pattern)]
    arguments += ["--sandbox", given("SANDBOX") or "auto"]
    return arguments + destination(work)


def destination(work: Path) -> list[str]:
    match given("RESULT"):
        case "patch" | "":
            return ["--patch", str(work / "coder.patch")]
        case "commit":
            return ["--commit", *(["--branch", given("BRANCH")] if given("BRANCH") else [])]
        case "tree":
            return []
        case other:
            raise Stop(USAGE, f"result is patch, commit or tree, not {other!r}")


def triage_sources(root: Path) -> list[str]:
    saved = (("--junit", "JUNIT"), ("--log", "LOG"))
    arguments = [f"{flag}={inside(root, given(name))}" for flag, name in saved if given(name)]
    arguments += ["--sandbox", given("SANDBOX") or "auto"]
    try:
        command = shlex.split(given("COMMAND"))
    except ValueError as error:
        raise Stop(USAGE, f"cannot read the command: {error}") from None
    return arguments + (["--", *command] if command else [])


def shared_flags(work: Path, root: Path) -> list[str]:
    pairs = (("--model", "MODEL"), ("--subagent-model", "SUBAGENT_MODEL"), ("--max-cost", "MAX_COST"),
             ("--max-steps", "MAX_STEPS"), ("--timeout", "TIMEOUT"))  # fmt: skip
    arguments = [f"{flag}={given(name)}" for flag, name in pairs if given(name)]
    arguments += [f"--exclude={pattern}" for pattern in lines("EXCLUDE")]
    arguments += [f"--set=api={given('API')}"] if given("API") else []
    config = base_config(work, root)
    return ["--output=json", *arguments, *([f"--config={config}"] if config else [])]


def base_config(work: Path, root: Path) -> Path | None:
    """The configuration file of the base commit, which `git cat-file` reads without running anything."""
    base, name = given("BASE"), given("CONFIG")
    if not base or not name:
        return None
    if not re.fullmatch(r"[0-9a-f]{40,64}", base):
        raise Stop(USAGE, "base is the id of a commit")
    command = ["git", "cat-file", "blob", f"{base}:{name}"]
    found = subprocess.run(command, cwd=root, env=git_environment(), capture_output=True)
    if found.returncode:
        print(f"coder: {base[:12]} has no {name}, or is not in this checkout; defaults are used", file=sys.stderr)
        return None
    (work / "base.toml").write_bytes(found.stdout)
    return work / "base.toml"


def task_file(work: Path, root: Path) -> Path:
    if given("TASK") and given("TASK_FILE"):
        raise Stop(USAGE, "task and task-file exclude each other")
    if not given("TASK_FILE"):
        (work / "task").write_text(given("TASK"))
        return work / "task"
    return inside(root, given("TASK_FILE"))


def inside(root: Path, name: str) -> Path:
    """A file of the checkout or of the runner's temporary directory; a link out of them is none."""
    path = (root / name).resolve()
    places = (root, Path(os.environ["RUNNER_TEMP"]).resolve())
    if not any(map(path.is_relative_to, places)) or not path.is_file():
        raise Stop(USAGE, f"{name} is no file of the working directory")
    return path


def data_file(work: Path) -> Path:
    (work / "data").write_text(given("DATA"))
    return work / "data"


def refuse_strangers() -> None:
    association = given("AUTHOR_ASSOCIATION")
    if given("MODE") == "triage" or not association or association in KNOWN or given("ALLOW_STRANGERS") == "true":
        return
    raise Stop(REFUSED, f"whoever started this is {association} here, not owner, member or collaborator")


def environment(work: Path) -> dict[str, str]:
    """What coder gets: the toolchain, the key, places of its own; no token, and no name of the runner's files."""
    kept = {name: value for name, value in os.environ.items() if not STEERING.search(name)}
    for kind in ("CONFIG", "STATE", "CACHE"):
        kept[f"XDG_{kind}_HOME"] = str(work / kind.lower())
    who = work / "config" / "git" / "config"  # for `result: commit`; the runner's own ~/.gitconfig beats it
    who.parent.mkdir(parents=True, exist_ok=True)
    who.write_text("[user]\n\tname = coder\n\temail = coder@users.noreply.github.com\n")
    api = {"OPENAI_API_KEY": given("API_KEY"), "OPENAI_BASE_URL": given("BASE_URL")}
    return {**kept, "CI": "true", "NO_COLOR": "1", **{name: value for name, value in api.items() if value}}


def git_environment() -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return {**kept, "GIT_TERMINAL_PROMPT": "0", "GIT_NO_LAZY_FETCH": "1", "GIT_OPTIONAL_LOCKS": "0"}


# ── after the run ────────────────────────────────────────────────────────────────────────────────


def coder_report(work: Path, form: str) -> bytes:
    """The result as coder shows it: redacted, bounded, unable to act."""
    command = [str(PROGRAM), "report", str(work / "result.json"), "--output", form]
    return subprocess.run(command, env=environment(work), capture_output=True).stdout


def publish(work: Path, result: dict[str, Any], markdown: bytes) -> None:
    """Outputs and the job summary. What is untrusted goes between marks that it can't contain."""
    (work / "comment.md").write_bytes(markdown)
    if place := os.environ.get("GITHUB_STEP_SUMMARY"):
        with Path(place).open("ab") as summary:
            summary.write(markdown + b"\n")
    patch = work / "coder.patch"
    if result["patch"] and not patch.exists():
        patch.write_bytes(result["patch"].encode("utf-8", "surrogateescape"))
    cost = "unknown" if result["cost_usd"] is None else f"{result['cost_usd']:.6f}"
    outputs = {
        "status": result["status"],
        "exit-code": str(result["exit_code"]),
        "summary": result["summary"],
        "patch": str(patch) if patch.exists() else "",
        "comment": str(work / "comment.md"),
        "result": str(work / "result.json"),
        "cost-usd": cost,
        "tests": result["tests"]["status"],
        "files": json.dumps([file["path"] for file in result["files"]]),
        "session": result["session"],
    }
    if place := os.environ.get("GITHUB_OUTPUT"):
        with Path(place).open("a", encoding="utf-8", errors="backslashreplace") as file:
            for name, value in outputs.items():
                mark = f"end-{secrets.token_hex(16)}"
                file.write(f"{name}<<{mark}\n{value}\n{mark}\n")


def early_end(code: int, message: str) -> dict[str, Any]:
    """A result for a run that never began, or that was killed."""
    words = {USAGE: "usage", REFUSED: "refused", INTERNAL: "internal"}
    status = words.get(code, "interrupted" if code > 128 else "internal")
    return {
        "schema": "coder.result/1", "status": status, "exit_code": code, "summary": message, "files": [], "patch": "",
        "tests": {"status": "not_run", "command": [], "exit_code": None, "commands": [], "ran": 0, "passed": 0,
                  "failed": 0, "new_failures": [], "fixed": [], "preexisting": [], "flaky": [], "tree": "", "log": "",
                  "note": ""},
        "triage": [], "usage": [], "cost_usd": 0.0, "duration_s": 0.0, "session": "", "checkpoint": None,
        "commit": None, "sandbox": "", "warnings": [], "error": {"code": status, "message": message, "hint": ""},
    }  # fmt: skip


def given(name: str) -> str:
    return os.environ.get(f"IN_{name}", "").strip()


def lines(name: str) -> list[str]:
    return [line.strip() for line in given(name).splitlines() if line.strip()]


if __name__ == "__main__":
    sys.exit(main())
