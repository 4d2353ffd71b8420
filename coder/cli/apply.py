"""`coder apply`: one edit in any accepted format, resolved against the working tree. The call is the approval."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import click

from coder.cli.options import SharedOptions, gather
from coder.errors import CoderError, Exit, Failed, UserError
from coder.repo.apply import FileChange, apply, recover
from coder.repo.discover import Location, discover
from coder.repo.patch.edits import PatchRefused, Resolution
from coder.repo.patch.resolve import resolve
from coder.repo.paths import protected
from coder.repo.worktree_view import WorktreeView
from coder.store import Places, find_places, usable_places
from coder.text import visible
from coder.values import Checkpoint

MAX_EDIT_BYTES = 20_000_000


@click.command("apply", cls=SharedOptions)
@click.argument("file", required=False)
@click.option("--dry-run", is_flag=True, help="Say what would change; write nothing.")
@click.option("--batch", is_flag=True, hidden=True)
@click.pass_context
def command(ctx: click.Context, file: str | None, dry_run: bool, batch: bool) -> int:
    """Apply one edit: a git diff, V4A, SEARCH/REPLACE blocks or whole files. FILE may be `-` for standard input.

    Nothing is written unless all of it fits; `coder undo` takes it back.
    """
    if batch:
        return run_batch()
    if file is None:
        raise click.UsageError("name the file that holds the edit, or - for standard input", ctx)
    from coder.cli.setup import prepare

    setup = prepare(gather(ctx), hear_project=False)
    location = setup.repository()
    for message in recover(location, setup.places):
        click.echo(visible(f"coder: {message}"), err=True)
    text = read_edit(file)
    if dry_run:
        _report(resolved(location, text), None)
        return Exit.DONE
    resolution, checkpoint = apply_edit(location, setup.places, text)
    _report(resolution, checkpoint)
    return Exit.DONE


def read_edit(file: str) -> str:
    """The edit's text. Bytes that are no UTF-8 survive as surrogate escapes: a Latin-1 file may be edited so."""
    try:
        raw = sys.stdin.buffer.read(MAX_EDIT_BYTES + 1) if file == "-" else _read(Path(file))
    except OSError as error:
        raise UserError(f"cannot read {file}: {error.strerror}", "name the file that holds the edit") from None
    if len(raw) > MAX_EDIT_BYTES:
        raise UserError(f"{file} is larger than {MAX_EDIT_BYTES:,} bytes", "split the edit")
    return raw.decode("utf-8", "surrogateescape")


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MAX_EDIT_BYTES + 1)


def resolved(location: Location, text: str) -> Resolution:
    """What `text` does to the working tree. Raises Failed with the reason and the nearest true lines."""
    try:
        return resolve(text, WorktreeView(location.root))
    except PatchRefused as refusal:
        raise Failed(str(refusal)) from refusal


def apply_edit(location: Location, places: Places, text: str) -> tuple[Resolution, Checkpoint]:
    """Resolve and write, all or nothing."""
    view = WorktreeView(location.root)
    try:
        resolution = resolve(text, view)
    except PatchRefused as refusal:
        raise Failed(str(refusal)) from refusal
    return resolution, apply(location, places, _changes(location.root, resolution, view.read), "coder apply")


def _changes(root: Path, resolution: Resolution, read: Callable[[str], bytes]) -> list[FileChange]:
    changes = []
    for file in resolution.files:
        before, mode = _now(root, file.path, read)
        renamed_from = file.old_path if file.old_path != file.path else ""
        changes.append(FileChange(file.path, before, mode, file.content, file.executable, renamed_from))
        if file.old_path != file.path:
            before, mode = _now(root, file.old_path, read)
            changes.append(FileChange(file.old_path, before, mode, None, None))
    return changes


def _now(root: Path, path: str, read: Callable[[str], bytes]) -> tuple[bytes | None, int | None]:
    try:
        mode = (root / path).lstat().st_mode & 0o7777
    except FileNotFoundError:
        return None, None
    return read(path), mode


def _report(resolution: Resolution, checkpoint: Checkpoint | None) -> None:
    for path in resolution.protected:
        click.echo(visible(f"coder: warning: {path} {protected(path)}"), err=True)
    for file in resolution.files:
        if file.executable:
            click.echo(visible(f"coder: warning: {file.path} becomes executable"), err=True)
    for warning in resolution.warnings:
        click.echo(visible(f"coder: warning: {warning}"), err=True)
    for file in resolution.files:
        verb = "delete" if file.content is None else "rename" if file.old_path != file.path else "write"
        click.echo(visible(f"{verb} {file.old_path + ' -> ' if verb == 'rename' else ''}{file.path}"))
    if checkpoint and checkpoint.id:
        click.echo(f"undo with: coder undo {checkpoint.id}")


# ── the benchmarks' door ──


def run_batch() -> int:
    """Lines `ROOT<TAB>EDITFILE` on stdin, each answered with the exit code of that edit on a line."""
    places, _ = usable_places(find_places())
    for line in sys.stdin.buffer:
        root, _, file = line.rstrip(b"\n").partition(b"\t")
        print(int(_batch_edit(places, os.fsdecode(root), os.fsdecode(file))), flush=True)
    return Exit.DONE


def _batch_edit(places: Places, root: str, file: str) -> Exit:
    try:
        location = discover(Path(root))
        recover(location, places)
        apply_edit(location, places, read_edit(file))
        return Exit.DONE
    except CoderError as error:
        return error.exit
    except OSError:
        return Exit.FAILED
