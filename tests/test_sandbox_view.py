"""The view a command gets: the draft at the repository's own path, the toolchain, no secrets, nothing written back."""

import dataclasses
import os
import socket
import subprocess
import sys
import time
import venv
from pathlib import Path

import pytest

from coder.config import SandboxSettings
from coder.sandbox import SandboxError, View, copying, scene
from tests import sandbox_kit as kit

ANY = (*kit.CONFINED, "none")
LIST = """
import os
import socket
for top, _, names in os.walk("."):
    if ".git" not in top: [print(os.path.join(top, name)) for name in names]
print(open("kept").read())
"""


@pytest.mark.parametrize("tier", ANY)
def test_the_draft_lies_over_the_repository(tier: str, tmp_path: Path) -> None:
    root, changed = kit.repository(tmp_path / "r"), tmp_path / "changed"
    for path, text in (("gone/only", ""), ("kept", "old"), (".env", "secret"), ("ignored/dep", "there")):
        (root / path).parent.mkdir(exist_ok=True)
        (root / path).write_text(text)
    (changed / "new").mkdir(parents=True)
    (changed / "new" / "file").write_text("draft")
    (changed / "kept").write_text("draft")
    view = View(root, changed, ("gone/only", "tracked"), (".env",))
    ran = kit.python(kit.open_tier(tier, tmp_path), root, LIST, view=view)
    assert sorted(ran.text.split()) == ["./ignored/dep", "./kept", "./new/file", "draft"], ran.text
    assert (root / "kept").read_text() == "old" and (root / "gone" / "only").exists()


@pytest.mark.parametrize("tier", kit.MOUNTING)
@pytest.mark.parametrize("where", ["repository", "home/work/repository", "home/.venv-like/bin/repository"])
def test_the_repository_keeps_its_path_wherever_it_lies(tier: str, where: str, tmp_path: Path) -> None:
    root = kit.repository(tmp_path / where)
    (tmp_path / "home").mkdir(exist_ok=True)
    (tmp_path / "home" / "private").write_text("secret")
    sandbox = kit.open_tier(tier, tmp_path, HOME=str(tmp_path / "home"))
    script = f"pwd; cat tracked; test ! -e {tmp_path}/home/private && touch $HOME/x $TMPDIR/x x && ls"
    ran = kit.run(sandbox, root, "sh", "-c", script)
    assert ran.text.split("\n")[:2] == [str(root), "unchanged"] and ran.result.exit_code == 0, ran.text
    assert not (root / "x").exists()


@pytest.mark.parametrize("tier", kit.MOUNTING)
def test_a_home_that_is_the_repository_hides_its_secrets(tier: str, tmp_path: Path) -> None:
    root = kit.repository(tmp_path / "home")
    (root / ".ssh").mkdir()
    (root / ".ssh" / "id").write_text(kit.CANARY)
    (root / ".netrc").write_text(kit.CANARY)
    ran = kit.run(
        kit.open_tier(tier, tmp_path, HOME=str(root)), root, "sh", "-c", "cat .netrc .ssh/* tracked; echo $HOME"
    )
    assert kit.CANARY not in ran.text and "unchanged" in ran.text and "/tmp/home" in ran.text


@pytest.mark.parametrize("tier", ANY)
def test_an_environment_of_the_repository_is_used_and_not_written_to(tier: str, tmp_path: Path) -> None:
    root = kit.repository(tmp_path / "r")
    venv.create(root / ".venv", symlinks=True, with_pip=False)
    script = (
        f"import sys; print(sys.prefix)\ntry: open({str(root / '.venv' / 'x')!r}, 'w')\nexcept OSError: print('kept')"
    )
    ran = kit.run(kit.open_tier(tier, tmp_path), root, "python", "-c", script)
    assert ran.text.split()[0] == str(root / ".venv"), ran.text
    assert tier == "none" or not (root / ".venv" / "x").exists()


@pytest.mark.parametrize("tier", ["landlock", "none"])
def test_an_editable_installation_finds_the_draft_in_a_copy(tier: str, tmp_path: Path) -> None:
    root = kit.repository(tmp_path / "r")
    venv.create(root / ".venv", symlinks=True, with_pip=False)
    (root / "src").mkdir()
    (root / "src" / "package.py").write_text("print(__file__)")
    site = next((root / ".venv" / "lib").glob("python3*/site-packages"))
    (site / "editable.pth").write_text(f"{root}/src\n")
    ran = kit.run(kit.open_tier(tier, tmp_path), root, "python", "-c", "import package")
    assert "/copy/src/package.py" in ran.text, ran.text


