"""The tier is chosen by what holds, not by what is installed; a tier that does not hold is not used."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from coder.config import SandboxSettings
from coder.errors import Exit, Refused
from coder.sandbox import Sandbox, choose
from coder.sandbox.selftest import check
from tests import sandbox_kit as kit

PACKAGE = Path(__file__).parent.parent
CHOOSE = """
import asyncio, sys
from pathlib import Path
from coder.config import SandboxSettings
from coder.errors import Refused
from coder.sandbox import choose
from tests.sandbox_kit import places
try: print(asyncio.run(choose(sys.argv[2], SandboxSettings(), places(Path(sys.argv[1])))))
except Refused as refusal: print("refused:", refusal.message, refusal.hint)
"""


def pick(base: Path, mode: str = "auto", **options: object) -> Sandbox:
    return asyncio.run(choose(mode, SandboxSettings(), kit.places(base), **options))  # type: ignore[arg-type]


def test_the_strongest_tier_that_holds_is_chosen(tmp_path: Path) -> None:
    held = [tier for tier in kit.CONFINED if not kit.trouble(tier)]
    for position, tier in enumerate(held):
        assert str(pick(tmp_path, tiers=held[position:])) == f"{tier} 9/9"
    if not held:
        with pytest.raises(Refused):
            pick(tmp_path)


def test_without_any_tier_nothing_runs(tmp_path: Path) -> None:
    with pytest.raises(Refused) as refusal:
        pick(tmp_path, tiers=())
    assert refusal.value.exit is Exit.REFUSED and "--sandbox off" in refusal.value.hint


def test_require_takes_namespace_tiers_only(tmp_path: Path) -> None:
    with pytest.raises(Refused):
        pick(tmp_path, "require", tiers=("landlock", "seatbelt"))


def test_off_is_said_and_needs_no_test(tmp_path: Path) -> None:
    assert str(pick(tmp_path, "off")) == "none"
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("tier", kit.CONFINED)
def test_a_tier_still_holds_where_the_user_lets_the_network_in(tier: str, tmp_path: Path) -> None:
    kit.open_tier(tier, tmp_path)
    chosen = asyncio.run(choose("auto", SandboxSettings(network=True), kit.places(tmp_path), tiers=(tier,)))
    assert str(chosen) == f"{tier} 9/9"
    assert ("out of its reach" in chosen.limits) == (tier == "landlock")


def test_what_does_not_confine_fails_its_self_test(tmp_path: Path) -> None:
    held, total, trouble = asyncio.run(check(Sandbox("none", SandboxSettings(), kit.places(tmp_path), os.environ)))
    assert held < total == 9
    assert "sockets: " in trouble and "network: " in trouble and "secrets: " in trouble
    assert list((tmp_path / "cache" / "sandbox").iterdir()) == []


@pytest.mark.parametrize(("mode", "expected"), [("auto", "landlock 9/9"), ("require", "refused: ")])
def test_without_user_namespaces_the_next_tier_is_taken(mode: str, expected: str, tmp_path: Path) -> None:
    if kit.trouble("namespaces") or kit.trouble("landlock"):
        pytest.skip("needs user namespaces, to forbid them in one, and Landlock")
    script = 'echo 0 > /proc/sys/user/max_user_namespaces && exec "$@"'
    argv = ["unshare", "-Ur", "sh", "-c", script, "sh", sys.executable, "-c", CHOOSE, str(tmp_path), mode]
    ran = subprocess.run(argv, cwd=PACKAGE, capture_output=True, text=True)
    if "unshare" in ran.stderr or "max_user_namespaces" in ran.stderr:
        pytest.skip(ran.stderr)
    assert ran.stdout.startswith(expected), ran


def test_the_self_test_leaves_nothing_behind(tmp_path: Path) -> None:
    for tier in kit.CONFINED:
        kit.open_tier(tier, tmp_path)
        pick(tmp_path, tiers=(tier,))
    assert not any(name.startswith(".coder-") for name in (*os.listdir("/etc"), *os.listdir("/var")))
    assert list((tmp_path / "cache" / "sandbox").iterdir()) == []