@pytest.mark.parametrize("tier", kit.CONFINED)
def test_a_toolchain_below_a_hidden_directory_is_visible(tier: str, tmp_path: Path) -> None:
    tool = tmp_path / "home" / "tools" / "bin" / "my-tool"
    tool.parent.mkdir(parents=True)
    tool.write_text("#!/bin/sh\ncat ${0%/*}/../share\n")
    tool.chmod(0o755)
    (tool.parent.parent / "share").write_text("shared")
    sandbox = kit.open_tier(tier, tmp_path, HOME=str(tmp_path / "home"), PATH=f"{tool.parent}:{os.environ['PATH']}")
    ran = kit.run(sandbox, kit.repository(tmp_path / "r"), "my-tool")
    assert ran.text == "shared", ran.text


@pytest.mark.parametrize("tier", kit.CONFINED)
def test_a_path_the_user_allows_is_readable_and_nothing_beside_it(tier: str, tmp_path: Path) -> None:
    home = tmp_path / "home"
    for name in ("data", ".aws"):
        (home / name).mkdir(parents=True)
        (home / name / "file").write_text(name)
    sandbox = kit.open_tier(tier, tmp_path, SandboxSettings(readable=("~/data",)), HOME=str(home))
    script = f"cat {home}/data/file; cat {home}/.aws/file; echo x > {home}/data/file"
    ran = kit.run(sandbox, kit.repository(tmp_path / "r"), "sh", "-c", script)
    assert ran.text.startswith("data") and ".aws\n" not in ran.text
    assert (home / "data" / "file").read_text() == "data"


def test_the_environment_is_an_allow_list(tmp_path: Path) -> None:
    sandbox = kit.open_tier(
        "none", tmp_path, SandboxSettings(env=("WANTED", "COPIED")), WANTED="yes", UNWANTED="no", LC_ALL="C.UTF-8",
        MY_API_TOKEN=kit.CANARY, COPIED=f"prefix {kit.CANARY}", CODER_MODEL="x", OPENAI_API_KEY="sk-1", GIT_DIR="/x",
    )  # fmt: skip
    names = {line.split("=")[0] for line in kit.run(sandbox, kit.repository(tmp_path / "r"), "env").text.splitlines()}
    assert {"WANTED", "LC_ALL", "PATH", "HOME", "TMPDIR", "CI"} <= names
    assert not names & {"UNWANTED", "COPIED", "MY_API_TOKEN", "CODER_MODEL", "OPENAI_API_KEY", "GIT_DIR"}


@pytest.mark.parametrize("tier", kit.CONFINED)
def test_a_linked_worktree_reads_its_history_and_cannot_write_it(tier: str, tmp_path: Path) -> None:
    main, linked = kit.repository(tmp_path / "main"), tmp_path / "linked"
    subprocess.run(["git", "-C", str(main), "worktree", "add", "-q", str(linked)], check=True)
    before = (main / ".git" / "config").read_bytes()
    script = f"git log --format=%s; git status --short; cat {main}/.git/config; echo x >> {main}/.git/config"
    ran = kit.run(kit.open_tier(tier, tmp_path), linked, "sh", "-c", script)
    assert ran.text.startswith("first\n") and kit.CANARY not in ran.text, ran.text
    assert (main / ".git" / "config").read_bytes() == before


@pytest.mark.parametrize("tier", ANY)
def test_wanted_files_come_back(tier: str, tmp_path: Path) -> None:
    root = kit.repository(tmp_path / "r")
    script = "echo a > report; echo b > $TMPDIR/report; ln -s /etc/passwd link; mkfifo pipe"
    want = ("report", "$TMPDIR/report", "link", "pipe", "absent")
    ran = kit.run(kit.open_tier(tier, tmp_path), root, "sh", "-c", script, want=want)
    assert ran.result.artifacts == {"report": b"a\n", "$TMPDIR/report": b"b\n"}


@pytest.mark.parametrize("tier", ANY)
def test_a_report_that_the_command_did_not_write_does_not_count(tier: str, tmp_path: Path) -> None:
    """Neither one that lies there, however new it pretends to be, nor one of the draft, nor one behind a link."""
    root, changed, outside = kit.repository(tmp_path / "r"), tmp_path / "changed", tmp_path / "outside"
    for place in (root / "out", changed / "out", outside):
        place.mkdir(parents=True)
        (place / f"TEST-{place.parent.name}.xml").write_text("forged")
    future = time.time() + 1_000_000
    os.utime(root / "out" / "TEST-r.xml", (future, future))
    script = f"echo own > out/TEST-own.xml; ln -s {outside} linked; mkdir sub; ln -s {outside}/TEST-* sub/TEST-x.xml"
    want = ("out/TEST-*.xml", "linked/TEST-*.xml", "sub/TEST-*.xml")
    ran = kit.run(kit.open_tier(tier, tmp_path), root, "sh", "-c", script, view=View(root, changed), want=want)
    assert ran.result.artifacts == {"out/TEST-own.xml": b"own\n"}, ran.text


@pytest.mark.parametrize("tier", kit.MOUNTING)
def test_where_no_overlay_can_be_had_a_copy_takes_its_place(tier: str, tmp_path: Path) -> None:
    root = kit.repository(tmp_path / "r")
    (root / "node_modules").mkdir()
    (root / "node_modules" / "dep").write_text("there\n")
    sandbox = dataclasses.replace(kit.open_tier(tier, tmp_path), overlay=False)
    script = "pwd; cat node_modules/dep; git log --format=%s; echo x > tracked; echo x > node_modules/dep"
    ran = kit.run(sandbox, root, "sh", "-c", script)
    assert ran.text.startswith(f"{root}\nthere\nfirst\n"), ran.text
    assert (root / "tracked").read_text() == "unchanged\n" and (root / "node_modules" / "dep").read_text() == "there\n"
    assert kit.attack(sandbox, tmp_path, root) == {}


ON_OVERLAY = """
import os, subprocess, sys
from pathlib import Path
from tests import sandbox_kit as kit
base = Path(sys.argv[2])
for name in ("lower", "upper", "work", "merged"): (base / name).mkdir()
options = f"lowerdir={base}/lower,upperdir={base}/upper,workdir={base}/work"
subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, str(base / "merged")], check=True)
root = kit.repository(base / "merged" / "r")
sandbox = kit.Sandbox(sys.argv[1], kit.SandboxSettings(), kit.places(base / "merged"), os.environ)
print(kit.run(sandbox, root, "sh", "-c", "echo x > tracked; rm -r .git; mkdir .git; cat tracked; ls -A .git; pwd").text)
print((root / "tracked").read_text())
"""


@pytest.mark.parametrize("tier", kit.MOUNTING)
def test_inside_a_container_writes_go_to_memory(tier: str, tmp_path: Path) -> None:
    """A container's files are on an overlay, which cannot take another one's writes."""
    kit.open_tier(tier, tmp_path)
    if os.geteuid() != 0:
        pytest.skip("mounting an overlay for the test needs root")
    argv = ["unshare", "-m", sys.executable, "-c", ON_OVERLAY, tier, str(tmp_path)]
    ran = subprocess.run(argv, cwd=_PACKAGE, capture_output=True, text=True)
    if "mount:" in ran.stderr or "unshare:" in ran.stderr:
        pytest.skip(ran.stderr)
    assert ran.stdout.split() == ["x", str(tmp_path / "merged" / "r"), "unchanged"], ran.stderr


@pytest.mark.parametrize("tier", kit.MOUNTING)
def test_a_cache_inside_the_repository_is_no_layer_of_it(tier: str, tmp_path: Path) -> None:
    root = kit.repository(tmp_path / "r")
    sandbox = dataclasses.replace(kit.open_tier(tier, tmp_path), places=kit.places(root / "own"))
    ran = kit.run(sandbox, root, "sh", "-c", "echo x > tracked; cat tracked; ls own/state")
    assert ran.text == "x\n", ran.text
    assert (root / "tracked").read_text() == "unchanged\n"


def test_a_repository_too_big_to_copy_is_refused(tmp_path: Path) -> None:
    root = kit.repository(tmp_path / "r")
    try:
        os.truncate(root / "tracked", 5 << 30)
    except OSError as error:
        pytest.skip(f"no such big file can be made here: {error}")
    with pytest.raises(SandboxError, match="too big"):
        kit.run(kit.open_tier("none", tmp_path), root, "true")


def test_importing_the_sandbox_is_light() -> None:
    source = (
        f"import sys; sys.path.append({str(_PACKAGE)!r}); import coder.sandbox, coder.sandbox.inside.launch\n"
        "print({'msgspec', 'asyncio', 'typing'} & {*sys.modules})"
    )
    ran = subprocess.run([sys.executable, "-I", "-S", "-c", source], capture_output=True, text=True)
    assert ran.stdout == "set()\n", ran.stderr


_PACKAGE = Path(__file__).parent.parent


@pytest.mark.parametrize("tier", kit.CONFINED)
def test_the_control_group_is_the_one_whose_limits_can_be_read(tier: str, tmp_path: Path) -> None:
    ran = kit.run(kit.open_tier(tier, tmp_path), kit.repository(tmp_path / "r"), "cat", "/proc/self/cgroup")
    assert ran.text == Path("/proc/self/cgroup").read_text()


@pytest.mark.parametrize("tier", kit.MOUNTING)
def test_the_network_of_the_machine_is_there_when_the_user_says_so(tier: str, tmp_path: Path) -> None:
    sandbox = kit.open_tier(tier, tmp_path, SandboxSettings(network=True))
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        source = f"import socket; socket.create_connection(('127.0.0.1', {server.getsockname()[1]}), 5); print('met')"
        assert kit.python(sandbox, kit.repository(tmp_path / "r"), source).text == "met\n"


@pytest.mark.parametrize("tier", kit.MOUNTING)
def test_an_overlay_that_fails_is_replaced_by_a_copy_of_its_own_accord(tier: str, tmp_path: Path) -> None:
    """Layers that overlap are refused by the kernel: as good a reason as any it may have."""
    root = kit.repository(tmp_path / "r")
    (root / "inner").mkdir()
    (root / "inner" / "tracked").write_text("draft\n")
    ran = kit.run(kit.open_tier(tier, tmp_path), root, "sh", "-c", "cat tracked; pwd", view=View(root, root / "inner"))
    assert ran.text == f"draft\n{root}\n"


@pytest.mark.parametrize("tier", ANY)
def test_nothing_is_left_of_a_run_whatever_it_did_to_its_files(tier: str, tmp_path: Path) -> None:
    script = "mkdir -p a/b && echo x > a/b/c && chmod 000 a/b/c a/b a && ln -s / root && rm -rf .git"
    ran = kit.run(kit.open_tier(tier, tmp_path), kit.repository(tmp_path / "r"), "sh", "-c", script)
    assert ran.result.exit_code == 0, ran.text
    assert list((tmp_path / "cache" / "sandbox").iterdir()) == []


def test_directories_are_walked_deeper_than_python_recurses(tmp_path: Path) -> None:
    place = str(tmp_path / "r")
    for _ in range(1_020):
        os.mkdir(place)
        place += "/d"
    assert sum(1 for _ in copying.walk(str(tmp_path / "r"))) == 1_020
    scene.clear(tmp_path / "r")
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize("tier", kit.CONFINED)
def test_links_of_a_repository_show_nothing_of_the_user(tier: str, tmp_path: Path) -> None:
    root, home = kit.repository(tmp_path / "r"), tmp_path / "home"
    for name in ("a", "b/bin", "c"):
        (home / name).mkdir(parents=True)
        (home / name / "note").write_text(kit.CANARY)
    (root / "node_modules").symlink_to(home / "a")
    (root / "venv").symlink_to(home / "c")
    (root / ".venv" / "bin").mkdir(parents=True)
    (root / ".venv" / "pyvenv.cfg").write_text("")
    (root / ".venv" / "bin" / "python").symlink_to(home / "b" / "bin" / "note")
    script = f"cat node_modules/note venv/note .venv/bin/python {home}/*/note {home}/b/bin/note"
    ran = kit.run(kit.open_tier(tier, tmp_path, HOME=str(home)), root, "sh", "-c", script)
    assert kit.CANARY not in ran.text and ran.result.exit_code != 0, ran.text
